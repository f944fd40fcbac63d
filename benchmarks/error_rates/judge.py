"""The verdict under test, through its public functions: the only module here that knows their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from echelon.adapters import Composition, Kind
from echelon.scorer.levels import EDITIONS, gate_won, sigma
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.outcomes import State
from echelon.scorer.results import Sota, TaskResult
from echelon.scorer.suites.suite import Modality, Paradigm, Task
from echelon.scorer.verdict.budget import ALPHA, Budget
from echelon.scorer.verdict.family import TaskState, decide
from echelon.scorer.verdict.figures import LevelVerdict
from echelon.scorer.verdict.levels import level_verdict
from echelon.scorer.verdict.task import Measured, Opponent, TaskTest, examine

WON = Budget.of(ALPHA).won
"""What won tasks may be wrong by, of `ALPHA`."""

__all__ = ["ALPHA", "WON", "Judge", "Observed", "Ps", "Run", "RunTask", "judge_run", "ps", "states", "t_test"]


@dataclass(frozen=True)
class Observed:
    """What one task of one run came to.

    `rows` are the samples' stats (samples x stats), `worst` those of a failed sample, `clusters` a number per sample,
    None where each sample is a cluster of its own. The sota is either `reference`, the stats of a reference run on the
    same samples, or `figure`, published with its `standard_error`, with `n` samples or with nothing.
    """

    metric: Metric
    rows: NDArray[np.float64]
    worst: tuple[float, ...]
    clusters: NDArray[np.int64] | None = None
    reference: NDArray[np.float64] | None = None
    figure: float = 0.0
    n: int | None = None
    standard_error: float | None = None
    margin: float = 0.0
    chance: float | None = None


class Ps(NamedTuple):
    """The p values of "not above the sota" and of "not below it", before other tasks are looked at."""

    above: float
    below: float


Judge = Callable[[Observed], Ps]


def ps(observed: Observed) -> Ps:
    """What the verdict says of one task."""
    test = _test(observed)
    if test.lead is None or test.obstacle:
        return Ps(1.0, 1.0)
    return Ps(test.lead.above(), test.lead.below())


def constant_ps(observed: Observed) -> Ps:
    """The same against the figure as a constant, were it known without error."""
    score, sign = _test(observed).score, 1.0 if observed.metric.higher_is_better else -1.0
    return Ps(score.above(sign * observed.figure), score.below(sign * observed.figure))


def states(observed: Observed, family: int = 1) -> tuple[bool, bool]:
    """Whether the task is `won`, and whether it is `below`, in a family where no other task has a result."""
    members = [str(index) for index in range(family)]
    verdict = decide({"0": _test(observed)}, members)["0"].sota
    return verdict is not None and verdict.state is TaskState.WON, (
        verdict is not None and verdict.state is TaskState.BELOW
    )


def t_test(observed: Observed) -> Ps:
    """A t test of the samples in the verdict's place, which the cases have to find wrong."""
    sign = 1.0 if observed.metric.higher_is_better else -1.0
    values = sign * observed.rows[:, 0]
    gains = values - (sign * observed.figure if observed.reference is None else sign * observed.reference[:, 0])
    spread = float(gains.std(ddof=1)) / sqrt(len(gains))
    if spread == 0:
        return Ps(float(gains[0] <= 0), float(gains[0] >= 0))
    t = float(gains.mean()) / spread
    return Ps(float(stats.t.sf(t, len(gains) - 1)), float(stats.t.cdf(t, len(gains) - 1)))


class RunTask(NamedTuple):
    """A task's place in a run, and what it came to; None where it is incomplete."""

    observed: Observed
    paradigm: Paradigm
    modality: Modality = Modality.IMAGE
    skill: str = ""


class Run(NamedTuple):
    """What a run claims: the tasks that are won and below, by their places, and the levels by edition."""

    won: tuple[int, ...]
    below: tuple[int, ...]
    levels: Mapping[str, LevelVerdict]


def judge_run(tasks: Sequence[RunTask]) -> Run:
    """The verdict of a whole run."""
    tests = {f"task-{place}": _test(task.observed) for place, task in enumerate(tasks)}
    results = [_result(name, task) for name, task in zip(tests, tasks, strict=True)]
    verdicts = decide(tests, list(tests))
    judged = [replace(each, verdict=verdicts[each.task.id]) for each in results]
    found = [verdicts[name].sota for name in tests]
    return Run(
        won=tuple(place for place, each in enumerate(found) if each and each.state is TaskState.WON),
        below=tuple(place for place, each in enumerate(found) if each and each.state is TaskState.BELOW),
        levels={edition: level_verdict(edition, judged, Composition.SINGLE, ALPHA) for edition in EDITIONS},
    )


def _test(observed: Observed) -> TaskTest:
    rows = _tuples(observed.rows)
    clusters = _names(len(rows)) if observed.clusters is None else [f"{each:06}" for each in observed.clusters]
    metric = observed.metric
    chance = observed.chance
    if chance is None:
        chance = metric.finish([observed.worst])
    reference = observed.reference
    if reference is None:
        opponent = Opponent(observed.figure, observed.margin, observed.n, standard_error=observed.standard_error)
    else:
        others = _tuples(reference)
        opponent = Opponent(metric.finish(others), observed.margin, rows=others)
    return examine(Measured(metric, rows, clusters, observed.worst), chance, opponent)


def _result(name: str, task: RunTask) -> TaskResult:
    observed, metric = task.observed, task.observed.metric
    score = metric.finish(_tuples(observed.rows))
    sota = observed.figure if observed.reference is None else metric.finish(_tuples(observed.reference))
    about = Task(
        id=name,
        title="",
        modality=task.modality,
        paradigm=task.paradigm,
        skill=task.skill or name,
        instruction="",
        output=(Kind.TEXT,),
        extractor="text",
        metric=metric.name,
        chance=0.0 if observed.chance is None else observed.chance,
        margin=observed.margin,
    )
    sigmas = [{edition: sigma(metric.name, value, edition) for edition in EDITIONS} for value in (score, sota)]
    run = "" if observed.reference is None else "reference"
    return TaskResult(
        task=about,
        metric_id=metric.id,
        higher_is_better=metric.higher_is_better,
        unit=metric.unit,
        sample_count=len(observed.rows),
        counts={State.ANSWERED: len(observed.rows)},
        score=score,
        sota=Sota(sota, "", n=observed.n, run=run),
        sigmas=sigmas[0],
        sota_sigmas=sigmas[1],
        above_chance=True,
        won=gate_won(score, sota, metric.higher_is_better),
    )


def _tuples(rows: NDArray[np.float64]) -> list[list[float]]:
    return rows.tolist()


@cache
def _names(count: int) -> list[str]:
    return [f"{place:06}" for place in range(count)]
