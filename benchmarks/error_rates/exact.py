"""The p value of a mean's test in rational numbers, to hold the verdict's against: no integral, no rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod

import numpy as np

from echelon.scorer.metrics.registry import metric
from error_rates.judge import Observed, constant_ps
from error_rates.profiles import rows_of

RELATIVE, ABSOLUTE = 1e-6, 1e-12


def not_above(values: Sequence[float], figure: float, worst: float) -> float:
    """P(E1 (y1 - figure) + ... + E0 (worst - figure) <= 0) for exponential weights and values that all differ.

    The sum's upper tail is that of a hypoexponential distribution, by partial fractions.
    """
    shifted = [Fraction(value) - Fraction(figure) for value in (*values, worst)]
    above = Fraction(0)
    for place, value in enumerate(shifted):
        if value > 0:
            others = (*shifted[:place], *shifted[place + 1 :])
            above += prod((value / (value - other) for other in others), start=Fraction(1))
    return float(1 - above)


def largest_error(seed: int = 31) -> tuple[float, str, int, int]:
    """The largest error in units of what is allowed, where it is, how many are wrong, and of how many."""
    largest, where, wrong, total = 0.0, "", 0, 0
    for name, values, figure in _values(seed):
        observed = Observed(metric("anls"), rows_of(values), (0.0, 1.0), figure=figure)
        mirrored = 1 - values
        pairs = zip(
            constant_ps(observed),
            (not_above(values.tolist(), figure, 0.0), not_above(mirrored.tolist(), float(1 - Fraction(figure)), 0.0)),
            strict=True,
        )
        for found, wanted in pairs:
            error = abs(found - wanted) / max(RELATIVE * wanted, ABSOLUTE)
            wrong, total = wrong + (error > 1), total + 1
            if error > largest:
                largest, where = error, f"{name}, n {len(values)}, figure {figure:.6g}: {found:.3g} for {wanted:.3g}"
    return largest, where, wrong, total


def _values(seed: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """Spread, crowded and lopsided values in [0, 1], and figures on both sides of their mean."""
    random = np.random.Generator(np.random.Philox(key=[seed, 0]))
    for samples in (20, 40):
        kinds = {
            "uniform": random.random(samples),
            "near 1, a few low": np.where(np.arange(samples) < 2, 0.1, 0.999) + 1e-4 * random.random(samples),
            "near 0, a few high": np.where(np.arange(samples) < 2, 0.9, 1e-3) + 1e-4 * random.random(samples),
            "at both ends": np.where(np.arange(samples) % 2, 1 - 1e-3, 1e-3) * (1 - 1e-3 * random.random(samples)),
            "over six orders": 10 ** random.uniform(-6, 0, samples),
        }
        for name, values in kinds.items():
            # Multiples of a power of two, so that what is mirrored is exact.
            grid = np.unique(np.rint(values * 2**40)) / 2**40
            mean, spread = float(grid.mean()), float(grid.std())
            for deviate in (-1.0, -0.3, -0.05, 0.0, 0.05, 0.3, 1.0):
                figure = round((mean + deviate * spread) * 2**40) / 2**40
                if 0 < figure < 1 and figure not in grid:
                    yield name, grid, figure
