"""What comes back from an adapter's process for the calls that wait for it."""

from __future__ import annotations

import asyncio
import queue
from concurrent.futures import Future
from typing import Any, Protocol

from echelon.adapters import EchelonError

Said = tuple[str, Any]
"""The word and the value of a frame."""


class Reply(Protocol):
    """Takes the frames of one call, from the thread that reads them."""

    def take(self, word: str, value: Any) -> None:
        """A frame came; "done" and "failed" are the last."""


class Whole:
    """One value, for a thread or a task to wait for."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        # So that a task that is cancelled cannot cancel it: the process still answers.
        self.future.set_running_or_notify_cancel()
        self._items: dict[int, Any] = {}

    def take(self, word: str, value: Any) -> None:
        """Items come one by one where all at once would be too much."""
        if word == "item":
            index, item = value
            self._items[index] = item
        elif word == "done":
            self.future.set_result([self._items[index] for index in sorted(self._items)] if self._items else value)
        else:
            self.future.set_exception(_raisable(value))


class Stream:
    """The pieces of a stream, for a task to wait for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._said: asyncio.Queue[Said] = asyncio.Queue()

    def take(self, word: str, value: Any) -> None:
        """Into the loop; the window that the other end keeps bounds how much waits there."""
        self._loop.call_soon_threadsafe(self._said.put_nowait, (word, value))

    async def next(self) -> Said:
        """The next piece, or the end; raises what the adapter raised."""
        return _unless_failed(await self._said.get())


class BlockingStream:
    """The pieces of a stream, for a thread to wait for."""

    def __init__(self) -> None:
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()

    def take(self, word: str, value: Any) -> None:
        """The window that the other end keeps bounds how much waits here."""
        self._said.put((word, value))

    def next(self, timeout_s: float) -> Said:
        """The next piece, or the end; raises what the adapter raised, or TimeoutError."""
        try:
            return _unless_failed(self._said.get(timeout=timeout_s))
        except queue.Empty:
            raise TimeoutError from None


def _unless_failed(said: Said) -> Said:
    if said[0] == "failed":
        raise _raisable(said[1])
    return said


def _raisable(value: Any) -> BaseException:
    return value if isinstance(value, BaseException) else EchelonError(f"a process failed with {value!r:.100}")
