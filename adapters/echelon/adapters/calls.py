"""What an adapter is asked and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from echelon.adapters.errors import EchelonError, InvalidInputError

if TYPE_CHECKING:
    from echelon.adapters.content import Kind, Part

PartT = TypeVar("PartT", bound="Part")


class Call(StrEnum):
    """The three calls."""

    COMPREHEND = "comprehend"
    GENERATE = "generate"
    LANGUAGE = "language"


class FinishReason(StrEnum):
    """Why an answer ends where it does."""

    COMPLETE = "complete"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is random in an answer; None leaves it to the model."""

    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_token_count: int | None = None
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these."""


class Cancellation:
    """Tells a running adapter that nobody waits any more; a long loop should look at it."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def __bool__(self) -> bool:
        return self.cancelled


DEFAULT_SAMPLING = Sampling()


@dataclass(frozen=True, slots=True)
class Request:
    """One call to a model.

    `output_kinds` empty allows any kind that the card lists; `labels` are what to choose from, empty for open answers.
    `deadline` is in seconds of `time.monotonic()`. `expected_identity` is the digest of the identity that the model
    must have, checked by its server; empty for any.
    """

    call: Call
    instruction: str = ""
    parts: tuple[Part, ...] = ()
    output_kinds: tuple[Kind, ...] = ()
    labels: tuple[str, ...] = ()
    sampling: Sampling = DEFAULT_SAMPLING
    id: str = ""
    deadline: float | None = None
    expected_identity: str = ""
    cancellation: Cancellation = field(default_factory=Cancellation, compare=False, repr=False)

    def first(self, part_type: type[PartT], name: str | None = None) -> PartT:
        """The first part of that type, and of that name where one is given; InvalidInputError if there is none."""
        for part in self.parts:
            if isinstance(part, part_type) and (name is None or part.name == name):
                return part
        called = "" if name is None else f" named {name!r}"
        raise InvalidInputError(f"the call has no {part_type.kind} part{called}")

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, None without one."""
        return None if self.deadline is None else self.deadline - monotonic()


@dataclass(frozen=True, slots=True)
class Usage:
    """What an outcome took; the server fills in the times."""

    input_token_count: int = 0
    output_token_count: int = 0
    cost_nano_usd: int = 0
    """What a hosted API charges for it, in billionths of a US dollar."""
    queue_us: int = 0
    compute_us: int = 0


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Answer:
    """Typed content from a model."""

    parts: tuple[Part, ...]
    finish_reason: FinishReason = FinishReason.COMPLETE
    usage: Usage = NO_USAGE


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model will not answer; a real outcome, not an error."""

    category: str = ""
    text: str = ""
    usage: Usage = NO_USAGE


Outcome: TypeAlias = Answer | Refusal
"""What came back for a call."""

Returned: TypeAlias = Answer | Refusal | EchelonError
"""What a batch adapter may put in an item's place; an error fails that item alone."""
