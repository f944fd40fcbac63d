"""The client, for programs that are not async."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from echelon.adapters import EchelonError, Outcome, Request
from echelon.clients.async_client import DEFAULT_TIMEOUT_S, AsyncClient, ModelInfo
from echelon.clients.options import Options
from echelon.clients.pipeline import Pipeline
from echelon.clients.stream import PartSlice

T = TypeVar("T")
_END: Any = object()


class Client:
    """Asks the models of one server from ordinary code; an AsyncClient on a thread of its own does the work."""

    def __init__(self, address: str, options: Options | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"client of {address}", daemon=True)
        self._thread.start()
        try:
            self._client: AsyncClient = self._wait(_make(address, options))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection and the thread back."""
        if not self._loop.is_closed():
            self._wait(_close(self._client))
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def models(self) -> list[ModelInfo]:
        """All models of the server, by name."""
        return self._wait(self._client.models())

    def model(self, name: str) -> ModelInfo:
        """One model; ModelNotFoundError where there is none of that name."""
        return self._wait(self._client.model(name))

    def comprehend(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """A judgement on the request's parts."""
        return self._wait(self._client.comprehend(model, request, timeout_s=timeout_s))

    def generate(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """New media."""
        return self._wait(self._client.generate(model, request, timeout_s=timeout_s))

    def language(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """Text for text."""
        return self._wait(self._client.language(model, request, timeout_s=timeout_s))

    def stream_generate(
        self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Iterator[PartSlice | Outcome]:
        """Slices as they come, and last the whole outcome; nothing counts unless that last one arrives."""
        return self._iterate(self._client.stream_generate(model, request, timeout_s=timeout_s))

    def stream_language(
        self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> Iterator[str | Outcome]:
        """Text as it is written, and last the whole outcome; nothing counts unless that last one arrives.

        A refusal may come after text, and voids it.
        """
        return self._iterate(self._client.stream_language(model, request, timeout_s=timeout_s))

    def ask_all(
        self, model: str, requests: Iterable[Request], *, timeout_s: float = DEFAULT_TIMEOUT_S, in_flight: int = 256
    ) -> Iterator[Outcome | EchelonError]:
        """An outcome or error for each request, in their order, as they come; at most `in_flight` calls at once.

        Requests are taken from `requests` as there is room for them, so that neither side has to fit into memory.
        """
        pipeline = self._wait(_open(self._client))
        waiting: deque[Future[Outcome | EchelonError]] = deque()
        try:
            for request in requests:
                if len(waiting) >= in_flight:
                    yield waiting.popleft().result()
                waiting.append(self._begin(_try(pipeline, model, request, timeout_s)))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            # One that is closed already has ended its pipelines.
            if not self._loop.is_closed():
                self._wait(pipeline.__aexit__(None, None, None))

    def _iterate(self, pieces: AsyncGenerator[T]) -> Iterator[T]:
        try:
            while (piece := self._wait(_next(pieces))) is not _END:
                yield piece
        finally:
            # One that is closed already has ended its streams.
            if not self._loop.is_closed():
                self._wait(pieces.aclose())

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = self._begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def _make(address: str, options: Options | None) -> AsyncClient:
    return AsyncClient(address, options)


async def _close(client: AsyncClient) -> None:
    await client.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _next(pieces: AsyncGenerator[T]) -> T:
    return await anext(pieces, _END)


async def _open(client: AsyncClient) -> Pipeline:
    return await Pipeline(client).__aenter__()


async def _try(pipeline: Pipeline, model: str, request: Request, timeout_s: float) -> Outcome | EchelonError:
    try:
        return await pipeline.ask(model, request, timeout_s=timeout_s)
    except EchelonError as error:
        return error
