"""The test of one task: is the model above the sota, and by more than luck would have it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.verdict import difference
from echelon.scorer.verdict.difference import OtherScore, other_score
from echelon.scorer.verdict.evidence import Evidence, evidence, is_mean, paired

FEWEST_CLUSTERS = 20
"""Below so many clusters nothing is claimed."""


class Against(StrEnum):
    """What the sota is."""

    PAIRS = "the same samples"
    SAMPLES = "other samples"
    CONSTANT = "a constant"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the samples of a complete task came to; `worst` are the stats of a failed sample, the heaviest there is."""

    metric: Metric
    rows: Sequence[Stats]
    clusters: Sequence[str]
    worst: Stats

    def evidence(self) -> Evidence:
        """What the samples say of the score."""
        return evidence(self.metric, self.rows, self.clusters, self.worst)

    @property
    def sign(self) -> float:
        """1 where higher is better, else -1."""
        return 1.0 if self.metric.higher_is_better else -1.0


@dataclass(frozen=True, slots=True)
class Opponent:
    """The score to be above, by more than `margin`, in the metric's unit.

    `n` is how many samples it was measured on, None if nobody knows; `rows` are a reference run's stats of the very
    same samples.
    """

    score: float
    margin: float = 0.0
    n: int | None = None
    rows: Sequence[Stats] | None = None


@dataclass(frozen=True)
class Lead:
    """By how much the model is better than its sota, in the metric's unit: above 0 is better, whatever the direction.

    It is tested as `evidence` minus `sota`, or minus `other` where the sota was measured on other samples.
    """

    evidence: Evidence
    against: Against
    sota: float
    margin: float
    other: OtherScore | None = None
    """The sota as a score of its samples, or of as many as the model's where it is a constant; None in pairs."""

    @property
    def value(self) -> float:
        """The lead itself."""
        return self.evidence.value - self.sota

    @property
    def tie(self) -> bool:
        """Whether no sample tells the model from the reference run."""
        return self.against is Against.PAIRS and not self.evidence.gains.any()

    def above(self, times: float = 1.0) -> float:
        """The p value of "not above the margin", were there `times` as many samples."""
        if self._measured is not None:
            return difference.above(self.evidence, self._measured, self.margin, times)
        return self.evidence.above(self.sota + self.margin, times)

    def below(self, times: float = 1.0) -> float:
        """The p value of "not below the sota"."""
        if self._measured is not None:
            return difference.below(self.evidence, self._measured, times)
        return self.evidence.below(self.sota, times)

    def lower(self, alpha: float) -> float:
        """What the lead is above, wrongly with probability `alpha` at most."""
        if self._measured is not None:
            return difference.lower(self.evidence, self._measured, alpha)
        return self.evidence.lower(alpha) - self.sota

    def upper(self, alpha: float) -> float:
        """What the lead is below."""
        if self._measured is not None:
            return difference.upper(self.evidence, self._measured, alpha)
        return self.evidence.upper(alpha) - self.sota

    def if_sampled(self) -> float | None:
        """What `above` would be, had a constant been measured on as many samples as the model; else None."""
        if self.against is not Against.CONSTANT or self.other is None:
            return None
        return difference.above(self.evidence, self.other, self.margin)

    @property
    def _measured(self) -> OtherScore | None:
        return self.other if self.against is Against.SAMPLES else None


@dataclass(frozen=True)
class TaskTest:
    """What one task's samples say, before other tasks are looked at."""

    n: int
    clusters: int
    method: str
    range: tuple[float, float]
    """What the score can be, in the metric's own direction."""
    sign: float
    """1 where higher is better, else -1."""
    score: Evidence
    """Higher being better, as with all that follows."""
    chance: float
    lead: Lead | None
    """None without a sota."""
    comparable: bool = True
    """Whether the metric lets the score be compared with such a sota."""

    @property
    def obstacle(self) -> str:
        """Why nothing is said of the sota, empty where something could be."""
        if not self.decidable:
            return f"{self.clusters} clusters of samples; nothing is claimed with fewer than {FEWEST_CLUSTERS}"
        return "" if self.comparable else "such a score compares only with that of a reference run on the same samples"

    @property
    def decidable(self) -> bool:
        """Whether there are enough clusters to claim anything."""
        return self.clusters >= FEWEST_CLUSTERS


def examine(measured: Measured, chance: float, opponent: Opponent | None) -> TaskTest:
    """The test of a complete task against chance and, if it has one, its sota."""
    score = measured.evidence()
    clusters = len(set(measured.clusters))
    lead = None if opponent is None else _lead(measured, score, clusters, opponent)
    return TaskTest(
        n=len(measured.rows),
        clusters=clusters,
        method=_method(measured, clusters, opponent),
        range=measured.metric.range,
        sign=measured.sign,
        score=score,
        chance=measured.sign * chance,
        lead=lead,
        comparable=lead is None or lead.against is Against.PAIRS or not measured.metric.depends_on_count,
    )


def _lead(measured: Measured, score: Evidence, clusters: int, opponent: Opponent) -> Lead:
    if opponent.rows is not None:
        reference = replace(measured, rows=opponent.rows).evidence()
        return Lead(paired(measured.metric, score, reference), Against.PAIRS, 0.0, opponent.margin)
    sota = measured.sign * opponent.score
    against = Against.CONSTANT if opponent.n is None else Against.SAMPLES
    ratio = 1.0 if opponent.n is None else opponent.n / len(measured.rows)
    return Lead(score, against, sota, opponent.margin, other_score(measured.metric, sota, score, clusters, ratio))


def _method(measured: Measured, clusters: int, opponent: Opponent | None) -> str:
    pairs = opponent is not None and opponent.rows is not None
    alone = clusters == len(measured.rows)
    if alone and _all_or_nothing(measured, opponent):
        if not pairs:
            return "exact binomial"
        if opponent is not None and not opponent.margin:
            return "exact McNemar"
    kind = "mean" if is_mean(measured.metric) else "jackknife"
    return f"{'paired ' if pairs else ''}{kind}{'' if alone else ' of clusters'}"


def _all_or_nothing(measured: Measured, opponent: Opponent | None) -> bool:
    """Whether every sample is wholly right or wholly wrong."""
    if not is_mean(measured.metric):
        return False
    ends = set(measured.metric.range)
    rows = [*measured.rows, *((opponent and opponent.rows) or ())]
    return all(row[0] in ends for row in rows)
