"""What a served model needs of the place where its adapter lives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from enum import StrEnum
from typing import Any, Protocol

from echelon.adapters import Card, Outcome, Request, Returned
from echelon.adapters.hosting import Opened
from echelon.adapters.identity import Identity


class OnReady(Protocol):
    """Told, in the event loop, that an open adapter is away, or back with its card and identity if these may differ.

    It is told before anything that the adapter answers afterwards.
    """

    def __call__(self, ready: bool, card: Card | None = None, identity: Identity | None = None) -> None: ...


class Isolation(StrEnum):
    """Where an adapter's code runs."""

    INPROC = "inproc"
    SUBPROCESS = "subprocess"
    REMOTE = "remote"


class Host(Protocol):
    """Holds one opened adapter; whatever the adapter raises comes out of the methods as it is."""

    isolation: Isolation

    async def open(self, on_ready: OnReady) -> Opened:
        """Open the adapter; raises what went wrong."""

    def wait(self, timeout_s: float) -> bool:
        """Whether it can be asked, at the latest after `timeout_s`; blocks its thread."""

    def run(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """One outcome for each request of one call, of an adapter that takes batches; blocks its thread."""

    async def ask(self, request: Request) -> Outcome:
        """The outcome of one request, of an adapter that takes many at once."""

    def play(self, request: Request) -> Iterator[Any] | None:
        """What an adapter that takes batches streams for one request, None where nothing; blocks its thread."""

    async def ready(self) -> bool:
        """Whether an adapter that takes many requests at once says that it can answer now."""

    async def stream(self, request: Request) -> AsyncGenerator[Any] | None:
        """What an adapter that takes many requests at once streams for one, None where nothing."""

    async def close(self) -> None:
        """Close the adapter, open or not."""
