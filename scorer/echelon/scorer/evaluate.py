"""From journal and suite to a result: extract, measure, map, level. Never asks the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from echelon.adapters import Card
from echelon.adapters.errors import ConfigurationError, MissingExtraError
from echelon.scorer.chance.above import alpha_of_a_task, clearly_above
from echelon.scorer.chance.cache import ChanceCache
from echelon.scorer.chance.measurement import chance_of
from echelon.scorer.chance.outcome import Chance
from echelon.scorer.errors import NotComputedError
from echelon.scorer.extract import extractor
from echelon.scorer.instruments import Instruments
from echelon.scorer.levels import EDITIONS, gate_won, level, sigma
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric, metric_type
from echelon.scorer.outcomes import State
from echelon.scorer.results import PendingSota, RunResult, Sota, TaskResult, TaskSota
from echelon.scorer.suites.suite import Suite, Task
from echelon.scorer.tallies import Journal, Outcomes, Tally
from echelon.scorer.verdict.budget import ALPHA
from echelon.scorer.verdict.evidence import is_mean
from echelon.scorer.verdict.family import decide
from echelon.scorer.verdict.levels import level_verdict
from echelon.scorer.verdict.task import Measured, Opponent, TaskTest, examine

VIEWED = 3
"""Samples of each task that the report shows."""


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
    whole: Suite | None = None
    """The suite with all its samples, over which chance is measured, where `suite` leaves some out."""
    cache: ChanceCache | None = None
    """Where measured chances are cached; it changes no result."""


def evaluate(
    evaluation: Evaluation, journal: Journal, sota: Mapping[str, TaskSota], *, viewed: int = VIEWED
) -> RunResult:
    """The result of a run as far as it has come."""
    found = [_task_result(evaluation, journal, task, sota.get(task.id), viewed) for task in evaluation.tasks]
    tasks = _judged(found, evaluation)
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


@dataclass(frozen=True, slots=True)
class _Found:
    """A task's result before other tasks are looked at, its test, and what the verdict's p value against chance may be.

    Only with such a p value, beside the jackknife, does the task lift a level of the point gate.
    """

    result: TaskResult
    test: TaskTest | None = None
    most_chance_p: float = 1.0


def _judged(found: Sequence[_Found], evaluation: Evaluation) -> tuple[TaskResult, ...]:
    """The tasks with their verdicts: every task with a sota is of the family, whether it could be tested or not."""
    family = [each.result.task.id for each in found if each.result.sota is not None]
    tests = {each.result.task.id: each.test for each in found if each.test is not None}
    verdicts = decide(tests, family, evaluation.alpha)
    tasks = []
    for each in found:
        result, verdict = each.result, verdicts.get(each.result.task.id)
        above = result.above_chance and verdict is not None and verdict.chance_p <= each.most_chance_p
        tasks.append(replace(result, verdict=verdict, above_chance=above, won=result.won and above))
    return tuple(tasks)


def _scope(evaluation: Evaluation) -> str:
    """What the levels are over: a part of a suite must not pass for the whole."""
    label, chosen, all_tasks = evaluation.suite.info.label, len(evaluation.tasks), len(evaluation.suite.tasks)
    return label if chosen == all_tasks else f"{chosen} of the {all_tasks} tasks of {label}"


def _task_result(evaluation: Evaluation, journal: Journal, task: Task, sota: TaskSota | None, viewed: int) -> _Found:
    if task.not_computed:
        return _Found(_not_computed(evaluation, journal, task, sota, task.not_computed))
    reference = sota.run if sota else ""
    try:
        measure = metric(task.metric, task.worst, task.labels, instruments=evaluation.instruments)
        metric_id = f"{measure.id}|{extractor(task.extractor).id}"
        tally = _tally(evaluation, journal, task, measure, viewed=viewed, reference=reference)
    except (NotComputedError, MissingExtraError) as error:
        return _Found(_not_computed(evaluation, journal, task, sota, str(error)))
    # Only a whole sample set has a score; a missing sample is not a wrong one.
    score = measure.finish(tally.rows) if tally.rows and len(tally.rows) == tally.samples else None
    if score is not None and not isfinite(score):
        reason = f"{measure.name} is not defined over these samples: its value is {score}"
        return _Found(_not_computed(evaluation, journal, task, sota, reason))
    opponent = _measured_sota(task, measure, metric_id, tally, sota)
    up, answered = measure.higher_is_better, bool(tally.counts[State.ANSWERED])
    chance = _chance(evaluation, task, measure) if score is not None else Chance.unknown("the task has no score")
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
        above_chance=answered and chance.score is not None and _clearly_above(evaluation, measure, tally, chance.score),
        won=answered and score is not None and opponent is not None and gate_won(score, opponent.score, up),
        viewed=tuple(tally.viewed),
        chance=chance,
    )
    # Of a task without a single answer there is nothing to test.
    if score is None or not answered:
        return _Found(result)
    return _Found(result, _test(measure, task, tally, chance, opponent), _most_chance_p(evaluation, measure))


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


def _chance(evaluation: Evaluation, task: Task, measure: Metric) -> Chance:
    """The task's chance over all samples of the suite, whichever of them the run has."""
    return chance_of(evaluation.whole or evaluation.suite, task, measure, evaluation.cache)


def _clearly_above(evaluation: Evaluation, measure: Metric, tally: Tally, chance: float) -> bool:
    alpha = alpha_of_a_task(ALPHA, len(evaluation.suite.tasks))
    return clearly_above(measure, tally.rows, tally.clusters, chance, alpha)


def _most_chance_p(evaluation: Evaluation, measure: Metric) -> float:
    """What the verdict's p value may be: the jackknife knows nothing of a scale's ends, where samples do not differ.

    For a mean of fractions the verdict's test is exact; for other fractions it has little power and is a check only,
    and on open scales it has next to none.
    """
    if measure.unit != "fraction":
        return 1.0
    return alpha_of_a_task(ALPHA, len(evaluation.suite.tasks)) if is_mean(measure) else ALPHA


def _test(measure: Metric, task: Task, tally: Tally, chance: Chance, sota: Sota | None) -> TaskTest:
    opponent = None
    if sota is not None:
        rows = tally.reference if len(tally.reference) == tally.samples else None
        opponent = Opponent(sota.score, task.margin, sota.n, rows, sota.standard_error)
    return examine(Measured(measure, tally.rows, tally.clusters, tally.worst), chance.score, opponent)


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
