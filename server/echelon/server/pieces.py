"""What an adapter streams, and its way from the worker thread to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from echelon.adapters import Answer, Call, EchelonError, Refusal, Request
from echelon.adapters.errors import BudgetExceededError, OutputInvalidError

UNREAD_CHARACTERS = 64 * 1024
"""Pieces that may be unread before the worker waits for its reader."""
STALL_S = 10.0
"""How long it waits: a reader that does not read must not keep the model from everybody else."""


class Script(Protocol):
    """Tells the pieces that an adapter streams from the outcome they belong to."""

    def piece(self, item: Any) -> Any:
        """`item` if it is a piece, else ""."""

    def outcome(self) -> Any:
        """The outcome, unchecked, once the stream has ended; OutputInvalidError where there is none."""


class TextScript:
    """Pieces of text, and an outcome that comes last and once."""

    def __init__(self) -> None:
        self._outcome: Any = None

    def piece(self, item: Any) -> str:
        if self._outcome is not None:
            raise OutputInvalidError(f"the adapter streamed {type(item).__name__} after its outcome")
        if isinstance(item, str):
            return item
        self._outcome = item
        return ""

    def outcome(self) -> Any:
        if self._outcome is None:
            raise OutputInvalidError("the adapter's stream ended without an outcome")
        if isinstance(self._outcome, EchelonError):
            raise self._outcome
        return self._outcome


class PartScript:
    """Whole parts, which are the answer; an outcome may come last, and says what else there is to it."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._outcome: Any = None

    def piece(self, item: Any) -> Any:
        if self._outcome is not None:
            raise OutputInvalidError(f"the adapter streamed {type(item).__name__} after its outcome")
        if isinstance(item, Answer | Refusal | EchelonError):
            self._outcome = item
            return ""
        self._parts.append(item)
        return item

    def outcome(self) -> Any:
        if isinstance(self._outcome, EchelonError):
            raise self._outcome
        if isinstance(self._outcome, Answer) and list(self._outcome.parts[: len(self._parts)]) != self._parts:
            raise OutputInvalidError("the parts that the adapter streamed are not those that it answered")
        if self._outcome is not None:
            return self._outcome
        if not self._parts:
            raise OutputInvalidError("the adapter streamed no part")
        return Answer(tuple(self._parts))


SCRIPTS: dict[Call, Callable[[], Script]] = {Call.GENERATE: PartScript, Call.LANGUAGE: TextScript}
"""How each call that streams does so."""


class Pieces:
    """Brings pieces from a worker thread to the loop that it is made on."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[str] = deque()
        self._unread = 0
        self._changed = threading.Condition()
        self._arrived = asyncio.Event()
        self._ended = False

    def play(self, items: Iterable[Any]) -> Any:
        """Pass on every piece of `items`, in the worker; the outcome. BudgetExceededError once nobody waits for it."""
        script = TextScript()
        try:
            for item in items:
                if piece := script.piece(item):
                    self._put(piece)
        finally:
            # A generator that is left half way ends here and now, not when it is collected.
            with suppress(AttributeError):
                items.close()  # type: ignore[attr-defined]  # not every iterator has it
        return script.outcome()

    def _put(self, piece: str) -> None:
        with self._changed:
            until = monotonic() + STALL_S
            while self._unread >= UNREAD_CHARACTERS and not self._given_up():
                if not self._changed.wait(until - monotonic()):
                    raise BudgetExceededError(f"nobody read the stream for {STALL_S:g} s")
            if self._given_up():
                raise BudgetExceededError("nobody waits for the stream any more")
            self._pieces.append(piece)
            self._unread += len(piece)
        # The loop is gone only when the process ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _given_up(self) -> bool:
        remaining_s = self._request.remaining_s()
        return self._request.cancellation.cancelled or (remaining_s is not None and remaining_s <= 0)

    async def read(self) -> AsyncGenerator[str]:
        """The pieces as they arrive, until `end`."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            ended = self._ended
            while self._pieces:
                yield self._take()
            if ended:
                return

    def _take(self) -> str:
        with self._changed:
            piece = "".join(self._pieces)
            self._pieces.clear()
            self._unread = 0
            self._changed.notify()
        return piece

    def end(self) -> None:
        """No more will come; to be called on the loop."""
        self._ended = True
        self._arrived.set()

    def give_up(self) -> None:
        """Nobody reads any more; to be called on the loop."""
        self._request.cancellation.cancelled = True
        with self._changed:
            self._changed.notify()
