"""Measures a task's chance by cross-fitting: candidates are chosen on one half of the clusters, measured on the other.

Choosing and measuring on the same samples would make luck of the best of many. Cross-fitting alone gives too little
where two candidates are about equal: of labels that are half and half, whichever is the more common one in one half is
the rarer one in the other. So what counts is the best of three: the cross-fitted score, and the score of either
choice over all samples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, isnan, nan
from types import MappingProxyType

from echelon.adapters import Kind
from echelon.adapters.errors import MissingExtraError
from echelon.scorer.chance.cache import ChanceCache, key_of
from echelon.scorer.chance.candidate import Candidate, Observer
from echelon.scorer.chance.observers import observer_of
from echelon.scorer.chance.outcome import RULE, Chance
from echelon.scorer.chance.seeding import Halves, SeededHash
from echelon.scorer.errors import InvalidSuiteError, NotComputedError
from echelon.scorer.extract import extract, extractor
from echelon.scorer.metrics.metric import InvalidAnswer, Metric, Stats
from echelon.scorer.suites.suite import Sample, Suite, Task

CHOOSING: Mapping[Kind, int] = MappingProxyType({Kind.CHOICE: 4096, Kind.NUMBER: 4096, Kind.TEXT: 200})
CHOOSING_MEDIA = 64
"""Samples of a half on which all candidates are compared, by the kind of answers; all of the half teaches them."""
FINALISTS = 8
"""The best on these samples, compared once more on all of the half: a few cannot tell which of near equals is best."""


def chance_of(suite: Suite, task: Task, measure: Metric, cache: ChanceCache | None = None) -> Chance:
    """A task's chance over all samples of the suite; of a closed suite the candidates are not told.

    A declared chance can only raise it. Where a candidate cannot be measured the chance is unknown.
    """
    key = key_of(suite.info.digest, task, f"{measure.id}|{extractor(task.extractor).id}")
    chance = cache.get(key) if cache is not None else None
    if chance is None:
        chance = _measured(suite, task, measure)
        if cache is not None:
            cache.put(key, chance)
    if not suite.info.closed:
        return chance
    # An error's own words may quote a reference.
    return replace(chance, candidates=(), reason=chance.reason.partition(":")[0])


def _measured(suite: Suite, task: Task, measure: Metric) -> Chance:
    if is_given(task, measure):
        reason = "answers are measurements made elsewhere, and nobody made those of blind answers"
        return Chance.unknown(reason, task.chance)
    try:
        best = _CrossFitting(suite, task, measure).best()
    except (InvalidSuiteError, NotComputedError, MissingExtraError) as error:
        return Chance.unknown(f"a blind answer cannot be measured: {error}", task.chance)
    if best is None:
        return Chance.unknown("no blind answer has a score", task.chance)
    better = max if measure.higher_is_better else min
    score = better(best.score, task.chance)
    return Chance(score, measured=best.score, declared=task.chance, candidates=best.candidates)


def is_given(task: Task, measure: Metric) -> bool:
    """Whether the answers are numbers or vectors that stand for media: marks and embeddings from elsewhere."""
    others: Sequence[object] = getattr(measure, "others", ())
    kind = extractor(task.extractor).kind
    return hasattr(measure, "role") and kind is not measure.kind and kind not in others


@dataclass(frozen=True, slots=True)
class _Best:
    score: float
    candidates: tuple[str, ...]


class _CrossFitting:
    """The two halves of a task's samples, what is learnt from each, and how it does on the other."""

    def __init__(self, suite: Suite, task: Task, measure: Metric) -> None:
        self._suite, self._task, self._measure = suite, task, measure
        self._seeded = SeededHash(RULE, suite.info.digest, task.id)
        self._halves: list[int] = []
        """The half of each sample, in the suite's order."""

    def best(self) -> _Best | None:
        """The best blind score; None where no candidate has one."""
        found = self._choose(self._learn())
        if not found:
            return None
        # With a single cluster there is one half, which has to do for both.
        one, other = found[0], found[-1]
        rows = self._rows([one, other])
        crossed = [(other, one)[half] for half in self._halves]
        scores = [
            (self._score([rows[0][at] if who is one else rows[1][at] for at, who in enumerate(crossed)]), (one, other)),
            (self._score(rows[0]), (one,)),
            (self._score(rows[1]), (other,)),
        ]
        known = [(score, names) for score, names in scores if not isnan(score)]
        if not known:
            return None
        score, candidates = (max if self._measure.higher_is_better else min)(known, key=lambda each: each[0])
        return _Best(score, tuple(dict.fromkeys(candidate.name for candidate in candidates)))

    def _learn(self) -> list[list[Candidate]]:
        """The candidates of each half."""
        halves = Halves(self._seeded)
        observers: list[Observer] = [observer_of(self._task, self._measure, self._seeded) for _ in range(2)]
        for sample in self._suite.samples(self._task):
            half = halves.of(sample.cluster)
            self._halves.append(half)
            observers[half].see(sample)
        return [list(observer.candidates()) if half in self._halves else [] for half, observer in enumerate(observers)]

    def _choose(self, learnt: Sequence[Sequence[Candidate]]) -> list[Candidate]:
        """Of each half's candidates the one that does best on that very half, among those that do on some of it."""
        compared = [self._compared(half) for half in range(len(learnt))]
        ranked = self._ranked(learnt, compared)
        everything = [{at for at, own in enumerate(self._halves) if own == half} for half in range(len(learnt))]
        if compared != everything:
            ranked = self._ranked([candidates[:FINALISTS] for candidates in ranked], everything)
        return [candidates[0] for candidates in ranked if candidates]

    def _ranked(
        self, learnt: Sequence[Sequence[Candidate]], compared: Sequence[Collection[int]]
    ) -> list[list[Candidate]]:
        """Each half's candidates, the best first, by the samples of that half at the places in `compared`."""
        rows: list[list[list[Stats]]] = [[[] for _ in candidates] for candidates in learnt]
        for at, sample in enumerate(self._suite.samples(self._task)):
            half = self._halves[at]
            if at in compared[half]:
                for row, candidate in zip(rows[half], learnt[half], strict=True):
                    if sample.id != candidate.source:
                        row.append(self._stats(candidate, sample))
        ranks = [[self._rank(row) for row in own] for own in rows]
        return [
            [candidates[at] for at in sorted(range(len(candidates)), key=own.__getitem__, reverse=True)]
            for candidates, own in zip(learnt, ranks, strict=True)
        ]

    def _compared(self, half: int) -> set[int]:
        """The places of the samples on which a half's candidates are compared."""
        own = [at for at, each in enumerate(self._halves) if each == half]
        most = CHOOSING.get(extractor(self._task.extractor).kind, CHOOSING_MEDIA)
        return set(sorted(own, key=lambda at: self._seeded.number("choosing", at))[:most])

    def _rank(self, rows: Sequence[Stats]) -> float:
        score = self._score(rows) if rows else nan
        sign = 1 if self._measure.higher_is_better else -1
        return sign * score if isfinite(score) else -inf

    def _rows(self, candidates: Sequence[Candidate]) -> list[list[Stats]]:
        """The stats of every sample for each of the candidates."""
        rows: list[list[Stats]] = [[] for _ in candidates]
        for sample in self._suite.samples(self._task):
            for row, candidate in zip(rows, candidates, strict=True):
                row.append(self._stats(candidate, sample))
        return rows

    def _stats(self, candidate: Candidate, sample: Sample) -> Stats:
        """What a blind answer counts: what a model's would, with the worst where it cannot be scored."""
        answer = candidate.answer(sample)
        if answer is not None:
            try:
                extracted = extract(self._task.extractor, (answer,), self._task)
                return self._measure.sample(extracted, sample.references)
            except InvalidAnswer:
                pass
        return self._measure.worst(sample.references)

    def _score(self, rows: Sequence[Stats]) -> float:
        return self._measure.finish(rows)
