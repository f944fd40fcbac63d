"""From journal and suite to a result: extract, measure, map, level. Never asks the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import fsum, isfinite, sqrt
from typing import Protocol, TypeVar

from echelon.adapters import Card
from echelon.scorer.extract import InvalidAnswer, extract, extractor
from echelon.scorer.levels import EDITIONS, gate_won, level, sigma
from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.metrics.registry import metric
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import RunResult, Sota, TaskResult, ViewedSample
from echelon.scorer.suites.suite import Sample, Suite, Task

T = TypeVar("T")

VIEWED = 3
"""Samples of each task that the report shows."""
_CHUNK = 256
_BLOCKS = 20
_CLEARLY = 3.58
"""Standard errors above chance: the upper 0.1 % point of Student's t with 19 degrees of freedom."""


class Outcomes(Protocol):
    """Where a run's outcomes come from."""

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> dict[str, SampleOutcome]:
        """The outcomes there are for these samples, by sample."""
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


def evaluate(evaluation: Evaluation, journal: Outcomes, sota: Mapping[str, Sota], *, viewed: int = VIEWED) -> RunResult:
    """The result of a run as far as it has come."""
    tasks = tuple(_task_result(evaluation, journal, task, sota.get(task.id), viewed) for task in evaluation.tasks)
    scope = evaluation.suite.info.label
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


def _task_result(evaluation: Evaluation, journal: Outcomes, task: Task, sota: Sota | None, viewed: int) -> TaskResult:
    measure = metric(task.metric, task.worst, task.labels)
    if task.id in evaluation.unsupported:
        samples = len(evaluation.suite.sample_ids(task))
        tally = _Tally(counts=Counter({State.UNSUPPORTED: samples}), samples=samples)
    else:
        tally = _tally(evaluation, journal, task, measure, viewed)
    # Only a whole sample set has a score; a missing sample is not a wrong one.
    score = measure.finish(tally.rows) if tally.rows and len(tally.rows) == tally.samples else None
    up = measure.higher_is_better
    return TaskResult(
        task=task,
        metric_id=f"{measure.id}|{extractor(task.extractor).id}",
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


def _sigmas(task: Task, score: float | None) -> dict[str, float]:
    if score is None:
        return {}
    return {edition: sigma(task.metric, score, edition) for edition in EDITIONS}


def _tally(evaluation: Evaluation, journal: Outcomes, task: Task, measure: Metric, viewed: int) -> _Tally:
    tally = _Tally()
    tried: set[str] | None = None
    for samples in _chunked(evaluation.suite.samples(task), _CHUNK):
        found = journal.outcomes(evaluation.run, task.id, [sample.id for sample in samples])
        for sample in samples:
            tally.samples += 1
            outcome = found.get(sample.id)
            if outcome is None:
                if tried is None:
                    tried = journal.tried(evaluation.run, task.id)
                if sample.id in tried:
                    tally.counts[State.UNAVAILABLE] += 1
                continue
            _add(tally, measure, task, sample, outcome, viewed)
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

    The standard error is a grouped jackknife's, which holds for every metric: Quenouille 1956, Miller 1974.
    """
    lift = score - chance if measure.higher_is_better else chance - score
    blocks = min(_BLOCKS, len(rows))
    if lift <= 0 or blocks < 2:
        return False
    left_out = [measure.finish([row for i, row in enumerate(rows) if i % blocks != block]) for block in range(blocks)]
    mean = fsum(left_out) / blocks
    error = sqrt((blocks - 1) / blocks * fsum((value - mean) ** 2 for value in left_out))
    return lift > _CLEARLY * error


def _chunked(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
