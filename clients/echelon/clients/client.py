"""The client, for programs that are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from echelon.adapters import EchelonError, Outcome, Request
from echelon.clients.async_client import DEFAULT_TIMEOUT_S, AsyncClient, ModelInfo
from echelon.clients.options import Options
from echelon.clients.pipeline import Pipeline

T = TypeVar("T")


class Client:
    """Asks the models of one server from ordinary code; an AsyncClient on a thread of its own does the work."""

    def __init__(self, address: str, options: Options | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"client of {address}", daemon=True)
        self._thread.start()
        self._client: AsyncClient = self._wait(_make(address, options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection and the thread back."""
        self._wait(self._client.close())
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

    def ask_all(
        self, model: str, requests: Iterable[Request], *, timeout_s: float = DEFAULT_TIMEOUT_S, in_flight: int = 256
    ) -> Iterator[Outcome | EchelonError]:
        """An outcome or error for each request, in their order, over one Pipeline with at most `in_flight` calls."""
        return iter(self._wait(_ask_all(self._client, model, list(requests), timeout_s, in_flight)))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def _make(address: str, options: Options | None) -> AsyncClient:
    return AsyncClient(address, options)


async def _ask_all(
    client: AsyncClient, model: str, requests: list[Request], timeout_s: float, in_flight: int
) -> list[Outcome | EchelonError]:
    places = asyncio.Semaphore(in_flight)

    async def ask(pipeline: Pipeline, request: Request) -> Outcome | EchelonError:
        async with places:
            try:
                return await pipeline.ask(model, request, timeout_s=timeout_s)
            except EchelonError as error:
                return error

    async with Pipeline(client) as pipeline:
        return list(await asyncio.gather(*(ask(pipeline, request) for request in requests)))
