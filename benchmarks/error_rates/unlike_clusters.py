"""Suites of given clusters that are not alike: many single samples and a few large clusters, enumerated exactly."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.stats import binom

from echelon.scorer.metrics.registry import metric
from error_rates.judge import ALPHA, Judge, Observed
from error_rates.profiles import EXACT, NEGLIGIBLE, rows_of
from error_rates.rates import FAMILIES, Rate, exact_rates

ACCURACY = metric("accuracy")
DESIGNS = ((60, 1, 10), (60, 4, 8), (200, 5, 20))
"""Single samples, large clusters, and samples in each of these; a large one is right or wrong as a whole."""
SOTAS = (0.1, 0.5, 0.9)
SHARES = (0.02, 0.2, 0.5, 0.8, 0.98)
"""How often a large cluster is right."""


def rates(judge: Judge) -> Iterator[Rate]:
    """The largest rates of each design, over how good the model is at large clusters."""
    for singles, large, size in DESIGNS:
        most = np.zeros((2, len(FAMILIES)))
        for sota, share in product(SOTAS, SHARES):
            single = ((singles + large * size) * sota - large * size * share) / singles
            if 0 <= single <= 1:
                most = np.maximum(most, _false_claims(judge, (singles, large, size), sota, single, share))
        name = f"accuracy, {singles} single samples, {large} clusters of {size} unlike them"
        for place, claim in enumerate(("win", "below")):
            about = "clusters", name, claim, str(singles + large * size)
            yield from exact_rates(about, most[place].tolist(), ALPHA)


def _false_claims(judge: Judge, design: tuple[int, int, int], sota: float, single: float, share: float) -> np.ndarray:
    singles, large, size = design
    ids = np.concatenate([np.arange(singles), singles + np.repeat(np.arange(large), size)])
    found = np.zeros((2, len(FAMILIES)))
    low, high = binom.ppf([NEGLIGIBLE, 1 - NEGLIGIBLE], singles, single)
    for right, whole in product(range(int(low), int(high) + 1), range(large + 1)):
        weight = float(binom.pmf(right, singles, single) * binom.pmf(whole, large, share))
        if weight < NEGLIGIBLE:
            continue
        values = np.concatenate([np.arange(singles) < right, np.arange(large * size) < whole * size])
        observed = Observed(ACCURACY, rows_of(values), (0.0, 1.0), ids, figure=sota, standard_error=EXACT)
        for place, p in enumerate(judge(observed)):
            found[place] += weight * (p <= ALPHA / np.array(FAMILIES))
    return found
