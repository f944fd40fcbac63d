"""The difference of two scores of different samples, of which the one is known by its value and size alone.

Each score has bounds of its own, and the difference is beyond doubt where it exceeds the root of the sum of the squares
of how far both may be off: Zou and Donner 2008, doi:10.1002/sim.3095, after Newcombe 1998. Unlike a common error, that
knows how differently proportions near the ends of their scale spread upwards and downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, hypot, isfinite, pi, sin

from echelon.scorer.metrics.metric import Metric
from echelon.scorer.verdict.evidence import Evidence, crossing, is_fraction
from echelon.scorer.verdict.tail import deviate


@dataclass(frozen=True)
class OtherScore:
    """A score of other samples, and guesses at what they said; the least certain guess counts."""

    guesses: tuple[Evidence, ...]

    @property
    def value(self) -> float:
        """The score."""
        return self.guesses[0].value

    def below(self, figure: float) -> float:
        """The p value of "not below `figure`"."""
        return max(guess.below(figure) for guess in self.guesses)

    def upper(self, alpha: float) -> float:
        """The figure that the score is below, wrongly with probability `alpha` at most."""
        return max(guess.upper(alpha) for guess in self.guesses)

    @cached_property
    def mirrored(self) -> OtherScore:
        """The same with better and worse exchanged."""
        return OtherScore(tuple(guess.mirrored for guess in self.guesses))


def other_score(metric: Metric, score: float, model: Evidence, clusters: float, ratio: float) -> OtherScore:
    """A score, higher being better, of `ratio` times as many samples as the model's, which are in `clusters`.

    They may spread as the model's do or, on a scale with two ends, each cluster may be wholly right or wholly wrong.
    """
    import numpy as np

    shift = score - model.value
    alike = Evidence(
        model.gains + shift * model.sizes,
        model.sizes,
        floor=model.floor + shift * model.largest,
        ceiling=model.ceiling + shift * model.largest,
        largest=model.largest,
        copies=np.full(len(model.gains), ratio),
    )
    worst, best = metric.range if metric.higher_is_better else (-metric.range[1], -metric.range[0])
    if not is_fraction(metric) or not isfinite(best - worst) or not worst <= score <= best:
        return OtherScore((alike,))
    right = (score - worst) / (best - worst)
    ends = Evidence(
        np.array([worst, best]),
        np.ones(2),
        floor=worst,
        ceiling=best,
        largest=1.0,
        copies=ratio * clusters * np.array([1 - right, right]),
    )
    return OtherScore((alike, ends))


def above(model: Evidence, other: OtherScore, margin: float, times: float = 1.0) -> float:
    """The p value of "not above the other score by more than `margin`", were there `times` as many of the model's."""
    lead = model.value - other.value - margin
    if lead <= 0:
        return 1.0

    def sides(angle: float) -> tuple[float, float]:
        """Both p values, where the model may be off by one side of a triangle and the other score by the other."""
        return (
            model.above(model.value - lead * cos(angle), times),
            other.below(other.value + lead * sin(angle)),
        )

    def excess(angle: float) -> float:
        own, its = map(deviate, sides(angle))
        return own - its

    return max(sides(crossing(excess, (0.0, pi / 2), excess(pi / 2), pi / 4)))


def lower(model: Evidence, other: OtherScore, alpha: float) -> float:
    """What the difference is above, wrongly with probability `alpha` at most."""
    off = hypot(model.value - model.lower(alpha), other.upper(alpha) - other.value)
    return model.value - other.value - off


def upper(model: Evidence, other: OtherScore, alpha: float) -> float:
    """What the difference is below."""
    return -lower(model.mirrored, other.mirrored, alpha)


def below(model: Evidence, other: OtherScore, times: float = 1.0) -> float:
    """The p value of "not below the other score"."""
    return above(model.mirrored, other.mirrored, 0.0, times)
