"""What the samples of a task add up to: outcomes looked into, measured and counted, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from math import fsum, isfinite
from typing import Protocol

from echelon.adapters import Part
from echelon.scorer.extract import extract
from echelon.scorer.metrics.metric import InvalidAnswer, Metric, RatioMetric, Stats
from echelon.scorer.metrics.readings import Read
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import ViewedSample
from echelon.scorer.suites.suite import Sample, Suite, Task


class Journal(Protocol):
    """Where a run's outcomes come from."""

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        """The outcome of each of these samples, in their order; None where there is none yet."""
        ...

    def tried(self, run: str, task: str) -> set[str]:
        """The samples of which some try failed."""
        ...


@dataclass
class Tally:
    """What a task's samples add up to."""

    rows: list[Stats] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    worst: Stats = ()
    """The stats of a failed sample, the heaviest there is."""
    reference: list[Stats] = field(default_factory=list)
    """The stats of the reference run's outcomes, as far as it has them."""
    counts: Counter[State] = field(default_factory=Counter)
    viewed: list[ViewedSample] = field(default_factory=list)
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of one run of a suite."""

    journal: Journal
    run: str
    suite: Suite

    def measured(self, task: Task, measure: Metric, *, viewed: int, reference: str) -> Tally:
        """Every sample with its stats, and beside them those of the run `reference`, where it is not empty."""
        tally = Tally()
        tried = self.journal.tried(self.run, task.id)
        ids = self.suite.sample_ids(task)
        outcomes = self.journal.outcomes(self.run, task.id, ids)
        others = self.journal.outcomes(reference, task.id, ids) if reference else repeat(None, len(ids))
        # One sample and its outcomes at a time: media may be large.
        for sample, outcome, other in zip(self.suite.samples(task), outcomes, others, strict=True):
            tally.samples += 1
            if other is not None:
                tally.reference.append(_stats(measure, task, sample, other)[0])
            if outcome is not None:
                _add(tally, measure, task, sample, outcome, viewed)
            elif sample.id in tried:
                tally.counts[State.UNAVAILABLE] += 1
        return tally

    def counted(self, task: Task) -> Tally:
        """How the samples ended, without looking into the answers."""
        ids = self.suite.sample_ids(task)
        tried = self.journal.tried(self.run, task.id)
        tally = Tally(samples=len(ids))
        for sample, outcome in zip(ids, self.journal.outcomes(self.run, task.id, ids), strict=True):
            if outcome is not None:
                tally.counts[outcome.state] += 1
            elif sample in tried:
                tally.counts[State.UNAVAILABLE] += 1
        return tally

    def unsupported(self, task: Task, measure: Metric | None, reference: str) -> Tally:
        """A task that was not asked; with the stats of the run `reference`, where there is one and a metric."""
        ids = self.suite.sample_ids(task)
        tally = Tally(counts=Counter({State.UNSUPPORTED: len(ids)}), samples=len(ids))
        if measure is not None and reference:
            others = self.journal.outcomes(reference, task.id, ids)
            for sample, other in zip(self.suite.samples(task), others, strict=True):
                if other is not None:
                    tally.reference.append(_stats(measure, task, sample, other)[0])
        return tally


def _add(tally: Tally, measure: Metric, task: Task, sample: Sample, outcome: SampleOutcome, viewed: int) -> None:
    stats, state, detail = _stats(measure, task, sample, outcome)
    tally.counts[state] += 1
    tally.rows.append(stats)
    tally.clusters.append(sample.cluster)
    # Some stats are arrays, which have no truth of their own.
    if not len(tally.worst) or isinstance(measure, RatioMetric):
        worst = measure.worst(sample.references)
        tally.worst = max(tally.worst, worst, key=_weight) if len(tally.worst) else worst
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
                reading=_reading(measure, task, outcome) if state is State.ANSWERED else (),
            )
        )


def _reading(measure: Metric, task: Task, outcome: SampleOutcome) -> tuple[Part, ...]:
    return (measure.reading(extract(task.extractor, outcome.parts, task)),) if isinstance(measure, Read) else ()


def _stats(measure: Metric, task: Task, sample: Sample, outcome: SampleOutcome) -> tuple[Stats, State, str]:
    """What the outcome counts, its state once it has been looked into, and why it is that."""
    state, detail = outcome.state, outcome.detail
    if state is State.ANSWERED:
        try:
            return measure.sample(extract(task.extractor, outcome.parts, task), sample.references), state, detail
        except InvalidAnswer as error:
            state, detail = State.INVALID, str(error)
    return measure.worst(sample.references), state, detail


def _weight(stats: Stats) -> float:
    return fsum(map(abs, stats))
