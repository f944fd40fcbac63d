"""Two runs of one suite, task by task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from echelon.scorer.results import RunResult
from echelon.scorer.verdict.family import Bounds, LeadVerdict, TaskState
from echelon.scorer.verdict.tail import deviate

LEVEL = 0.05
"""How often any task may be said to differ that does not, in either direction."""
POWER = 0.8

_WORDS = {TaskState.WON: "better", TaskState.BELOW: "worse", TaskState.TIE: "the same"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one task went in both runs; `difference` is above 0 where the first is better, whatever the direction.

    `p` is two-sided and adjusted for all tasks (Holm); `detectable` is the difference that would be found with a
    probability of 80 %, None where nothing can be.
    """

    task: str
    first: float
    second: float
    difference: Bounds
    p: float
    word: str
    detectable: float | None


def compared(result: RunResult) -> Iterator[Comparison]:
    """The tasks of a run that was judged with the other as its reference run, at `LEVEL / 2` in each direction."""
    family = sum(task.sota is not None for task in result.tasks)
    for task in result.tasks:
        verdict = task.verdict
        if task.score is None or task.sota is None or verdict is None or verdict.sota is None:
            continue
        lead = verdict.sota
        yield Comparison(
            task=task.task.id,
            first=task.score,
            second=task.sota.score,
            difference=lead.lead,
            p=min(1.0, 2 * min(lead.adjusted_p, lead.below_p)),
            word=_WORDS.get(lead.state, "undecided"),
            detectable=None if verdict.obstacle else _detectable(lead, family),
        )


def _detectable(lead: LeadVerdict, family: int) -> float | None:
    """From the interval's width, which stands for the error; the strictest of Holm's steps counts."""
    if lead.lead.lower is None or lead.lead.upper is None:
        return None
    error = (lead.lead.upper - lead.lead.lower) / 2 / deviate(LEVEL / 2)
    return error * (deviate(LEVEL / 2 / family) + deviate(1 - POWER))
