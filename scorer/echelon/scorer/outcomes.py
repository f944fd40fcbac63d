"""What came back for a sample, as the journal keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from echelon.adapters import Part


class State(StrEnum):
    """How a sample ended. Extraction may turn `answered` into `invalid`; nothing else changes after the journal."""

    ANSWERED = "answered"
    REFUSED = "refused"
    INVALID = "invalid"
    CRASHED = "crashed"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"

    @property
    def model_caused(self) -> bool:
        """Whether the sample counts with the metric's worst value."""
        return self in (State.REFUSED, State.INVALID, State.CRASHED)


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """A sample's end: `parts` where it was answered, else `reason`, a word of the contract, and `detail`."""

    task: str
    sample: str
    state: State
    parts: tuple[Part, ...] = ()
    reason: str = ""
    detail: str = ""
