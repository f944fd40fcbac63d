"""The server's end of a Pipeline stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from echelon.adapters.errors import EchelonError, InvalidInputError
from echelon.rpc.guard import Context, Guard
from echelon.server.calls import Calls
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import CALL_OF
from echelon.wire.status import to_status

FRAME_BYTES = 1 << 20


class Pipeline:
    """Answers the calls of one stream; results leave together as long as they are ready together."""

    def __init__(self, calls: Calls, guard: Guard, context: Context, peer: str) -> None:
        self._calls = calls
        self._guard = guard
        self._context = context
        self._peer = peer
        self._running: dict[int, asyncio.Task[None]] = {}
        self._results: list[pb.PipelineResult] = []
        self._ready = asyncio.Event()
        self._ended = False

    async def serve(self, frames: AsyncIterator[pb.PipelineRequest]) -> None:
        """Until the client closes its side and every call is answered; cancelled calls are dropped without a result."""
        writer = asyncio.create_task(self._write())
        try:
            async for frame in frames:
                for call_id in frame.cancel_ids:
                    if task := self._running.pop(call_id, None):
                        task.cancel()
                for call in frame.calls:
                    self._begin(call)
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            self._ended = True
            self._ready.set()
            await writer
        finally:
            writer.cancel()
            for task in self._running.values():
                task.cancel()

    def _begin(self, call: pb.PipelineCall) -> None:
        if call.id in self._running:
            raise InvalidInputError(f"call id {call.id} is in use on this stream; every call needs its own")
        task = asyncio.create_task(self._answer(call))
        self._running[call.id] = task

    async def _answer(self, call: pb.PipelineCall) -> None:
        result = pb.PipelineResult(id=call.id)
        try:
            result.outcome.CopyFrom(await self._outcome(call))
        except EchelonError as error:
            self._guard.note("Pipeline", error)
            result.status.CopyFrom(to_status(error))
        except Exception as error:  # noqa: BLE001  (a bug of ours, shown as an incident and to this call alone)
            result.status.CopyFrom(to_status(self._guard.incident(error)))
        self._running.pop(call.id, None)
        self._results.append(result)
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
                await self._context.write(pb.PipelineResponse(results=self._frame()))

    def _frame(self) -> list[pb.PipelineResult]:
        size = count = 0
        for result in self._results:
            size += result.ByteSize()
            if count and size > FRAME_BYTES:
                break
            count += 1
        frame, self._results = self._results[:count], self._results[count:]
        return frame
