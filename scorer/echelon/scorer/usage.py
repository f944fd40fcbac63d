"""What the calls of a run took: tokens, money and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from echelon.adapters import Usage
from echelon.adapters.calls import NO_USAGE


@dataclass(frozen=True, slots=True)
class Spent:
    """What one call for a sample took, whatever became of it."""

    task: str
    sample: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class TotalUsage:
    """What all calls took of which it is known; `samples` is how many samples they were for.

    A call in a batch counts the whole time of the batch, which is all that the contract tells.
    """

    calls: int = 0
    samples: int = 0
    usage: Usage = NO_USAGE


def total(parts: Iterable[TotalUsage]) -> TotalUsage:
    """All of them together."""
    parts = tuple(parts)
    return TotalUsage(
        sum(part.calls for part in parts),
        sum(part.samples for part in parts),
        Usage(*(sum(getattr(part.usage, field.name) for part in parts) for field in fields(Usage))),
    )
