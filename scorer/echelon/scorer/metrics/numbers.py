"""Metrics of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite, sqrt

from echelon.adapters import InvalidInputError, Kind, Number, Part
from echelon.scorer.metrics.metric import ErrorMetric, Stats, expect, ratio, read_both


class MeanAbsoluteError(ErrorMetric):
    """The mean distance between answer and reference."""

    name = "mae"
    variant = "@1"
    kind = Kind.NUMBER

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = read_both(_number, prediction, reference)
        return abs(given - wanted)


class RootMeanSquaredError(MeanAbsoluteError):
    """The root of the mean squared distance between answer and reference."""

    name = "rmse"

    def finish(self, rows: Sequence[Stats]) -> float:
        return sqrt(ratio(fsum(error * error for error, _ in rows), len(rows)))


def _number(part: Part) -> float:
    value = expect(part, Number).value
    if not isfinite(value):
        raise InvalidInputError(f"a number must be finite, not {value}")
    return value
