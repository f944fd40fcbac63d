"""The server's end of a Pipeline stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from time import perf_counter

from echelon.adapters.errors import EchelonError, InvalidInputError
from echelon.rpc.guard import Context, Guard
from echelon.server.calls import Calls
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import CALL_OF
from echelon.wire.status import to_status

METHOD = "/echelon.v1.ModelService/Pipeline"
FRAME_BYTES = 1 << 20
UNSENT_BYTES = 16 << 20
"""Results that a client may leave unread before no more of its calls are taken."""


class Pipeline:
    """Answers the calls of one stream; results leave together as long as they are ready together."""

    def __init__(self, calls: Calls, guard: Guard, context: Context, peer: str) -> None:
        self._calls = calls
        self._guard = guard
        self._context = context
        self._peer = peer
        self._running: dict[int, asyncio.Task[None]] = {}
        self._results: deque[tuple[pb.PipelineResult, int]] = deque()
        self._unsent_bytes = 0
        self._ready = asyncio.Event()
        self._sent = asyncio.Event()
        self._ended = False

    async def serve(self, frames: AsyncIterator[pb.PipelineRequest], draining: asyncio.Event) -> None:
        """Until the client closes its side, or the server drains, and every call is answered.

        Cancelled calls are dropped without a result.
        """
        reading, writing = asyncio.create_task(self._read(frames)), asyncio.create_task(self._write())
        told = asyncio.create_task(draining.wait())
        try:
            await asyncio.wait({reading, writing, told}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (reading, writing):
                if ended.done():
                    ended.result()
            reading.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            self._ended = True
            self._ready.set()
            await writing
        finally:
            for task in (reading, writing, told, *self._running.values()):
                task.cancel()

    async def _read(self, frames: AsyncIterator[pb.PipelineRequest]) -> None:
        async for frame in frames:
            for call_id in frame.cancel_ids:
                if task := self._running.pop(call_id, None):
                    task.cancel()
            for call in frame.calls:
                self._begin(call)
            while self._unsent_bytes > UNSENT_BYTES:
                self._sent.clear()
                await self._sent.wait()

    def _begin(self, call: pb.PipelineCall) -> None:
        if call.id in self._running:
            raise InvalidInputError(f"call id {call.id} is in use on this stream; every call needs its own")
        self._running[call.id] = asyncio.create_task(self._answer(call))

    async def _answer(self, call: pb.PipelineCall) -> None:
        started = perf_counter()
        result = pb.PipelineResult(id=call.id)
        try:
            result.outcome.CopyFrom(await self._outcome(call))
        except EchelonError as error:
            self._guard.note(METHOD, started, call, error)
            result.status.CopyFrom(to_status(error))
        except Exception as error:  # noqa: BLE001  (a bug of ours, shown as an incident and to this call alone)
            result.status.CopyFrom(to_status(self._guard.incident(error)))
        self._running.pop(call.id, None)
        size = result.ByteSize()
        self._results.append((result, size))
        self._unsent_bytes += size
        self._ready.set()

    async def _outcome(self, call: pb.PipelineCall) -> pb.Outcome:
        kind = CALL_OF.get(call.kind)
        if kind is None or call.id < 0:
            raise InvalidInputError("a pipeline call needs an id from 0 up and one of the three kinds")
        return await self._calls.answer(kind, call.call, lambda: self._peer, None)

    async def _write(self) -> None:
        while not (self._ended and not self._results):
            await self._ready.wait()
            self._ready.clear()
            while self._results:
                frame, size = self._frame()
                await self._context.write(frame)
                self._unsent_bytes -= size
                self._sent.set()

    def _frame(self) -> tuple[pb.PipelineResponse, int]:
        """What leaves together, and its size."""
        frame, size = pb.PipelineResponse(), 0
        while self._results and (not size or size + self._results[0][1] <= FRAME_BYTES):
            result, result_size = self._results.popleft()
            frame.results.append(result)
            size += result_size
        return frame, size
