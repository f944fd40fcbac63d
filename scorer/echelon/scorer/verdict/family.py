"""The tasks of one run together: which are won when all of them are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, fsum, isfinite, log10

from echelon.scorer.verdict.tail import deviate
from echelon.scorer.verdict.task import FEWEST_CLUSTERS, Against, Lead, TaskTest

ALPHA = 0.05
"""How often a run may claim anything that is not so."""
MOST_TIMES = 100.0
"""A suite with so many times more samples is another suite."""
_ROUNDS = 12


class TaskState(StrEnum):
    """How a task stands against its sota."""

    WON = "won"
    TIE = "tie"
    LIKELY = "likely"
    UNDECIDED = "undecided"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Bounds:
    """A value between two one-sided bounds, None where there is none; `lower` is the lesser number."""

    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class LeadVerdict:
    """What can be said of a task's lead over its sota, beside all other tasks of the run.

    `p` is the task's own p value of "not above the sota by more than the margin", `adjusted_p` the family's, `below_p`
    the family's of "not below the sota". `if_sampled_p` is `adjusted_p`, had a constant sota been measured on as many
    samples as the model; None where it is no constant.
    """

    state: TaskState
    against: Against
    margin: float
    lead: Bounds
    """In the metric's unit; better than the sota is above 0, whatever the direction."""
    p: float
    adjusted_p: float
    below_p: float
    if_sampled_p: float | None
    needed_n: int | None
    """About how many such samples would decide, were the lead what it looks like; None where this suite cannot."""


@dataclass(frozen=True, slots=True)
class TaskVerdict:
    """What can be said of a complete task: bounds of its score, and of its lead where it has a sota."""

    n: int
    clusters: int
    method: str
    score: Bounds
    chance_p: float
    """The task's own p value of "not above chance"."""
    sota: LeadVerdict | None
    obstacle: str = ""
    """Why nothing is claimed, empty where something could be."""


def decide(tests: Mapping[str, TaskTest], family: Mapping[str, float], alpha: float = ALPHA) -> dict[str, TaskVerdict]:
    """The verdicts of the tests that there are, by task; `family` are all tasks that could be won, with their shares.

    A task of the family without a test, being incomplete or unsupported, counts: the family is declared, not found.
    """
    evenly = dict.fromkeys(family, 1.0)
    leads = {task: test.lead for task, test in tests.items() if test.lead is not None and not test.obstacle}
    above = {task: lead.above() for task, lead in leads.items()}
    won = holm(above, family)
    below = holm({task: lead.below() for task, lead in leads.items()}, evenly)
    as_sampled = {task: lead.if_sampled() for task, lead in leads.items()}
    sampled = holm({task: above[task] if p is None else p for task, p in as_sampled.items()}, family)
    found = {}
    for task, test in tests.items():
        sota = None
        if test.lead is not None:
            ps = (above.get(task, 1.0), won.get(task, 1.0), below.get(task, 1.0), sampled.get(task, 1.0))
            strictest = alpha / len(family)
            if test.lead.value > 0:
                strictest *= family[task]
            sota = _lead_verdict(test, test.lead, *ps, alpha, strictest)
        found[task] = TaskVerdict(
            n=test.n,
            clusters=test.clusters,
            method=test.method,
            score=_bounds(test, alpha),
            chance_p=test.score.above(test.chance) if test.decidable else 1.0,
            sota=sota,
            obstacle=test.obstacle,
        )
    return found


def holm(ps: Mapping[str, float], family: Mapping[str, float]) -> dict[str, float]:
    """The p values adjusted for a family of tasks with their shares, where missing ones count as 1 (Holm 1979)."""
    adjusted, highest, left = {}, 0.0, fsum(family.values())
    for task in sorted(ps, key=lambda task: (ps[task] / family[task], task)):
        highest = min(1.0, max(highest, ps[task] / family[task] * left))
        adjusted[task] = highest
        left -= family[task]
    return adjusted


def _lead_verdict(
    test: TaskTest,
    lead: Lead,
    p: float,
    adjusted_p: float,
    below_p: float,
    sampled_p: float,
    alpha: float,
    strictest: float,
) -> LeadVerdict:
    state = _state(lead, p, adjusted_p, below_p, alpha)
    open_ = state in (TaskState.LIKELY, TaskState.UNDECIDED)
    return LeadVerdict(
        state=state,
        against=lead.against,
        margin=lead.margin,
        lead=Bounds(lead.value, _finite(lead.lower(alpha)), _finite(lead.upper(alpha))),
        p=p,
        adjusted_p=adjusted_p,
        below_p=below_p,
        if_sampled_p=sampled_p if lead.against is Against.CONSTANT else None,
        needed_n=needed(test, lead, strictest) if open_ and test.comparable else None,
    )


def _state(lead: Lead, p: float, adjusted_p: float, below_p: float, alpha: float) -> TaskState:
    if adjusted_p <= alpha:
        return TaskState.WON
    if lead.tie:
        return TaskState.TIE
    if below_p <= alpha:
        return TaskState.BELOW
    return TaskState.LIKELY if p <= alpha else TaskState.UNDECIDED


def needed(test: TaskTest, lead: Lead, alpha: float) -> int | None:
    """How many such samples would show, at `alpha`, what the lead looks like; rounded up to two digits.

    None where the lead is nothing, or that would take more than `MOST_TIMES` as many.
    """
    if 0 <= lead.value <= lead.margin:
        return None
    p_of = lead.above if lead.value > 0 else lead.below
    times, target = 1.0, deviate(alpha)
    for _ in range(_ROUNDS):
        reached = deviate(p_of(times))
        # The deviate grows about as the root of the sample.
        step = (target / max(reached, target / 3)) ** 2
        times *= step
        if times > 3 * MOST_TIMES or abs(step - 1) < 0.02:
            break
    times = max(times, FEWEST_CLUSTERS / test.clusters)
    return _two_digits(times * test.n) if times <= MOST_TIMES else None


def _two_digits(number: float) -> int:
    unit = int(10 ** max(0, int(log10(number)) - 1))
    return ceil(number / unit) * unit


def _bounds(test: TaskTest, alpha: float) -> Bounds:
    """The score's, in the metric's own direction."""
    evidence, sign = test.score, test.sign
    lower, upper = evidence.lower(alpha), evidence.upper(alpha)
    if sign < 0:
        lower, upper = -upper, -lower
    least, most = test.range
    return Bounds(sign * evidence.value, _finite(max(lower, least)), _finite(min(upper, most)))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
