"""What is known of a task's chance: the figure, the rule behind it, and the answers that it stands for."""

from __future__ import annotations

from dataclasses import dataclass

RULE = "blind@3"
"""How chance is measured, docs/verdict.md; raise the version with any change that can change a figure."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A task's chance in its metric's own unit; `score` is None where it is unknown, for the `reason` given.

    `measured` is the best blind answer's score, `declared` the task's own figure, and `score` the better of the two.
    `candidates` name the answers behind the measured one, empty where they must not be told.
    """

    score: float | None
    rule: str = RULE
    measured: float | None = None
    declared: float | None = None
    candidates: tuple[str, ...] = ()
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str, declared: float | None = None) -> Chance:
        """A chance that nothing tells: its task lifts no level."""
        return cls(None, declared=declared, reason=reason)


NOT_MEASURED = Chance.unknown("it was not measured")
"""Of a task that has no score to hold against it."""
