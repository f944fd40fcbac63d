"""Metrics of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Number, Part
from echelon.scorer.metrics.metric import ErrorMetric, Stats, expect, read_both

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


def _number(part: Part) -> float:
    value = expect(part, Number).value
    if not isfinite(value):
        raise InvalidInputError(f"a number must be finite, not {value}")
    return value
