"""The fast lane: many calls over one stream, packed into frames, sent again when the stream breaks."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count
from types import TracebackType
from typing import Any, Self

import grpc

from echelon.adapters import EchelonError, Outcome, Request
from echelon.adapters.errors import BudgetExceededError, LimitExceededError, UnreachableError
from echelon.clients.async_client import DEFAULT_TIMEOUT_S, AsyncClient
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import CALL_KINDS, set_budget
from echelon.wire.status import from_rpc_error, from_status

FRAME_BYTES = 1 << 20
FRAME_CALLS = 1024
ENVELOPE_BYTES = 64
"""What a frame adds to a call at most."""
_GRACE_S = 5.0
"""How much longer than a call's budget the client waits for the server's word on it."""


class _Pending:
    __slots__ = ("call", "future", "size")

    def __init__(self, call: pb.PipelineCall, future: asyncio.Future[pb.PipelineResult]) -> None:
        self.call = call
        self.future = future
        self.size = call.ByteSize()


class Pipeline:
    """Asks over one stream for as long as it is open: `async with Pipeline(client) as pipeline`.

    Small calls that wait together travel together. When the stream breaks, it is opened again and what was not
    answered is sent again under the same request ids; only when that fails too do callers get UnreachableError.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._ids = count()
        self._pending: dict[int, _Pending] = {}
        self._outbox: deque[_Pending] = deque()
        self._cancelled: list[int] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._over = ""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ask(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """The outcome of `request`; it is not tried again by itself, but for a broken stream."""

        async def send(message: pb.Call) -> pb.Outcome:
            if not message.HasField("budget"):
                set_budget(message, timeout_s)
            result = await self._send(CALL_KINDS[request.call], message, timeout_s)
            if result.WhichOneof("result") == "status":
                raise from_status(result.status)
            return result.outcome

        return await self._client.exchange(model, request, send, timeout_s)

    async def _send(self, kind: pb.CallKind, message: pb.Call, timeout_s: float) -> pb.PipelineResult:
        if self._over:
            raise UnreachableError(self._over)
        call = pb.PipelineCall(id=next(self._ids), kind=kind, call=message)
        pending = _Pending(call, asyncio.get_running_loop().create_future())
        most = self._client.options.message_bytes
        if pending.size + ENVELOPE_BYTES > most:
            raise LimitExceededError(f"the call has {pending.size} bytes, a message at most {most}")
        self._pending[call.id] = pending
        self._outbox.append(pending)
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S):
                return await pending.future
        except TimeoutError:
            raise BudgetExceededError(f"no answer within {timeout_s:g} s") from None
        finally:
            if self._pending.pop(call.id, None) is not None:
                self._cancelled.append(call.id)
                self._wake.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._wait_for_work()
                await self._try_stream()
        except asyncio.CancelledError:
            self._over = "the pipeline is closed"
            raise
        except Exception as error:
            self._over = f"the pipeline has ended: {error}"
            raise
        finally:
            self._fail(UnreachableError(self._over), *self._pending.values())

    async def _try_stream(self) -> None:
        try:
            await self._stream()
        except LimitExceededError as error:
            # One message was too large for the server, and all the others are innocent.
            self._fail(error, *sorted(self._pending.values(), key=lambda pending: pending.size)[-1:])
        except EchelonError as error:
            self._failures += 1
            delay_s = self._client.options.retry.delay_s(self._failures, error)
            if delay_s is None:
                self._failures = 0
                self._fail(error, *self._pending.values())
            else:
                await asyncio.sleep(delay_s)

    async def _wait_for_work(self) -> None:
        while not self._pending:
            self._wake.clear()
            await self._wake.wait()

    async def _stream(self) -> None:
        """One stream, from its opening with everything unanswered to its end."""
        self._outbox = deque(self._pending.values())
        self._cancelled.clear()
        self._wake.set()
        stream = self._client.open_stream()
        writer = asyncio.create_task(self._write(stream))
        try:
            async for frame in stream:
                self._failures = 0
                self._resolve(frame)
            if self._pending:
                raise UnreachableError("the server ended the stream with calls unanswered")
        except grpc.RpcError as error:
            found = from_rpc_error(error)
            # A write to a stream that has just ended makes grpc.aio forget why it ended; opening it again will tell.
            raise UnreachableError(str(found)) if type(found) is EchelonError else found from error
        finally:
            writer.cancel()
            stream.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def _resolve(self, frame: pb.PipelineResponse) -> None:
        for result in frame.results:
            pending = self._pending.pop(result.id, None)
            if pending is not None and not pending.future.done():
                pending.future.set_result(result)

    async def _write(self, stream: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox or self._cancelled:
                frame = self._frame()
                if frame.calls or frame.cancel_ids:
                    await stream.write(frame)

    def _frame(self) -> pb.PipelineRequest:
        frame = pb.PipelineRequest(cancel_ids=self._cancelled[:FRAME_CALLS])
        del self._cancelled[:FRAME_CALLS]
        size = 0
        while self._outbox and len(frame.calls) < FRAME_CALLS:
            if frame.calls and size + self._outbox[0].size > FRAME_BYTES:
                break
            pending = self._outbox.popleft()
            if not pending.future.done():
                frame.calls.append(pending.call)
                size += pending.size
        return frame

    def _fail(self, error: EchelonError, *failed: _Pending) -> None:
        for pending in failed:
            self._pending.pop(pending.call.id, None)
            if not pending.future.done():
                pending.future.set_exception(error)
