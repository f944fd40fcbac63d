"""Metrics of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Number, Part, Tensor
from echelon.scorer.metrics.metric import ErrorMetric, InvalidAnswer, MeanMetric, Stats, expect, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class MeanAbsoluteError(ErrorMetric):
    """The mean distance between answer and reference."""

    name = "mae"
    variant = "@1"
    kind = Kind.NUMBER

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = read_both(_number, prediction, reference)
        return abs(given - wanted)


class MeanSquaredError(MeanAbsoluteError):
    """The mean squared distance between answer and reference; the declared worst is a square too."""

    name = "mse_number"

    def value(self, prediction: Part, reference: Part) -> float:
        return super().value(prediction, reference) ** 2


class RootMeanSquaredError(MeanAbsoluteError):
    """The root of the mean squared distance between answer and reference; the stats are (squared distance, 1)."""

    name = "rmse"

    def compare(self, prediction: Part, reference: Part) -> Stats:
        error, count = super().compare(prediction, reference)
        return error * error, count

    def worst(self, references: Sequence[Part]) -> Stats:
        return self.limit * self.limit, 1.0

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        return np.sqrt(super().from_sums(sums))


class Correlation(MeanMetric):
    """The mean over the samples of Pearson's correlation of two series, tensors of one shape.

    A series that does not vary correlates with nothing: 0.
    """

    name = "pcc"
    variant = "@1;pearson=per-sample;constant=0"
    kind = Kind.TENSOR
    unit = ""
    range = (-1.0, 1.0)

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = read_both(_deviations, prediction, reference)
        if given.shape != wanted.shape:
            raise InvalidAnswer(f"the series has {given.size} numbers, {wanted.size} are wanted")
        return float(np.clip(given @ wanted, -1, 1))


def _deviations(part: Part) -> NDArray[np.float64]:
    """A series about its mean, of length 1; zeros where it does not vary."""
    import numpy as np

    series = expect(part, Tensor).array().astype(np.float64).reshape(-1)
    if not series.size or not np.isfinite(series).all():
        raise InvalidInputError("a series needs at least one number, and all of them finite")
    scaled = series / max(1.0, float(np.abs(series).max()))
    deviations: NDArray[np.float64] = scaled - scaled.mean()
    # What rounding leaves of a constant is no variation.
    deviations[np.abs(deviations) <= 1e-15] = 0
    length = float(np.linalg.norm(deviations))
    return deviations / length if length else deviations


def _number(part: Part) -> float:
    value = expect(part, Number).value
    if not isfinite(value):
        raise InvalidInputError(f"a number must be finite, not {value}")
    return value
