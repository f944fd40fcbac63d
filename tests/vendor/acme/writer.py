"""Models that write word by word, well or badly, behind either kind of adapter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echelon.adapters import (
    Answer,
    AsyncAdapter,
    BackendError,
    BatchAdapter,
    Call,
    CallSupport,
    Card,
    Choice,
    FinishReason,
    Kind,
    Outcome,
    Refusal,
    Request,
    Returned,
    Text,
    Usage,
)

SECRET = "sesame-4711"


@dataclass(frozen=True)
class WriterSettings:
    """A file whose presence lets `wait` go on, and one to note the end of a stream in."""

    gate: Path | None = None
    notes: Path | None = None


def written(request: Request, settings: WriterSettings) -> Iterator[Any]:
    """What the instruction says, a word at a time."""
    text = request.first(Text).value if request.parts else ""
    try:
        for word in text.split(" "):
            yield f"{word} "
        yield from ENDS[request.instruction](text, request, settings)
    finally:
        if settings.notes is not None:
            settings.notes.write_text("stream over")


def answer(text: str) -> Outcome:
    return Answer((Text(f"{text} ", "en", name="reply"),), FinishReason.LENGTH, Usage(3, 2, 5))


def wait(text: str, request: Request, settings: WriterSettings) -> Iterator[Any]:
    while settings.gate is not None and not settings.gate.exists() and not request.cancellation:
        time.sleep(0.002)
    yield answer(text)


def flood(text: str, request: Request, settings: WriterSettings) -> Iterator[Any]:
    while True:
        yield "x" * 1000


def fail(error: BaseException) -> Iterator[Any]:
    raise error
    yield


ENDS: dict[str, Any] = {
    "say": lambda text, request, settings: iter([answer(text)]),
    "refuse": lambda text, request, settings: iter([Refusal("policy", "No more of this.")]),
    "other": lambda text, request, settings: iter([Answer((Text("something else"),))]),
    "choice": lambda text, request, settings: iter([Answer((Choice.of("a"),))]),
    "silent": lambda text, request, settings: iter(()),
    "twice": lambda text, request, settings: iter([answer(text), answer(text)]),
    "late": lambda text, request, settings: iter([answer(text), "more"]),
    "number": lambda text, request, settings: iter([4711]),
    "half": lambda text, request, settings: iter(["\ud800", answer(text)]),
    "long": lambda text, request, settings: iter(["x" * (1 << 20), answer(text)]),
    "backend": lambda text, request, settings: iter([BackendError("the GPU is gone")]),
    "raise": lambda text, request, settings: fail(RuntimeError(SECRET)),
    "exit": lambda text, request, settings: fail(SystemExit(SECRET)),
    "cancel": lambda text, request, settings: fail(asyncio.CancelledError(SECRET)),
    "wait": wait,
    "flood": flood,
}
CARD = Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT, Kind.CHOICE)),))


class Writer(BatchAdapter[WriterSettings]):
    """Takes its time, one thing at a time."""

    def open(self, settings: WriterSettings) -> None:
        self._settings = settings
        self._writing = False

    def card(self) -> Card:
        return CARD

    def language(self, requests: Sequence[Request]) -> Sequence[Returned]:
        said = "while it was writing" if self._writing else "at once"
        return [Answer((Text(said),)) for _ in requests]

    def stream_language(self, request: Request) -> Iterator[str | Outcome] | None:
        if request.instruction == "open":
            raise RuntimeError(SECRET)
        return None if request.instruction == "whole" else self._write(request)

    def _write(self, request: Request) -> Iterator[str | Outcome]:
        self._writing = True
        try:
            yield from written(request, self._settings)
        finally:
            self._writing = False


class AsyncWriter(AsyncAdapter[WriterSettings]):
    """Writes for many at once."""

    def open(self, settings: WriterSettings) -> None:
        self._settings = settings

    def card(self) -> Card:
        return CARD

    async def language(self, request: Request) -> Outcome:
        return Answer((Text("at once"),))

    def stream_language(self, request: Request) -> AsyncIterator[str | Outcome] | None:
        if request.instruction == "open":
            raise RuntimeError(SECRET)
        return None if request.instruction == "whole" else self._write(request)

    async def _write(self, request: Request) -> AsyncIterator[str | Outcome]:
        items = written(request, self._settings)
        try:
            if request.instruction == "wait":
                yield next(items)
                await asyncio.sleep(30)
            for item in items:
                await asyncio.sleep(0)
                yield item
        finally:
            items.close()  # type: ignore[attr-defined]  # it is a generator
