"""A model behind an async runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from echelon.adapters import (
    Answer,
    AsyncAdapter,
    Call,
    CallSupport,
    Card,
    FinishReason,
    Kind,
    Outcome,
    Part,
    Refusal,
    Request,
    Text,
    Usage,
)

SECRET = "sesame-4711"


LAST: dict[str, Callable[[tuple[Part, ...]], Sequence[Part | Outcome]]] = {
    "total": lambda parts: [Answer(parts, FinishReason.LENGTH, Usage(3, 2, 5))],
    "more": lambda parts: [Answer((*parts, Text("and more")))],
    "refuse": lambda parts: [Refusal("policy", "No more of this.")],
    "other": lambda parts: [Answer((Text("something else"),))],
    "late": lambda parts: [Answer(parts), Text("late")],
}
"""What comes after the parts."""


@dataclass(frozen=True)
class StreamSettings:
    """Where to note calls that were cut off."""

    notes: Path | None = None


class Stream(AsyncAdapter[StreamSettings]):
    """Answers many at once; `stream_generate` gives a part at a time."""

    def open(self, settings: StreamSettings) -> None:
        self._notes = settings.notes
        self._running = 0
        self._most = 0

    def card(self) -> Card:
        calls = (
            CallSupport(Call.COMPREHEND, (Kind.TEXT,), (Kind.TEXT,)),
            CallSupport(Call.GENERATE, (Kind.TEXT,), (Kind.TEXT,)),
        )
        return Card("1", calls)

    async def comprehend(self, request: Request) -> Outcome:
        self._running += 1
        self._most = max(self._most, self._running)
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            self._note("cancelled")
            raise
        finally:
            self._running -= 1

    async def generate(self, request: Request) -> Outcome:
        return Answer((Text("all at once"),))

    async def _answer(self, request: Request) -> Outcome:
        match request.instruction:
            case "sleep":
                await asyncio.sleep(30)
            case "nap":
                await asyncio.sleep(0.5)
            case "raise":
                raise RuntimeError(SECRET)
            case "exit":
                raise SystemExit(SECRET)
            case "cancel":
                raise asyncio.CancelledError(SECRET)
        return Answer((Text(f"at most {self._most} at once"),))

    def stream_generate(self, request: Request) -> AsyncIterator[Part | Outcome] | None:
        return None if request.instruction == "whole" else self._parts(request)

    async def _parts(self, request: Request) -> AsyncIterator[Part | Outcome]:
        try:
            for part in request.parts:
                yield part
                if request.instruction == "hang":
                    await asyncio.sleep(30)
            if request.instruction == "raise":
                raise RuntimeError(SECRET)
            if request.instruction in LAST:
                for item in LAST[request.instruction](request.parts):
                    yield item
        finally:
            self._note("stream over")

    def _note(self, text: str) -> None:
        if self._notes is not None:
            self._notes.write_text(text)
