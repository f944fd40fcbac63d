"""The tasks of one run together: which are won when all of them are looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, isfinite, log10
from typing import TypeVar

from echelon.scorer.verdict.budget import ALPHA, Budget
from echelon.scorer.verdict.p_value import COARSE, z_score
from echelon.scorer.verdict.task import FEWEST_CLUSTERS, Against, Lead, TaskTest

MOST_TIMES = 100.0
"""A suite with so many times more samples is another suite."""
_ROUNDS = 8
_CLOSE = 0.02
"""Relative change at which an estimated number of samples is good enough."""


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

    `p` and `below_p` are the task's own p values of "not above the sota by more than the margin" and "not below the
    sota". The adjusted ones are the family's (Holm), of "not above both sota and chance" and "not below the sota".
    `constant_p` is `adjusted_p` if a bare figure had no error; None for any other sota.
    """

    state: TaskState
    against: Against
    margin: float
    lead: Bounds
    """In the metric's unit; better than the sota is above 0, whatever the direction."""
    p: float
    below_p: float
    adjusted_p: float
    adjusted_below_p: float
    constant_p: float | None
    needed_n: int | None
    """About how many such samples would decide, were the lead what it looks like; None where this suite cannot."""
    undone_by: float | None
    """The share of the samples that would undo the lead if the model failed them; None without a lead."""


@dataclass(frozen=True, slots=True)
class TaskVerdict:
    """What can be said of a complete task: bounds of its score, and of its lead where it has a sota."""

    n: int
    clusters: int
    method: str
    score: Bounds
    """Each bound by itself at 1 - alpha."""
    level_bounds: Bounds
    """The score's bounds at the confidence that certified and possible scores take: `Budget.bound`."""
    chance_p: float
    """The task's own p value of "not above chance"."""
    below_chance_p: float
    """The family's p value of "not below chance"."""
    sota: LeadVerdict | None
    obstacle: str = ""
    """Why nothing is claimed, empty where something could be."""


@dataclass(frozen=True, slots=True)
class _PValues:
    """One p value of each task that could be tested, for each claim."""

    above: Mapping[str, float]
    above_both: Mapping[str, float]
    above_constant: Mapping[str, float]
    below: Mapping[str, float]
    below_chance: Mapping[str, float]


def decide(tests: Mapping[str, TaskTest], family: Collection[str], alpha: float = ALPHA) -> dict[str, TaskVerdict]:
    """Judge the tests that there are, by task; `family` are all tasks that could be won.

    A task of the family without a test, being incomplete or unsupported, counts: the family is declared, not found.
    """
    budget, ps = Budget.of(alpha), _p_values(tests)
    won = holm(ps.above_both, len(family))
    constant = holm(ps.above_constant, len(family))
    # Both are claims that something is worse, and share what these may spend.
    below = holm(
        {("sota", task): p for task, p in ps.below.items()}
        | {("chance", task): p for task, p in ps.below_chance.items()},
        len(family) + len(tests),
    )
    found = {}
    for task, test in tests.items():
        sota = None
        if test.lead is not None:
            above_p, below_p = won.get(task, 1.0), below.get(("sota", task), 1.0)
            sota = LeadVerdict(
                state=_state(test.lead, ps.above.get(task, 1.0), above_p, below_p, budget, alpha),
                against=test.lead.against,
                margin=test.lead.margin,
                lead=Bounds(test.lead.value, _finite(test.lead.lower(alpha)), _finite(test.lead.upper(alpha))),
                p=ps.above.get(task, 1.0),
                below_p=ps.below.get(task, 1.0),
                adjusted_p=above_p,
                adjusted_below_p=below_p,
                constant_p=constant.get(task),
                needed_n=None,
                undone_by=test.undone_by,
            )
            open_ended = sota.state in (TaskState.LIKELY, TaskState.UNDECIDED) and not test.incomparable
            # More samples like these show no lead that is not above chance.
            if open_ended and (test.lead.value <= 0 or test.over_chance):
                part = budget.won if test.lead.value > 0 else budget.below
                sota = replace(sota, needed_n=needed(test, test.lead, part / len(family)))
        found[task] = TaskVerdict(
            n=test.n,
            clusters=test.clusters,
            method=test.method,
            score=_bounds(test, alpha),
            level_bounds=_bounds(test, budget.bound),
            chance_p=test.above_chance(),
            below_chance_p=below[("chance", task)],
            sota=sota,
            obstacle=test.obstacle,
        )
    return found


def _p_values(tests: Mapping[str, TaskTest]) -> _PValues:
    leads = {task: test.lead for task, test in tests.items() if test.lead is not None and not test.obstacle}
    above = {task: lead.above() for task, lead in leads.items()}
    chance = {task: test.above_chance() for task, test in tests.items()}
    constants = {
        task: p
        for task, test in tests.items()
        if test.lead is not None and test.decidable and (p := test.lead.above_constant()) is not None
    }
    return _PValues(
        above=above,
        above_both={task: max(p, chance[task]) for task, p in above.items()},
        above_constant={task: max(p, chance[task]) for task, p in constants.items()},
        below={task: lead.below() for task, lead in leads.items()},
        below_chance={task: test.below_chance() for task, test in tests.items()},
    )


Key = TypeVar("Key", str, tuple[str, str])


def holm(ps: Mapping[Key, float], size: int) -> dict[Key, float]:
    """Adjust p values for a family of `size` hypotheses, of which those without a p value count as 1 (Holm 1979).

    >>> holm({"a": 0.01, "b": 0.02}, 5)
    {'a': 0.05, 'b': 0.08}
    """
    adjusted: dict[Key, float] = {}
    highest = 0.0
    for rank, key in enumerate(sorted(ps, key=lambda key: (ps[key], key))):
        highest = min(1.0, max(highest, ps[key] * (size - rank)))
        adjusted[key] = highest
    return adjusted


def _state(lead: Lead, p: float, adjusted_p: float, below_p: float, budget: Budget, alpha: float) -> TaskState:
    if adjusted_p <= budget.won and lead.value > lead.margin:
        return TaskState.WON
    if lead.tie:
        return TaskState.TIE
    if below_p <= budget.below and lead.value < 0:
        return TaskState.BELOW
    return TaskState.LIKELY if p <= alpha and lead.value > lead.margin else TaskState.UNDECIDED


def needed(test: TaskTest, lead: Lead, alpha: float) -> int | None:
    """Estimate how many such samples would show, at `alpha`, what the lead looks like; rounded up to two digits.

    None where the lead is nothing, or that would take more than `MOST_TIMES` as many.
    """
    if 0 <= lead.value <= lead.margin:
        return None
    p_of = lead.above if lead.value > 0 else lead.below
    times, target = lead.times_needed(alpha), z_score(alpha)
    for _ in range(_ROUNDS):
        if not times <= MOST_TIMES:
            return None
        # The deviate grows about as the root of the sample.
        step = (target / max(z_score(p_of(times, COARSE)), target / 3)) ** 2
        times *= step
        if abs(step - 1) < _CLOSE:
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
