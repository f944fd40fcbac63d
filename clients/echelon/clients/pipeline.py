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
from echelon.clients.async_client import DEFAULT_TIMEOUT_S, AsyncClient, read_outcome
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import CALL_KINDS
from echelon.wire.status import from_rpc_error, from_status

FRAME_BYTES = 1 << 20
FRAME_CALLS = 1024
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
        self._closing = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def ask(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """The outcome of `request`; it is not tried again by itself, but for a broken stream."""
        message = self._client.message(model, request)
        if not message.HasField("budget"):
            message.budget.FromMicroseconds(int(timeout_s * 1e6))
        result = await self._send(CALL_KINDS[request.call], message, timeout_s)
        if result.WhichOneof("result") == "status":
            raise from_status(result.status)
        return read_outcome(result.outcome)

    async def _send(self, kind: pb.CallKind, message: pb.Call, timeout_s: float) -> pb.PipelineResult:
        call = pb.PipelineCall(id=next(self._ids), kind=kind, call=message)
        pending = _Pending(call, asyncio.get_running_loop().create_future())
        if pending.size > self._client.options.message_bytes:
            raise LimitExceededError(
                f"the call has {pending.size} bytes, a message at most {self._client.options.message_bytes}"
            )
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
        failures = 0
        while not self._closing:
            try:
                await self._stream()
                failures = 0
            except EchelonError as error:
                failures += 1
                delay_s = self._client.options.retry.delay_s(failures, error)
                if delay_s is None:
                    self._fail(error)
                    failures, delay_s = 0, 0.0
                await asyncio.sleep(delay_s)
            await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        while not self._pending and not self._closing:
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
                self._resolve(frame)
            if self._pending and not self._closing:
                raise UnreachableError("the server ended the stream with calls unanswered")
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
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

    def _fail(self, error: EchelonError) -> None:
        for pending in list(self._pending.values()):
            if not pending.future.done():
                pending.future.set_exception(error)
        self._pending.clear()
        self._outbox.clear()
