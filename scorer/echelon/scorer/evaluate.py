"""From journal and suite to a result: extract, measure, map, level. Never asks the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt

from echelon.adapters import Card
from echelon.adapters.errors import ConfigurationError, MissingExtraError
from echelon.scorer.errors import NotComputedError
from echelon.scorer.extract import extractor
from echelon.scorer.instruments import Instruments
from echelon.scorer.levels import EDITIONS, gate_won, level, sigma
from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.metrics.registry import metric, metric_type
from echelon.scorer.outcomes import State
from echelon.scorer.results import PendingSota, RunResult, Sota, TaskResult, TaskSota
from echelon.scorer.suites.suite import Suite, Task
from echelon.scorer.tallies import Journal, Outcomes, Tally
from echelon.scorer.verdict.budget import ALPHA
from echelon.scorer.verdict.family import decide
from echelon.scorer.verdict.levels import level_verdict
from echelon.scorer.verdict.task import Measured, Opponent, TaskTest, examine

VIEWED = 3
"""Samples of each task that the report shows."""
_BLOCKS = 20
_CLEARLY = 3.58
"""Standard errors above chance: the upper 0.1 % point of Student's t with 19 degrees of freedom."""


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
    alpha: float = ALPHA
    """How often the verdict may be wrong."""


def evaluate(
    evaluation: Evaluation, journal: Journal, sota: Mapping[str, TaskSota], *, viewed: int = VIEWED
) -> RunResult:
    """The result of a run as far as it has come."""
    found = [_task_result(evaluation, journal, task, sota.get(task.id), viewed) for task in evaluation.tasks]
    tasks = _judged(found, evaluation.alpha)
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
        verdicts=tuple(
            level_verdict(edition, tasks, evaluation.card.composition, evaluation.alpha) for edition in EDITIONS
        ),
    )


def _judged(found: Sequence[tuple[TaskResult, TaskTest | None]], alpha: float) -> tuple[TaskResult, ...]:
    """The tasks with their verdicts: every task with a sota is of the family, whether it could be tested or not."""
    family = [result.task.id for result, _ in found if result.sota is not None]
    verdicts = decide({result.task.id: test for result, test in found if test is not None}, family, alpha)
    return tuple(replace(result, verdict=verdicts.get(result.task.id)) for result, _ in found)


def _scope(evaluation: Evaluation) -> str:
    """What the levels are over: a part of a suite must not pass for the whole."""
    label, chosen, all_tasks = evaluation.suite.info.label, len(evaluation.tasks), len(evaluation.suite.tasks)
    return label if chosen == all_tasks else f"{chosen} of the {all_tasks} tasks of {label}"


def _task_result(
    evaluation: Evaluation, journal: Journal, task: Task, sota: TaskSota | None, viewed: int
) -> tuple[TaskResult, TaskTest | None]:
    if task.not_computed:
        return _not_computed(evaluation, journal, task, sota, task.not_computed), None
    reference = sota.run if sota else ""
    try:
        measure = metric(task.metric, task.worst, task.labels, instruments=evaluation.instruments)
        metric_id = f"{measure.id}|{extractor(task.extractor).id}"
        tally = _tally(evaluation, journal, task, measure, viewed=viewed, reference=reference)
    except (NotComputedError, MissingExtraError) as error:
        return _not_computed(evaluation, journal, task, sota, str(error)), None
    # Only a whole sample set has a score; a missing sample is not a wrong one.
    score = measure.finish(tally.rows) if tally.rows and len(tally.rows) == tally.samples else None
    opponent = _measured_sota(task, measure, metric_id, tally, sota)
    up, answered = measure.higher_is_better, bool(tally.counts[State.ANSWERED])
    result = TaskResult(
        task=task,
        metric_id=metric_id,
        higher_is_better=up,
        unit=measure.unit,
        sample_count=tally.samples,
        counts=dict(sorted(tally.counts.items())),
        score=score,
        sota=opponent,
        sigmas=_sigmas(task, score) if answered else dict.fromkeys(EDITIONS if score is not None else (), 0.0),
        sota_sigmas=_sigmas(task, opponent.score if opponent else None),
        above_chance=answered and score is not None and _clearly_above(task.chance, score, measure, tally.rows),
        won=answered and score is not None and opponent is not None and gate_won(score, opponent.score, up),
        viewed=tuple(tally.viewed),
    )
    # Of a task without a single answer there is nothing to test.
    return result, None if score is None or not answered else _test(measure, task, tally, opponent)


def _tally(
    evaluation: Evaluation,
    journal: Journal,
    task: Task,
    measure: Metric | None,
    *,
    viewed: int = 0,
    reference: str = "",
) -> Tally:
    """What the task's samples add up to; without a metric, only how they ended."""
    outcomes = Outcomes(journal, evaluation.run, evaluation.suite)
    if task.id in evaluation.unsupported:
        return outcomes.unsupported(task, measure, reference)
    if measure is None:
        return outcomes.counted(task)
    return outcomes.measured(task, measure, viewed=viewed, reference=reference)


def _test(measure: Metric, task: Task, tally: Tally, sota: Sota | None) -> TaskTest:
    opponent = None
    if sota is not None:
        rows = tally.reference if len(tally.reference) == tally.samples else None
        opponent = Opponent(sota.score, task.margin, sota.n, rows, sota.standard_error)
    return examine(Measured(measure, tally.rows, tally.clusters, tally.worst), task.chance, opponent)


def _not_computed(
    evaluation: Evaluation, journal: Journal, task: Task, sota: TaskSota | None, reason: str
) -> TaskResult:
    """What is known of a task without its score: the metric's direction and unit, and how the samples ended."""
    tally = _tally(evaluation, journal, task, None)
    known = _known_type(task.metric)
    return TaskResult(
        task=task,
        metric_id="",
        higher_is_better=known.higher_is_better if known else None,
        unit=known.unit if known else "",
        sample_count=tally.samples,
        counts=dict(sorted(tally.counts.items())),
        score=None,
        sota=None if isinstance(sota, PendingSota) else sota,
        sigmas={},
        sota_sigmas={},
        above_chance=False,
        won=False,
        not_computed=reason,
    )


def _known_type(name: str) -> type[Metric] | None:
    """Return the metric's class, None for a plug-in whose module needs a package that is not installed."""
    try:
        return metric_type(name)
    except MissingExtraError:
        return None


def _measured_sota(task: Task, measure: Metric, metric_id: str, tally: Tally, sota: TaskSota | None) -> Sota | None:
    """Return the sota in this metric: a reference run that has all outcomes is measured here, as the run itself is.

    So it never was measured with other instruments or another version of the metric. Only where its outcomes are not
    at hand does the stored score count; ConfigurationError if that is of another metric.
    """
    if sota is None:
        return None
    if sota.run and tally.reference and len(tally.reference) == tally.samples:
        return Sota(measure.finish(tally.reference), sota.source, tally.samples, metric_id, sota.run)
    if isinstance(sota, PendingSota):
        return None
    if sota.metric_id and sota.metric_id != metric_id:
        raise ConfigurationError(
            f"task {task.id}: the sota from {sota.source} was measured with {sota.metric_id}, this Echelon measures "
            f"with {metric_id}, and the outcomes of the reference run are not in this store; name another with --sota"
        )
    return sota


def _sigmas(task: Task, score: float | None) -> dict[str, float]:
    if score is None:
        return {}
    return {edition: sigma(task.metric, score, edition) for edition in EDITIONS}


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
