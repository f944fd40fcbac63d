"""The test of one task: is the model significantly above its sota?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isfinite, isinf

from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.verdict import difference
from echelon.scorer.verdict.difference import NormalScore, Score, sampled_score
from echelon.scorer.verdict.evidence import Evidence, evidence, is_mean, paired
from echelon.scorer.verdict.p_value import TOLERANCE

FEWEST_CLUSTERS = 20
"""With fewer effective clusters nothing is claimed."""


class Against(StrEnum):
    """What a sota is known from, the most certain first."""

    PAIRS = "the same samples"
    STANDARD_ERROR = "a figure with its standard error"
    SAMPLES = "a figure of known sample size"
    CONSTANT = "a bare figure"


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

    `rows` are a reference run's stats of the very same samples. Else the score's error follows from its
    `standard_error`, from the number `n` of its samples or, where neither is known, is taken to be that of as many
    samples as the model's.
    """

    score: float
    margin: float = 0.0
    n: int | None = None
    rows: Sequence[Stats] | None = None
    standard_error: float | None = None

    def __post_init__(self) -> None:
        if self.standard_error is not None and not self.standard_error > 0:
            raise ValueError(f"a standard error must be above 0, not {self.standard_error}")


@dataclass(frozen=True)
class Lead:
    """By how much the model is better than its sota, in the metric's unit: above 0 is better, whatever the direction.

    `evidence` is of the differences in pairs, else of the model's score.
    """

    evidence: Evidence
    against: Against
    sota: float
    margin: float
    other: Score | None = None
    """The sota as a score with an error; None in pairs, and where nothing tells how large the error is."""

    @property
    def value(self) -> float:
        """The lead itself."""
        return self.evidence.value - self.sota

    @property
    def tie(self) -> bool:
        """Whether no sample tells the model from the reference run."""
        return self.against is Against.PAIRS and not self.evidence.gains.any()

    @property
    def testable(self) -> bool:
        """Whether the error of the lead is known."""
        return self.other is not None or self.against is Against.PAIRS

    def above(self, times: float = 1.0, tolerance: float = TOLERANCE) -> float:
        """Compute the p value of "not above the margin", were there `times` as many samples."""
        if not self.testable or self.value <= self.margin:
            return 1.0
        if self.other is not None:
            return difference.above(self.evidence, self.other, self.margin, times, tolerance)
        return self.evidence.above(self.sota + self.margin, times, tolerance)

    def below(self, times: float = 1.0, tolerance: float = TOLERANCE) -> float:
        """Compute the p value of "not below the sota"."""
        if not self.testable or self.value >= 0:
            return 1.0
        if self.other is not None:
            return difference.below(self.evidence, self.other, times, tolerance)
        return self.evidence.below(self.sota, times, tolerance)

    def lower(self, alpha: float) -> float:
        """Compute the lead's lower confidence bound at level 1 - `alpha`."""
        if not self.testable:
            return -inf
        if self.other is not None:
            return difference.lower(self.evidence, self.other, alpha)
        return self.evidence.lower(alpha) - self.sota

    def upper(self, alpha: float) -> float:
        """Compute the lead's upper confidence bound."""
        if not self.testable:
            return inf
        if self.other is not None:
            return difference.upper(self.evidence, self.other, alpha)
        return self.evidence.upper(alpha) - self.sota

    def times_needed(self, alpha: float) -> float:
        """Estimate how many times as many samples would show the lead at `alpha`, from the bounds of both scores."""
        ahead = self.value > 0
        evidence = self.evidence if ahead else self.evidence.mirrored
        sought = self.value - self.margin if ahead else -self.value
        off, its = evidence.value - evidence.lower(alpha), 0.0
        if self.other is not None:
            other = self.other if ahead else self.other.mirrored
            its = other.upper(alpha) - other.value
        return off**2 / (sought**2 - its**2) if sought > its else inf

    def above_constant(self) -> float | None:
        """Compute what `above` would be if a bare figure had no error; None for any other sota."""
        if self.against is not Against.CONSTANT:
            return None
        return self.evidence.above(self.sota + self.margin)


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
    chance: float | None
    """None where chance is unknown."""
    lead: Lead | None
    """None without a sota."""
    effective_clusters: float
    """How many clusters of equal size would tell as much: Kish 1965."""
    incomparable: str = ""
    """Why the score cannot be compared with such a sota, empty where it can."""

    @property
    def obstacle(self) -> str:
        """Why nothing is claimed about the sota, empty where something could be."""
        if self.decidable:
            return self.incomparable
        count = f"{self.clusters} clusters of samples"
        if self.clusters >= FEWEST_CLUSTERS:
            count += f" of such unequal sizes count as {self.effective_clusters:.1f}"
        return f"{count}; nothing is claimed with fewer than {FEWEST_CLUSTERS}"

    @property
    def decidable(self) -> bool:
        """Whether there are enough clusters to claim anything."""
        return self.effective_clusters >= FEWEST_CLUSTERS

    @property
    def over_chance(self) -> bool:
        """Whether the score itself is above chance; never where chance is unknown."""
        return self.chance is not None and self.score.value > self.chance

    @property
    def undone_by(self) -> float | None:
        """The share of the samples that would undo the lead if the model failed them; None without a lead.

        Samples that did not fail here can only exclude larger shares: see docs/verdict.md.
        """
        room = self.score.value - self.score.floor / self.score.largest
        if self.lead is None or self.lead.value <= 0 or not (isfinite(room) and room > 0):
            return None
        return min(1.0, self.lead.value / room)

    def above_chance(self) -> float:
        """Compute the p value of "not above chance", 1 where chance is unknown."""
        if not self.decidable or self.chance is None:
            return 1.0
        return self.score.above(self.chance)

    def below_chance(self) -> float:
        """Compute the p value of "not below chance"."""
        if not self.decidable or self.chance is None or self.score.value >= self.chance:
            return 1.0
        return self.score.below(self.chance)


def examine(measured: Measured, chance: float | None, opponent: Opponent | None) -> TaskTest:
    """Build the test of a complete task against chance (None if unknown) and, if it has one, its sota."""
    score = measured.evidence()
    sizes = Counter(measured.clusters).values()
    effective = sum(sizes) ** 2 / sum(size * size for size in sizes)
    lead = None if opponent is None else _lead(measured, score, effective, opponent)
    return TaskTest(
        n=len(measured.rows),
        clusters=len(sizes),
        method=_method(measured, len(sizes), opponent),
        range=measured.metric.range,
        sign=measured.sign,
        score=score,
        chance=None if chance is None else measured.sign * chance,
        lead=lead,
        effective_clusters=effective,
        incomparable="" if lead is None else _incomparable(measured.metric, lead),
    )


def _incomparable(metric: Metric, lead: Lead) -> str:
    if lead.against is Against.PAIRS:
        if isinf(lead.evidence.floor):
            return f"the scale of {metric.name} has no end, so that one sample may outweigh all others"
        return ""
    if metric.depends_on_count:
        return "such a score compares only with that of a reference run on the same samples"
    if lead.other is None:
        return "a figure on an open scale compares only with its standard error; give it, or name a reference run"
    return ""


def _lead(measured: Measured, score: Evidence, effective: float, opponent: Opponent) -> Lead:
    sota = measured.sign * opponent.score
    if opponent.rows is not None:
        reference = replace(measured, rows=opponent.rows).evidence()
        return Lead(paired(score, reference), Against.PAIRS, 0.0, opponent.margin)
    if opponent.standard_error is not None:
        other = NormalScore(sota, opponent.standard_error)
        return Lead(score, Against.STANDARD_ERROR, sota, opponent.margin, other)
    against = Against.CONSTANT if opponent.n is None else Against.SAMPLES
    ratio = 1.0 if opponent.n is None else opponent.n / len(measured.rows)
    sampled = sampled_score(measured.metric, sota, score, effective, ratio)
    return Lead(score, against, sota, opponent.margin, sampled)


def _method(measured: Measured, clusters: int, opponent: Opponent | None) -> str:
    pairs = opponent is not None and opponent.rows is not None
    alone = clusters == len(measured.rows)
    if alone and _all_or_nothing(measured, opponent):
        if not pairs:
            return "exact binomial" if opponent is None else "difference of two proportions"
        if opponent is not None and not opponent.margin:
            return "exact McNemar"
    kind = "mean" if is_mean(measured.metric) else "first-order jackknife"
    return f"{'paired ' if pairs else ''}{kind}{'' if alone else ' of clusters'}"


def _all_or_nothing(measured: Measured, opponent: Opponent | None) -> bool:
    """Whether every sample is wholly right or wholly wrong."""
    if not is_mean(measured.metric):
        return False
    ends = set(measured.metric.range)
    rows = [*measured.rows, *((opponent and opponent.rows) or ())]
    return all(row[0] in ends for row in rows)
