"""From journal and suite to a result: extract, measure, map, level. Never asks the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, isfinite, sqrt
from typing import Protocol

from echelon.adapters import Card
from echelon.adapters.errors import ConfigurationError, MissingExtraError
from echelon.scorer.errors import NotComputedError
from echelon.scorer.extract import InvalidAnswer, extract, extractor
from echelon.scorer.instruments import Instruments
from echelon.scorer.levels import EDITIONS, gate_won, level, sigma
from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.metrics.registry import metric
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import RunResult, Sota, TaskResult, ViewedSample
from echelon.scorer.suites.suite import Sample, Suite, Task

VIEWED = 3
"""Samples of each task that the report shows."""
_BLOCKS = 20
_CLEARLY = 3.58
"""Standard errors above chance: the upper 0.1 % point of Student's t with 19 degrees of freedom."""


class Outcomes(Protocol):
    """Where a run's outcomes come from."""

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        """The outcome of each of these samples, in their order; None where there is none yet."""
        ...

    def tried(self, run: str, task: str) -> set[str]:
        """The samples of which some try failed."""
        ...


@dataclass
class _Tally:
    """What a task's samples add up to."""

    rows: list[Stats] = field(default_factory=list)
    counts: Counter[State] = field(default_factory=Counter)
    viewed: list[ViewedSample] = field(default_factory=list)
    samples: int = 0


@dataclass(frozen=True)
class Evaluation:
    """Everything but the outcomes that a result depends on."""

    suite: Suite
    run: str
    card: Card
    target: str
    seed: int
    settings: Mapping[str, str]
    tasks: tuple[Task, ...]
    unsupported: frozenset[str]
    """Ids of the tasks that the card does not list."""
    instruments: Instruments | None = None
    """What metrics that need a network measure with."""


def evaluate(evaluation: Evaluation, journal: Outcomes, sota: Mapping[str, Sota], *, viewed: int = VIEWED) -> RunResult:
    """The result of a run as far as it has come."""
    tasks = tuple(_task_result(evaluation, journal, task, sota.get(task.id), viewed) for task in evaluation.tasks)
    scope = _scope(evaluation)
    return RunResult(
        run_id=evaluation.run,
        suite=evaluation.suite.info,
        card=evaluation.card,
        target=evaluation.target,
        seed=evaluation.seed,
        settings=evaluation.settings,
        tasks=tasks,
        levels=tuple(level(edition, tasks, evaluation.card.composition, scope) for edition in EDITIONS),
    )


def _scope(evaluation: Evaluation) -> str:
    """What the levels are over: a part of a suite must not pass for the whole."""
    label, chosen, all_tasks = evaluation.suite.info.label, len(evaluation.tasks), len(evaluation.suite.tasks)
    return label if chosen == all_tasks else f"{chosen} of the {all_tasks} tasks of {label}"


def _task_result(evaluation: Evaluation, journal: Outcomes, task: Task, sota: Sota | None, viewed: int) -> TaskResult:
    if task.not_computed:
        return _not_computed(evaluation, journal, task, sota, task.not_computed)
    try:
        measure = metric(task.metric, task.worst, task.labels, instruments=evaluation.instruments)
        metric_id = f"{measure.id}|{extractor(task.extractor).id}"
        _check_comparable(task, metric_id, sota)
        tally = _tally(evaluation, journal, task, measure, viewed)
    except (NotComputedError, MissingExtraError) as error:
        return _not_computed(evaluation, journal, task, sota, str(error))
    # Only a whole sample set has a score; a missing sample is not a wrong one.
    score = measure.finish(tally.rows) if tally.rows and len(tally.rows) == tally.samples else None
    up = measure.higher_is_better
    return TaskResult(
        task=task,
        metric_id=metric_id,
        higher_is_better=up,
        unit=measure.unit,
        sample_count=tally.samples,
        counts=dict(sorted(tally.counts.items())),
        score=score,
        sota=sota,
        sigmas=_sigmas(task, score),
        sota_sigmas=_sigmas(task, sota.score if sota else None),
        above_chance=score is not None and _clearly_above(task.chance, score, measure, tally.rows),
        won=score is not None and sota is not None and gate_won(score, sota.score, up),
        viewed=tuple(tally.viewed),
    )


def _not_computed(evaluation: Evaluation, journal: Outcomes, task: Task, sota: Sota | None, reason: str) -> TaskResult:
    """What is known of a task without its metric: how its samples ended."""
    tally = _counted(evaluation, journal, task)
    return TaskResult(
        task=task,
        metric_id="",
        higher_is_better=True,
        unit="",
        sample_count=tally.samples,
        counts=dict(sorted(tally.counts.items())),
        score=None,
        sota=sota,
        sigmas={},
        sota_sigmas={},
        above_chance=False,
        won=False,
        not_computed=reason,
    )


def _check_comparable(task: Task, metric_id: str, sota: Sota | None) -> None:
    if sota is not None and sota.metric_id and sota.metric_id != metric_id:
        raise ConfigurationError(
            f"task {task.id}: the sota from {sota.source} was measured with {sota.metric_id}, this Echelon measures "
            f"with {metric_id}; name the reference run again with --sota, and it is measured anew"
        )


def _sigmas(task: Task, score: float | None) -> dict[str, float]:
    if score is None:
        return {}
    return {edition: sigma(task.metric, score, edition) for edition in EDITIONS}


def _tally(evaluation: Evaluation, journal: Outcomes, task: Task, measure: Metric, viewed: int) -> _Tally:
    suite, run = evaluation.suite, evaluation.run
    if task.id in evaluation.unsupported:
        return _counted(evaluation, journal, task)
    tally = _Tally()
    tried = journal.tried(run, task.id)
    outcomes = journal.outcomes(run, task.id, suite.sample_ids(task))
    # One sample and its outcome at a time: media may be large.
    for sample, outcome in zip(suite.samples(task), outcomes, strict=True):
        tally.samples += 1
        if outcome is not None:
            _add(tally, measure, task, sample, outcome, viewed)
        elif sample.id in tried:
            tally.counts[State.UNAVAILABLE] += 1
    return tally


def _counted(evaluation: Evaluation, journal: Outcomes, task: Task) -> _Tally:
    """How the samples ended, without looking into the answers."""
    ids = evaluation.suite.sample_ids(task)
    if task.id in evaluation.unsupported:
        return _Tally(counts=Counter({State.UNSUPPORTED: len(ids)}), samples=len(ids))
    tried = journal.tried(evaluation.run, task.id)
    tally = _Tally(samples=len(ids))
    for sample, outcome in zip(ids, journal.outcomes(evaluation.run, task.id, ids), strict=True):
        if outcome is not None:
            tally.counts[outcome.state] += 1
        elif sample in tried:
            tally.counts[State.UNAVAILABLE] += 1
    return tally


def _add(tally: _Tally, measure: Metric, task: Task, sample: Sample, outcome: SampleOutcome, viewed: int) -> None:
    state, detail = outcome.state, outcome.detail
    stats = None
    if state is State.ANSWERED:
        try:
            stats = measure.sample(extract(task.extractor, outcome.parts, task), sample.references)
        except InvalidAnswer as error:
            state, detail = State.INVALID, str(error)
    if stats is None:
        stats = measure.worst(sample.references)
    tally.counts[state] += 1
    tally.rows.append(stats)
    if len(tally.viewed) < viewed:
        alone = measure.finish([stats])
        tally.viewed.append(
            ViewedSample(
                id=sample.id,
                instruction=sample.instruction,
                inputs=sample.parts,
                references=sample.references,
                state=state,
                answer=outcome.parts,
                score=alone if isfinite(alone) else None,
                detail=detail,
            )
        )


def _clearly_above(chance: float, score: float, measure: Metric, rows: Sequence[Stats]) -> bool:
    """Whether the score is above chance by more than luck would have it.

    The standard error is a grouped jackknife's, which holds for every metric: Quenouille 1956, Miller 1974. Fewer
    samples than it has groups prove nothing.
    """
    lift = score - chance if measure.higher_is_better else chance - score
    if lift <= 0 or len(rows) < _BLOCKS:
        return False
    left_out = [measure.finish([row for i, row in enumerate(rows) if i % _BLOCKS != block]) for block in range(_BLOCKS)]
    mean = fsum(left_out) / _BLOCKS
    error = sqrt((_BLOCKS - 1) / _BLOCKS * fsum((value - mean) ** 2 for value in left_out))
    return lift > _CLEARLY * error
