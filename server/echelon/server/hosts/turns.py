"""Who may go together, and who goes alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """Any number of tasks together, or one alone; who wants to be alone goes first."""

    def __init__(self) -> None:
        self._together = 0
        self._wanting = 0
        self._alone = False
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """A turn beside others."""
        await self._until(lambda: not self._wanting)
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            self._changed.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A turn by oneself."""
        self._wanting += 1
        try:
            await self._until(lambda: not self._together and not self._alone)
            self._alone = True
            try:
                yield
            finally:
                self._alone = False
        finally:
            self._wanting -= 1
            self._changed.set()

    async def _until(self, free: Callable[[], bool]) -> None:
        while not free():
            self._changed.clear()
            await self._changed.wait()
