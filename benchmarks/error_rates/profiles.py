"""Samples of a few kinds, whose counts are enumerated: the probability of a false claim is exact, without draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from echelon.scorer.metrics.metric import Metric
from error_rates.judge import ALPHA, Judge, Observed, Ps
from error_rates.rates import FAMILIES

EXACT = 1e-5
"""A standard error of a figure that leaves nothing but the model's own luck."""
NEGLIGIBLE = 1e-9
"""Counts that are less probable than that are left out, on either side."""


@dataclass(frozen=True)
class Outcome:
    """One kind of sample: how often it comes, what the model gets, and the reference run, None without one."""

    probability: float
    model: float
    reference: float | None = None


@dataclass(frozen=True)
class Profile:
    """Independent samples of a mean metric, each of one of a few kinds."""

    metric: Metric
    worst: float
    outcomes: tuple[Outcome, ...]
    figure: float = 0.0
    margin: float = 0.0
    memo: dict[tuple[int, ...], Ps] = field(default_factory=dict, compare=False, repr=False)

    def observed(self, counts: Sequence[int]) -> Observed:
        """A run in which each kind of sample came so often."""
        paired = self.outcomes[0].reference is not None
        model = np.repeat([each.model for each in self.outcomes], counts)
        reference = np.repeat([each.reference or 0.0 for each in self.outcomes], counts) if paired else None
        return Observed(
            self.metric,
            rows_of(model),
            (self.worst, 1.0),
            reference=None if reference is None else rows_of(reference),
            figure=self.figure,
            standard_error=None if paired else EXACT,
            margin=self.margin,
        )


def rows_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stats of a mean metric's samples."""
    return np.column_stack([values, np.ones(len(values))])


def balanced(
    metric: Metric,
    worst: float,
    rare: Sequence[tuple[float, float, float]],
    usual: float,
    margin: float = 0.0,
) -> Profile | None:
    """A pair whose true mean difference is exactly `margin`: rare samples, and usual ones that make up for them.

    `rare` are (probability, model, reference); `usual` is the reference's usual value, and the model's is computed.
    None where that would lie outside of the metric's range.
    """
    sign = 1.0 if metric.higher_is_better else -1.0
    often = 1 - sum(probability for probability, _, _ in rare)
    lost = sum(probability * (model - reference) for probability, model, reference in rare)
    model = usual + (sign * margin - lost) / often
    least, most = metric.range
    if not least <= model <= most:
        return None
    outcomes = (*(Outcome(*each) for each in rare), Outcome(often, model, usual))
    return Profile(metric, worst, outcomes, margin=margin)


def constant(metric: Metric, worst: float, values: Sequence[tuple[float, float]]) -> Profile:
    """Samples against a figure that is exactly their mean; `values` are (probability, value)."""
    outcomes = tuple(Outcome(probability, value) for probability, value in values)
    mean = float(np.dot(*np.array(values).T))
    return Profile(metric, worst, outcomes, figure=mean)


def counts_of(samples: int, probabilities: Sequence[float]) -> Iterator[tuple[tuple[int, ...], float]]:
    """The counts of each kind that are not negligible, with their probabilities; the last kind takes the rest."""
    *rare, _ = probabilities
    spans = []
    for probability in rare:
        low, high = binom.ppf([NEGLIGIBLE, 1 - NEGLIGIBLE], samples, probability)
        spans.append(range(int(low), int(high) + 1))
    for counts in product(*spans):
        left, weight, of = samples, 1.0, 1.0
        for count, probability in zip(counts, rare, strict=True):
            weight *= float(binom.pmf(count, left, min(1.0, probability / of))) if count <= left else 0.0
            left, of = left - count, of - probability
        if weight > 0:
            yield (*counts, left), weight


def false_claims(profile: Profile, samples: int, judge: Judge) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities of a false win and of a false `below`, alone and by Bonferroni in each size of family."""
    found = np.zeros((2, len(FAMILIES)))
    limits = ALPHA / np.array(FAMILIES)
    for counts, weight in counts_of(samples, [each.probability for each in profile.outcomes]):
        key = (samples, *counts)
        if key not in profile.memo:
            profile.memo[key] = judge(profile.observed(counts))
        above, below = profile.memo[key]
        found[0] += weight * (above <= limits)
        found[1] += weight * (below <= limits)
    return found[0], found[1]


def worst_of(
    build: Callable[..., Profile | None], samples: int, judge: Judge, claim: int, **grid: Sequence[float]
) -> tuple[list[float], str]:
    """The largest probabilities over a grid of profiles, one for each size of family, and where the first lies."""
    most, where, room = np.zeros(len(FAMILIES)), "", 0.0
    for chosen in product(*grid.values()):
        parameters = dict(zip(grid, chosen, strict=True))
        profile = build(samples=samples, **parameters)
        if profile is None:
            continue
        rates = false_claims(profile, samples, judge)[claim]
        excess = float((rates / ALPHA * np.array(FAMILIES)).max())
        if excess > room:
            room, where = excess, ", ".join(f"{name} {value:.3g}" for name, value in parameters.items())
        most = np.maximum(most, rates)
    return most.tolist(), where
