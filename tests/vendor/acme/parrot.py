"""A batch model that does what its instruction says, well or badly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from echelon.adapters import (
    Answer,
    BackendError,
    BatchAdapter,
    Call,
    CallSupport,
    Card,
    Image,
    Kind,
    Number,
    OutOfMemoryError,
    Refusal,
    Request,
    Returned,
    Tensor,
    Text,
    UnsupportedError,
    Usage,
)

SECRET = "sesame-4711"
KINDS = tuple(Kind)


@dataclass(frozen=True)
class ParrotSettings:
    """A file whose presence ends `wait`, one that lets the model open, and how many calls its memory holds."""

    gate: Path | None = None
    opens_when: Path | None = None
    description: str = "Repeats what it hears."
    room: int | None = None


class Parrot(BatchAdapter[ParrotSettings]):
    """Gives parts back as they came, unless the instruction says otherwise."""

    def open(self, settings: ParrotSettings) -> None:
        self._settings = settings
        self._diary: list[list[str]] = []
        _wait_for(settings.opens_when, lambda: False)

    def card(self) -> Card:
        calls = (
            CallSupport(Call.COMPREHEND, KINDS, KINDS),
            CallSupport(Call.GENERATE, KINDS, KINDS),
            CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),
        )
        return Card("7", calls, self._settings.description, deterministic=True)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        self._diary.append([request.instruction for request in requests])
        if self._settings.room is not None and len(requests) > self._settings.room:
            raise OutOfMemoryError(f"no memory for {len(requests)} calls")
        told = [TRICKS[word] for request in requests if (word := request.instruction.partition(" ")[0]) in TRICKS]
        for trick in told:
            returned = trick(self, requests)
            if returned is not None:
                return returned
        return [self._one(request) for request in requests]

    generate = comprehend
    language = comprehend

    def _one(self, request: Request) -> Returned:
        word = request.instruction.partition(" ")[0]
        if word == "diary":
            return Answer((Text(json.dumps(self._diary)),))
        return ITEMS[word](request) if word in ITEMS else Answer(request.parts or (Text(request.instruction),))

    def wait(self, requests: Sequence[Request]) -> None:
        """Hold the whole batch until the gate opens or nobody waits any more."""
        _wait_for(self._settings.gate, lambda: all(request.cancellation for request in requests))


def _wait_for(path: Path | None, enough: Callable[[], bool]) -> None:
    while path is not None and not path.exists() and not enough():
        time.sleep(0.002)


def _raise(error: BaseException) -> Any:
    raise error


TRICKS: dict[str, Callable[[Parrot, Sequence[Request]], Sequence[Returned] | None]] = {
    "wait": lambda parrot, requests: parrot.wait(requests),
    "sleep": lambda parrot, requests: time.sleep(0.3),
    "raise": lambda parrot, requests: _raise(RuntimeError(f"the secret is {SECRET}")),
    "exit": lambda parrot, requests: _raise(SystemExit(SECRET)),
    "backend": lambda parrot, requests: _raise(BackendError("the GPU is gone")),
    "forget": lambda parrot, requests: [Answer((Text("one too many"),))] * (len(requests) + 1),
    "iterate": lambda parrot, requests: iter(()),  # type: ignore[dict-item,return-value]  # the point of it
}
"""What spoils a whole batch."""

ITEMS: dict[str, Callable[[Request], Any]] = {
    "none": lambda request: None,
    "string": lambda request: "an answer",
    "empty": lambda request: Answer(()),
    "parts": lambda request: Answer(None),  # type: ignore[arg-type]  # the point of it
    "typed": lambda request: Answer((Text(4711),)),  # type: ignore[arg-type]  # the point of it
    "nan": lambda request: Answer((Tensor.from_array(np.array([1, np.nan], np.float32)),)),
    "infinite": lambda request: Answer((Number(float("inf")),)),
    "shape": lambda request: Answer((Tensor(b"123", "float32", (1,)),)),
    "untyped": lambda request: Answer((Tensor("abcd", "float32", (1,)),)),  # type: ignore[arg-type]  # the point of it
    "image": lambda request: Answer((Image.from_array(np.zeros((2, 2, 3), np.uint8)),)),
    "large": lambda request: Answer((Tensor.from_array(np.zeros(int(request.instruction.split()[1]), np.uint8)),)),
    "refuse": lambda request: Refusal("policy", "I would rather not."),
    "unable": lambda request: UnsupportedError("not this one"),
    "count": lambda request: Answer((Text("counted"),), usage=Usage(3, 1)),
    "pixels": lambda request: Answer((Number(float(request.first(Image).array().size)),)),
    "deadline": lambda request: Answer((Number(request.remaining_s() or 0.0),)),
}
"""What becomes of one request."""
