"""The one test behind every verdict: how probable a mean of at least the observed is, where nothing is won.

The sample is weighted at random, with exponential weights, together with one more observation, the worst there could
be; the p value is the probability that the weighted sum is not above 0 (Gaffke 2005; Learned-Miller and Thomas 2019,
arXiv:1905.06208). Of zeros and ones it is the exact binomial test, of paired zeros and ones McNemar's exact test.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_STEP = 0.25
"""Between nodes of the integral: the rule's error is near exp(-10/step)."""
_NODES = 64
_BLOCK = 16
_NEGLIGIBLE = 1e-13
_ROUNDS = 200
_FLAT = 0.1
"""How near to the saddle point the path has to pass, in its widths."""


def tail(values: NDArray[np.float64], copies: NDArray[np.float64], worst: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p value of "the mean is not above 0" for each row of `values`, each value having occurred `copies` times.

    `worst` is the lowest value that could have come instead, for each row.
    """
    import numpy as np

    values, copies = np.broadcast_arrays(values, copies)
    everything = np.concatenate([values, worst[..., None]], axis=-1)
    weights = np.concatenate([copies, np.ones_like(worst)[..., None]], axis=-1)
    everything = np.where(weights > 0, everything, 0.0)
    lowest, highest = everything.min(axis=-1), everything.max(axis=-1)
    found = np.where(highest > 0, 0.0, 1.0)
    mixed = (lowest < 0) & (highest > 0)
    if mixed.any():
        found[mixed] = _not_above(everything[mixed] / -lowest[mixed, None], weights[mixed])
    return found


def deviate(p: float) -> float:
    """The standard normal deviate that is exceeded with probability `p`, between -38 and 38."""
    return -NormalDist().inv_cdf(min(max(p, 1e-300), 1 - 1e-16))


def _not_above(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(sum of values times Gamma(weights) <= 0), by inverting the moment generating function.

    The path crosses the real axis at the saddle point, where nothing cancels, so tiny probabilities are as exact as
    others; `values` are scaled so that the lowest is -1.
    """
    import numpy as np

    saddle, shares, width = _saddle(values, weights)
    bend = 2 / 3 * (((weights * shares**3).sum(axis=-1) - saddle**-3.0) * width**3)[:, None]
    total = np.zeros(len(values))
    for first in range(0, _NODES, _BLOCK):
        x = _STEP * np.arange(first, first + _BLOCK)
        # From the saddle point the path bends with the steepest descent, where the integrand does not oscillate.
        path = width[:, None] * (bend * (np.cosh(x) - 1) + 1j * np.sinh(x))
        real = 1 - shares[..., None] * path.real[:, None, :]
        imaginary = shares[..., None] * path.imag[:, None, :]
        size = -0.5 * np.einsum("bu,bun->bn", weights, np.log(real * real + imaginary * imaginary))
        angle = np.einsum("bu,bun->bn", weights, np.arctan2(imaginary, real))
        terms = np.exp(size + 1j * angle) / (-saddle[:, None] - path) * (np.cosh(x) - 1j * bend * np.sinh(x))
        terms[:, 0] *= 0.5 if first == 0 else 1.0
        total += terms.real.sum(axis=-1)
        if (np.abs(terms[:, -1]) <= _NEGLIGIBLE * np.abs(total)).all():
            break
    at_saddle = -(weights * np.log1p(-values * saddle[:, None])).sum(axis=-1)
    found: NDArray[np.float64] = np.clip(total * width * _STEP / np.pi * np.exp(at_saddle), 0.0, 1.0)
    return found


def _saddle(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Where between -1 and 0 the integrand is least, what each value contributes there, and how wide the path is."""
    import numpy as np

    low, high = np.full(len(values), -1.0), np.zeros(len(values))
    first, second = (weights * values).sum(axis=-1), (weights * values**2).sum(axis=-1)
    # Where a normal distribution of that mean and variance would have it.
    t = np.clip(-(first + np.sqrt(first**2 + 4 * second)) / (2 * second), -0.99, -1e-9)
    for _ in range(_ROUNDS):
        shares = values / (1 - values * t[:, None])
        slope = (weights * shares).sum(axis=-1) - 1 / t
        curvature = (weights * shares**2).sum(axis=-1) + 1 / t**2
        if (np.abs(slope) <= _FLAT * np.sqrt(curvature)).all():
            break
        low, high = np.where(slope < 0, t, low), np.where(slope < 0, high, t)
        step = t - slope / curvature
        t = np.where((low < step) & (step < high), step, (low + high) / 2)
    return t, shares, 1 / np.sqrt(curvature)
