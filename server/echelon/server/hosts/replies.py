"""What comes back from an adapter's process for the calls that wait for it; FrameError where that cannot be."""

from __future__ import annotations

import asyncio
import queue
from concurrent.futures import Future
from typing import Any, Protocol

from echelon.adapters import EchelonError
from echelon.adapters.worker.frames import WINDOW, FrameError

Said = tuple[str, Any]
"""The word and the value of a frame."""
LAST = ("done", "failed")
"""The words that end a call."""


class Reply(Protocol):
    """Takes the frames of one call, from the thread that reads them."""

    def take(self, word: str, value: Any) -> None:
        """A frame came; FrameError where it does not belong here."""


class Whole:
    """One value, or that of so many items, for a thread or a task to wait for."""

    def __init__(self, items: int = 1) -> None:
        self.future: Future[Any] = Future()
        # So that a task that is cancelled cannot cancel it: the process still answers.
        self.future.set_running_or_notify_cancel()
        self._places = range(items)
        self._items: dict[int, Any] = {}

    def take(self, word: str, value: Any) -> None:
        """Items come one by one where all at once would be too much."""
        match word, value:
            case "item", (int(index), item) if index in self._places:
                self._items[index] = item
            case "done", _:
                self.future.set_result([self._items[index] for index in sorted(self._items)] if self._items else value)
            case "failed", _:
                self.future.set_exception(_raisable(value))
            case _:
                raise FrameError(f"{word!r:.40} for a call that waits for {len(self._places)} items")


class _Window:
    """Counts the pieces that wait here: no more than the other end may have under way."""

    def __init__(self) -> None:
        self._taken = self._given = 0

    def _check(self, word: str) -> None:
        if word in LAST:
            return
        self._taken += 1
        if word != "piece" or self._taken - self._given > WINDOW:
            raise FrameError(f"{word!r:.40}, or more pieces than were asked for")


class Stream(_Window):
    """The pieces of a stream, for a task to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._said: asyncio.Queue[Said] = asyncio.Queue()

    def take(self, word: str, value: Any) -> None:
        """Into the loop."""
        self._check(word)
        self._loop.call_soon_threadsafe(self._said.put_nowait, (word, value))

    async def next(self) -> Said:
        """The next piece, or the end; raises what the adapter raised."""
        said = await self._said.get()
        self._given += 1
        return _unless_failed(said)


class BlockingStream(_Window):
    """The pieces of a stream, for a thread to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()

    def take(self, word: str, value: Any) -> None:
        """Into the queue."""
        self._check(word)
        self._said.put((word, value))

    def next(self, timeout_s: float) -> Said:
        """The next piece, or the end; raises what the adapter raised, or TimeoutError."""
        try:
            said = self._said.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        self._given += 1
        return _unless_failed(said)


def _unless_failed(said: Said) -> Said:
    if said[0] == "failed":
        raise _raisable(said[1])
    return said


def _raisable(value: Any) -> BaseException:
    return value if isinstance(value, BaseException) else EchelonError(f"a process failed with {value!r:.100}")
