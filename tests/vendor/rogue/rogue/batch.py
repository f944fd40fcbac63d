"""A batch model that does its deeds in its one thread."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from echelon.adapters import (
    Answer,
    BatchAdapter,
    Call,
    CallSupport,
    Card,
    Kind,
    Outcome,
    Request,
    Returned,
    Text,
    Usage,
)

from .deeds import do


@dataclass(frozen=True)
class RogueSettings:
    """What to do when it opens, a file that gets the process's number, and what others call the device."""

    opens_with: str = ""
    diary: Path | None = None
    device: str = "auto"


class Rogue(BatchAdapter[RogueSettings]):
    """Does what it is told."""

    def open(self, settings: RogueSettings) -> None:
        self._device = settings.device
        print("opening, as everybody may hear")  # noqa: T201  (the point of it)
        if settings.diary is not None:
            with settings.diary.open("a") as diary:
                diary.write(f"{os.getpid()}\n")
        do(settings.opens_with)

    def card(self) -> Card:
        return Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),))

    def language(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return [Answer((Text(self._do(request.instruction)),)) for request in requests]

    def _do(self, instruction: str) -> str:
        return self._device if instruction == "device" else do(instruction)

    def stream_language(self, request: Request) -> Iterator[str | Outcome] | None:
        return None if request.instruction == "whole" else self._pieces(request)

    def _pieces(self, request: Request) -> Iterator[str | Outcome]:
        for number in range(40):
            yield f"{number} "
            if number == 20:
                do(request.instruction)
        yield Answer((Text(request.instruction),), usage=Usage(1, 40))

    def close(self) -> None:
        print("closing")  # noqa: T201  (the point of it)
