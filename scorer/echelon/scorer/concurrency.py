"""How many calls are under way: more while it goes well, fewer when the server is busy."""

from __future__ import annotations

import asyncio
from collections import deque

SHRINK = 0.7


class Window:
    """A limit on calls and bytes under way that adapts between 1 and `most_calls`.

    It grows by one for every windowful of answers, and shrinks once for each windowful in which the server was busy.
    """

    def __init__(self, most_calls: int, most_bytes: int, first_calls: int = 32) -> None:
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self.limit = float(min(first_calls, most_calls))
        self.calls = 0
        self.bytes = 0
        self._answers_to_shrink = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def enter(self, size_bytes: int) -> None:
        """Wait for a place; one call is always let in, however large."""
        while self.calls and (self.calls >= int(self.limit) or self.bytes + size_bytes > self._most_bytes):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self.calls += 1
        self.bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Give the place back."""
        self.calls -= 1
        self.bytes -= size_bytes
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def answered(self) -> None:
        """A call was answered: there may be room for more."""
        self._answers_to_shrink = max(0, self._answers_to_shrink - 1)
        self.limit = min(float(self._most_calls), self.limit + 1 / self.limit)
        if self.calls < int(self.limit) and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def busy(self) -> None:
        """The server refused for want of room."""
        if self._answers_to_shrink == 0:
            self.limit = max(1.0, self.limit * SHRINK)
            self._answers_to_shrink = int(self.limit)
