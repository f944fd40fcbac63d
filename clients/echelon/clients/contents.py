"""Large content of calls and answers, which travels by itself in chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import grpc

from echelon.adapters import Part
from echelon.adapters.errors import InvalidInputError, OutputInvalidError, UnsupportedError
from echelon.clients.options import Options
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import NO_REFS, Refs
from echelon.wire.contents import Collected, chunks, payload_of, reference
from echelon.wire.status import from_rpc_error

_AT_ONCE = 4
"""Uploads at once: more would fill the room that the server has for them, and be no faster."""
_KNOWN = 10_000
"""Contents whose presence on the server is remembered at most."""
_MARGIN_S = 10.0
"""How much sooner than the server a client forgets what it put."""


class Contents:
    """Puts what is large on one server, each content once, and gets what an answer leaves there."""

    def __init__(self, stub: Any, options: Options) -> None:
        self._stub = stub
        self._options = options
        self._puts: dict[bytes, asyncio.Task[float]] = {}
        self._supported = True
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def put(self, parts: tuple[Part, ...], timeout_s: float) -> Refs:
        """What stands for the large ones of `parts`, once the server has them.

        None of them where it is a server that takes no content: then they travel in the message.
        """
        large = {index: data for index, part in enumerate(parts) if self._is_large(data := payload_of(part))}
        if not large or not self._supported:
            return NO_REFS
        refs = {index: await asyncio.to_thread(reference, data) for index, data in large.items()}
        try:
            for index, ref in refs.items():
                await self._put_once(large[index], ref, timeout_s)
        except UnsupportedError:
            self._supported = False
            return NO_REFS
        return refs

    def forget(self, refs: Refs) -> None:
        """Put these again the next time: the server has lost them."""
        for ref in refs.values():
            self._puts.pop(ref.sha256, None)

    async def get(self, outcome: pb.Outcome, timeout_s: float) -> dict[bytes, bytes]:
        """What the content_refs of `outcome` stand for, by SHA-256."""
        refs = [part.content_ref for part in outcome.answer.parts if part.HasField("content_ref")]
        return {ref.sha256: await self._get(ref, timeout_s) for ref in refs}

    def _is_large(self, data: bytes) -> bool:
        return len(data) >= self._options.large_bytes

    async def _put_once(self, data: bytes, ref: content_pb2.ContentRef, timeout_s: float) -> None:
        task = self._puts.get(ref.sha256)
        if task is None or (task.done() and not _lasts(task)):
            if len(self._puts) >= _KNOWN:
                self._puts.pop(next(iter(self._puts)))
            task = self._puts[ref.sha256] = asyncio.create_task(self._put(data, ref, timeout_s))
            # Whoever waited for it may have left.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Others may wait for the same content.
        await asyncio.shield(task)

    async def _put(self, data: bytes, ref: content_pb2.ContentRef, timeout_s: float) -> float:
        """Until when the server keeps it, in seconds of `time.monotonic()`."""

        async def attempt() -> pb.PutContentResponse:
            frames, metadata = _frames(data, ref), self._options.metadata()
            try:
                return await self._stub.PutContent(frames, timeout=timeout_s, metadata=metadata)  # type: ignore[no-any-return]  # the stub is untyped
            except grpc.RpcError as error:
                raise from_rpc_error(error) from error

        async with self._room:
            response = await self._options.retry.until_done(attempt)
        return monotonic() + response.lifetime.ToMicroseconds() / 1e6 - _MARGIN_S

    async def _get(self, ref: content_pb2.ContentRef, timeout_s: float) -> bytes:
        collected = Collected(ref)
        stream = self._stub.GetContent(
            pb.GetContentRequest(content_ref=ref), timeout=timeout_s, metadata=self._options.metadata()
        )
        try:
            async for response in stream:
                collected.add(response.chunk)
            return collected.whole()
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        except InvalidInputError as error:
            raise OutputInvalidError(f"the server sent other content than its answer says: {error}") from error
        finally:
            stream.cancel()


def _lasts(task: asyncio.Task[float]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result() > monotonic()


async def _frames(data: bytes, ref: content_pb2.ContentRef) -> AsyncIterator[pb.PutContentRequest]:
    yield pb.PutContentRequest(start=ref)
    for chunk in chunks(data):
        yield pb.PutContentRequest(chunk=chunk)
