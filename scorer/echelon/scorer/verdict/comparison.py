"""Two runs of one suite, task by task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from echelon.scorer.results import RunResult
from echelon.scorer.verdict.family import Bounds, LeadVerdict, TaskState, holm
from echelon.scorer.verdict.p_value import z_score

LEVEL = 0.05
"""Probability, at most, that any task is called different that is not, in either direction."""
POWER = 0.8


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
    """Compare the tasks of a run that was judged with the other as its reference run, two-sided at `LEVEL`.

    The result's own alpha must be `LEVEL / 2`, so that the bounds of each difference are a 95 % interval.
    """
    family = [task for task in result.tasks if task.sota is not None]
    leads = {
        task.task.id: task.verdict.sota for task in family if task.verdict is not None and task.verdict.sota is not None
    }
    adjusted = holm({task: min(1.0, 2 * min(lead.p, lead.below_p)) for task, lead in leads.items()}, len(family))
    for task in family:
        verdict, lead = task.verdict, leads.get(task.task.id)
        if task.score is None or task.sota is None or verdict is None or lead is None:
            continue
        p = adjusted[task.task.id]
        yield Comparison(
            task=task.task.id,
            first=task.score,
            second=task.sota.score,
            difference=lead.lead,
            p=p,
            word=_word(lead, p),
            detectable=None if verdict.obstacle else _detectable(lead, len(family)),
        )


def _word(lead: LeadVerdict, p: float) -> str:
    if lead.state is TaskState.TIE:
        return "the same"
    if p > LEVEL:
        return "undecided"
    return "better" if lead.lead.value > 0 else "worse"


def _detectable(lead: LeadVerdict, family: int) -> float | None:
    """Estimate the detectable difference from the interval's width; the strictest of Holm's steps counts."""
    if lead.lead.lower is None or lead.lead.upper is None:
        return None
    error = (lead.lead.upper - lead.lead.lower) / 2 / z_score(LEVEL / 2)
    return error * (z_score(LEVEL / 2 / family) + z_score(1 - POWER))
