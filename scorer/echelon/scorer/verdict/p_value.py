"""The p value behind every verdict: Gaffke's bound for a mean of bounded values (doi:10.3103/S1066530705030014).

The observed values are weighted at random, with exponential weights, together with one more value, the worst there can
be. The p value of "the mean is not above 0" is the probability that the weighted sum is not above 0 (Gaffke 2005;
Learned-Miller and Thomas 2019, arXiv:1905.06208). With two distinct values it is a regularised incomplete beta
function: the exact binomial test for right-or-wrong answers, McNemar's exact test for pairs of them. Other values need
a contour integral, derived in docs/verdict-numerics.md, which estimates its own error at every call.
"""

from __future__ import annotations

from math import pi, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOLERANCE = 1e-6
"""Relative error of a p value that decides something."""
COARSE = 0.02
"""Bounds are searched with p values whose last halving of the step changed them by so much at most."""
_FEW_VALUES = 8
"""Of more values than these it is not asked whether only two are distinct: equal ones come with their number."""
_STEP = 0.25
"""Between the first nodes of the integral; halved until the error is small enough."""
_HALVINGS = 7
_BLOCK = 6
_MAX_BLOCKS = 16
_NEGLIGIBLE = 1e-10
_NEWTON_STEPS = 200
_SADDLE_SLACK = 0.2
"""How near to the saddle point the contour has to cross the axis, in widths of the integrand."""
_BEND = 0.5
"""Share of the steepest descent's curvature that the contour takes: the whole of it can leave the valley again."""


def p_not_above_zero(
    values: NDArray[np.float64], copies: NDArray[np.float64], worst: float, tolerance: float = TOLERANCE
) -> float:
    """Compute the p value of "the mean is not above 0" from `values` of which each occurred `copies` times.

    `worst` is the lowest value that another observation could have had; `copies` need not be whole numbers. The result
    is right to the relative `tolerance`, or larger by its estimated error, and 1 where the integral does not converge.
    """
    import numpy as np

    values, weights = np.append(values, worst), np.append(copies, 1.0)
    counts = (values != 0) & (weights > 0)
    values, weights = values[counts], weights[counts]
    positive = values > 0
    if not positive.any():
        return 1.0
    if positive.all():
        return 0.0
    if len(values) <= _FEW_VALUES:
        gains, losses = values[positive], values[~positive]
        if gains.min() == gains.max() and losses.min() == losses.max():
            return _of_two_values(gains[0], -losses[0], weights[positive].sum(), weights[~positive].sum())
    # The smaller of both tails is computed, where nothing cancels.
    if weights @ values > 0:
        tail = _lower_tail(values, weights, tolerance)
        return min(1.0, tail.value + tail.error)
    tail = _lower_tail(-values, weights, tolerance)
    return min(1.0, 1.0 - tail.value + tail.error)


def z_score(p: float) -> float:
    """Return the standard normal deviate that is exceeded with probability `p`, between -38 and 38."""
    return -NormalDist().inv_cdf(min(max(p, 1e-300), 1 - 1e-16))


class _Tail(NamedTuple):
    """A probability and an estimate of its absolute error."""

    value: float
    error: float


_UNKNOWN = _Tail(0.0, 1.0)


def _of_two_values(gain: float, loss: float, gain_weight: float, loss_weight: float) -> float:
    """P(gain G1 <= loss G2) of gamma variables G with these shapes."""
    from scipy.special import betainc

    return float(betainc(gain_weight, loss_weight, loss / (gain + loss)))


def _lower_tail(values: NDArray[np.float64], weights: NDArray[np.float64], tolerance: float) -> _Tail:
    """P(sum of values times Gamma(weights) <= 0) where the mean is above 0, with an estimate of its error.

    The trapezoidal rule converges exponentially with its step here, so the change at the last halving exceeds the error
    that is left.
    """
    import numpy as np

    contour = _Contour.through_saddle(values / -values.min(), weights)
    if contour is None:
        return _UNKNOWN
    with np.errstate(over="ignore", invalid="ignore"):
        coarse, total, nodes = contour.first_sums()
        change, step = abs(total - coarse), _STEP
        for _ in range(_HALVINGS):
            if change <= tolerance * total:
                return _Tail(total * contour.scale, change * contour.scale)
            middle = step * contour.terms(step / 2 + step * np.arange(nodes, dtype=np.float64)).sum()
            halved = (total + float(middle)) / 2
            change, total, step, nodes = abs(halved - total), halved, step / 2, 2 * nodes
    return _UNKNOWN


class _Contour(NamedTuple):
    """The path of integration: from the saddle point it bends towards the steepest descent.

    At a node x it is at `saddle + width (bend (cosh x - 1) + i sinh x)`.
    """

    once: NDArray[np.float64]
    """value / (1 - value * saddle) of the values that occurred once"""
    repeated: NDArray[np.float64]
    """The same of all others."""
    weights: NDArray[np.float64]
    """How often each of these occurred."""
    saddle: float
    width: float
    bend: float
    scale: float

    @classmethod
    def through_saddle(cls, values: NDArray[np.float64], weights: NDArray[np.float64]) -> _Contour | None:
        """Find the saddle point of the integrand between -1 and 0, by Newton's method within a bracket."""
        import numpy as np

        low, high = -1.0, 0.0
        first, second = float(weights @ values), float(weights @ values**2)
        # Where a normal distribution of that mean and variance would have it.
        at = min(max(-(first + sqrt(first**2 + 4 * second)) / (2 * second), -0.99), -1e-12)
        for _ in range(_NEWTON_STEPS):
            shares = values / (1 - values * at)
            weighted = weights * shares
            slope = float(weighted.sum()) - 1 / at
            curvature = float(weighted @ shares) + 1 / at**2
            if abs(slope) <= _SADDLE_SLACK * sqrt(curvature):
                break
            low, high = (at, high) if slope < 0 else (low, at)
            step = at - slope / curvature
            at = step if low < step < high else (low + high) / 2
        else:
            return None
        width = 1 / sqrt(curvature)
        bend = _BEND * 2 / 3 * (float(weighted @ shares**2) - at**-3) * width**3
        scale = width / pi * float(np.exp(-(weights @ np.log1p(-values * at))))
        repeated = weights != 1
        return cls(shares[~repeated], shares[repeated], weights[repeated], at, width, bend, scale)

    def first_sums(self) -> tuple[float, float, int]:
        """Sum the integrand at twice the first step and at it, up to where it is negligible, and count the nodes."""
        import numpy as np

        even = odd = 0.0
        for block in range(_MAX_BLOCKS):
            terms = self.terms(_STEP * np.arange(block * _BLOCK, (block + 1) * _BLOCK, dtype=np.float64))
            if block == 0:
                terms[0] /= 2
            even, odd = even + float(terms[::2].sum()), odd + float(terms[1::2].sum())
            if abs(float(terms[-1])) <= _NEGLIGIBLE * abs(even + odd):
                break
        return 2 * _STEP * even, _STEP * (even + odd), (block + 1) * _BLOCK

    def terms(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate the integrand at nodes `x`, relative to its value at the saddle point but for the pole's factor."""
        import numpy as np

        bow, rise = np.cosh(x), np.sinh(x)
        path = self.width * (self.bend * (bow - 1) + 1j * rise)
        # Most values occur once, and a product is cheaper than the logarithms that other powers need.
        product = (1 - self.once[:, None] * path).prod(axis=0)
        integrand = (bow - 1j * self.bend * rise) / (-self.saddle - path) / product
        if len(self.repeated):
            factors = 1 - self.repeated[:, None] * path
            size = -0.5 * (self.weights @ np.log(factors.real**2 + factors.imag**2))
            angle = -(self.weights @ np.arctan2(factors.imag, factors.real))
            integrand *= np.exp(size + 1j * angle)
        # Where a product of thousands of factors overflows, the integrand is far below what counts.
        found: NDArray[np.float64] = np.where(np.isfinite(product), integrand.real, 0.0)
        return found
