"""How many calls are under way: more while it goes well, fewer when the server has too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_SHRINK = 0.5


class Window:
    """A limit between 1 and `most_calls` that adapts, and one on bytes that does not.

    A sample has its place until it ends, a call its turn for one try; so samples that are tried again go before new
    ones. The limit doubles with every windowful of answers until it first shrinks; from then on it grows by one.
    """

    def __init__(self, most_calls: int, most_bytes: int, first_calls: int = 16) -> None:
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self.limit = float(min(first_calls, most_calls))
        self.samples = 0
        self.bytes = 0
        self.calls = 0
        self._shrunk = 0
        self._alone = 0
        self._changed = asyncio.Event()

    async def enter(self, size_bytes: int) -> None:
        """Wait for a sample's place; one is always let in, however large."""
        await self._until(lambda: self._has_place(size_bytes))
        self.samples += 1
        self.bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Give the place back."""
        self.samples -= 1
        self.bytes -= size_bytes
        self._changed.set()

    @asynccontextmanager
    async def turn(self, *, alone: bool = False) -> AsyncIterator[int]:
        """Wait for a call's turn, perhaps until no other call is under way; gives what `shrink` wants to know."""
        self._alone += alone
        try:
            await self._until(lambda: self._has_turn(alone))
            self.calls += 1
            try:
                yield self._shrunk
            finally:
                self.calls -= 1
        finally:
            self._alone -= alone
            self._changed.set()

    def grow(self) -> None:
        """A call was answered in good time: there may be room for more."""
        self.limit = min(float(self._most_calls), self.limit + (1 / self.limit if self._shrunk else 1))

    def shrink(self, since: int) -> None:
        """A call was refused or late; those that began before the last time tell nothing new."""
        if since == self._shrunk:
            self._shrunk += 1
            self.limit = max(1.0, self.limit * _SHRINK)

    def _has_place(self, size_bytes: int) -> bool:
        fits = self.samples < int(self.limit) and self.bytes + size_bytes <= self._most_bytes
        return fits or not self.samples

    def _has_turn(self, alone: bool) -> bool:
        return not self.calls if alone else not self._alone and self.calls < int(self.limit)

    async def _until(self, ready: Callable[[], bool]) -> None:
        # Whoever waits is woken by every change and looks again, so that no wake-up can be lost.
        while not ready():
            self._changed.clear()
            await self._changed.wait()
