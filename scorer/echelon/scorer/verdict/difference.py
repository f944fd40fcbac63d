"""The difference of two scores of different samples, of which one is known by its value and its error or size alone.

Confidence bounds of the difference are recovered from those of both scores (MOVER): the square of its margin of error
is the sum of the squares of theirs (Zou and Donner 2008, doi:10.1002/sim.3095, after Newcombe 1998). Unlike a common
standard error, that keeps how differently proportions near the ends of their scale spread upwards and downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, hypot, isfinite, pi, sin
from statistics import NormalDist
from typing import Protocol

from echelon.scorer.metrics.metric import Metric
from echelon.scorer.verdict.evidence import Evidence, find_root, is_fraction, is_mean
from echelon.scorer.verdict.p_value import COARSE, TOLERANCE, z_score

_RESOLUTION = 1e-5
"""Angles nearer to 0 than this are not told apart."""


class Score(Protocol):
    """A score that was measured with an error, higher being better."""

    @property
    def value(self) -> float: ...

    def below(self, figure: float) -> float:
        """Compute the p value of "not below `figure`"."""
        ...

    def upper(self, alpha: float) -> float:
        """Compute the upper confidence bound at level 1 - `alpha`."""
        ...

    @property
    def mirrored(self) -> Score:
        """The same with better and worse exchanged."""
        ...


@dataclass(frozen=True)
class NormalScore:
    """A score with a published standard error, which is taken as normal."""

    value: float
    standard_error: float

    def below(self, figure: float) -> float:
        return NormalDist().cdf((self.value - figure) / self.standard_error)

    def upper(self, alpha: float) -> float:
        return self.value + z_score(alpha) * self.standard_error

    @property
    def mirrored(self) -> NormalScore:
        return NormalScore(-self.value, self.standard_error)


@dataclass(frozen=True)
class SampledScore:
    """A score of which only the number of samples is known, as guesses at what they were; the widest counts."""

    guesses: tuple[Evidence, ...]

    @property
    def value(self) -> float:
        return self.guesses[0].value

    def below(self, figure: float) -> float:
        return max(guess.below(figure) for guess in self.guesses)

    def upper(self, alpha: float) -> float:
        return max(guess.upper(alpha) for guess in self.guesses)

    @cached_property
    def mirrored(self) -> SampledScore:
        return SampledScore(tuple(guess.mirrored for guess in self.guesses))


def sampled_score(metric: Metric, score: float, model: Evidence, clusters: float, ratio: float) -> SampledScore | None:
    """Guess the error of a fraction `score` of `ratio` times as many samples as the model's, which are in `clusters`.

    Each cluster was wholly right or wholly wrong, which is the largest spread that a mean of bounded values can have.
    Scores that are no means may spread more: they are also taken to spread as the model's do. None on other scales,
    whose spread no number of samples tells.
    """
    import numpy as np

    worst, best = metric.range if metric.higher_is_better else (-metric.range[1], -metric.range[0])
    if not is_fraction(metric) or not isfinite(best - worst) or not worst <= score <= best:
        return None
    right = (score - worst) / (best - worst)
    ends = Evidence(
        np.array([worst, best]),
        np.ones(2),
        floor=worst,
        ceiling=best,
        largest=1.0,
        copies=ratio * clusters * np.array([1 - right, right]),
    )
    if is_mean(metric):
        return SampledScore((ends,))
    shift = score - model.value
    alike = Evidence(
        model.gains + shift * model.sizes,
        model.sizes,
        floor=model.floor + shift * model.largest,
        ceiling=model.ceiling + shift * model.largest,
        largest=model.largest,
        copies=np.full(len(model.gains), ratio),
    )
    return SampledScore((ends, alike))


def above(model: Evidence, other: Score, margin: float, times: float = 1.0, tolerance: float = TOLERANCE) -> float:
    """Compute the p value of "not above the other score by more than `margin`", with `times` as many model samples."""
    lead = model.value - other.value - margin
    if lead <= 0:
        return 1.0

    def sides(angle: float, tolerance: float) -> tuple[float, float]:
        """Both p values, where the lead is split between both scores' errors as the sides of a right triangle."""
        return (
            model.above(model.value - lead * cos(angle), times, tolerance),
            other.below(other.value + lead * sin(angle)),
        )

    def excess(angle: float) -> float:
        own, its = map(z_score, sides(angle, COARSE))
        return own - its

    # The larger of both is an upper bound at whatever angle, and the least one where they meet.
    meeting = find_root(excess, (0.0, pi / 2), excess(pi / 2), pi / 4)
    found = max(sides(meeting, tolerance))
    # The root lies just below; where one error is tiny, what is left out there would be all of it.
    return min(found, max(sides(meeting + _RESOLUTION, tolerance))) if meeting < _RESOLUTION else found


def lower(model: Evidence, other: Score, alpha: float) -> float:
    """Compute the lower confidence bound of the difference at level 1 - `alpha`."""
    off = hypot(model.value - model.lower(alpha), other.upper(alpha) - other.value)
    return model.value - other.value - off


def upper(model: Evidence, other: Score, alpha: float) -> float:
    """Compute the upper confidence bound of the difference."""
    return -lower(model.mirrored, other.mirrored, alpha)


def below(model: Evidence, other: Score, times: float = 1.0, tolerance: float = TOLERANCE) -> float:
    """Compute the p value of "not below the other score"."""
    return above(model.mirrored, other.mirrored, 0.0, times, tolerance)
