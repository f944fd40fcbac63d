"""Metrics of scores that should be high where something is, exact for scores of 16 bits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from echelon.adapters import Image, InvalidInputError, Kind, Mask, Number, Part, Tensor
from echelon.scorer.metrics.metric import Metric, Stats, alike, expect, read_answer, read_reference
from echelon.scorer.metrics.pixels import grey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVELS = 1 << 16
_COUNT = 1 << 32
"""A row's numbers are (2 * level + truth) * _COUNT + pixels, each exact in a float64."""
_MISSED = 2 * LEVELS + 1
"""Stands for what is there and has no level at all."""


class _Ranking(Metric):
    """A score of how well the scores of all samples, taken together, tell what is there from what is not.

    An answer is a tensor of scores, uint16 or between 0 and 1, or a grey image, or one number between 0 and 1. Its
    reference is a mask of that shape, not 0 where something is, or an image that is white there, or 0 or 1.

    Scores are rounded to 65536 levels. Without anything there, or nothing but that, the score is NaN. In a failed
    sample nothing that is there is ever found, and what is not has the highest score.
    """

    variant = "@1;pool=task;levels=65536"
    kind = Kind.TENSOR

    def takes(self, kind: Kind) -> bool:
        return kind in (Kind.TENSOR, Kind.IMAGE, Kind.NUMBER)

    references_are_answers = False

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_answer(_levels, prediction), read_reference(_truth, reference)
        alike(given, wanted, "map of scores")
        return _row(given, wanted)

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        wanted = read_reference(_truth, references[0])
        return _row(np.where(wanted, _MISSED // 2, LEVELS - 1), wanted)

    def heaviest(self, rows: Sequence[Stats], worst: Stats) -> Stats:
        """Of samples that are one number each, one of the rarer kind: where something is, or where nothing is."""
        if any(len(row) > 1 for row in rows):
            return worst
        there = sum(int(row[0]) // _COUNT & 1 for row in rows)
        return ((_MISSED if 2 * there <= len(rows) else 2 * (LEVELS - 1)) * _COUNT + 1.0,)

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        histogram = np.zeros(2 * LEVELS + 2)
        for row in rows:
            packed = np.asarray(row, np.float64).astype(np.int64)
            histogram[packed // _COUNT] += packed % _COUNT
        missed = histogram[_MISSED]
        alarms, hits = histogram[: 2 * LEVELS].reshape(LEVELS, 2)[::-1].cumsum(axis=0).T
        return self.from_counts(alarms, hits, float(hits[-1] + missed))

    @abstractmethod
    def from_counts(self, alarms: NDArray[np.float64], hits: NDArray[np.float64], there: float) -> float:
        """The score of the numbers of pixels at each level or above, from the highest level down."""


class AnomalyAveragePrecision(_Ranking):
    """The mean of precision over recall, as a sum over the levels without interpolation.

    Definition: scikit-learn's average_precision_score.
    """

    name = "ap_anomaly"

    def from_counts(self, alarms: NDArray[np.float64], hits: NDArray[np.float64], there: float) -> float:
        import numpy as np

        if not there:
            return nan
        precision = hits / np.maximum(hits + alarms, 1)
        return float(np.diff(hits, prepend=0.0) @ precision / there)


class AreaUnderRoc(_Ranking):
    """The chance that something that is there scores higher than something that is not; ties count half.

    Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """

    name = "auc"
    variant = "/roc@1;pool=task;levels=65536"

    def from_counts(self, alarms: NDArray[np.float64], hits: NDArray[np.float64], there: float) -> float:
        import numpy as np

        if not (there and alarms[-1]):
            return nan
        middle = hits - np.diff(hits, prepend=0.0) / 2
        return float(np.diff(alarms, prepend=0.0) @ middle / (there * alarms[-1]))


def _levels(part: Part) -> NDArray[np.int64]:
    import numpy as np

    if isinstance(part, Image):
        return grey(part).astype(np.int64) * 257
    values = np.asarray(part.value) if isinstance(part, Number) else expect(part, Tensor).array()
    if values.dtype == np.uint16:
        return values.astype(np.int64)
    if values.dtype.kind != "f" or not np.isfinite(values).all() or ((values < 0) | (values > 1)).any():
        raise InvalidInputError("scores must be uint16, or lie between 0 and 1")
    return np.rint(values * np.float64(LEVELS - 1)).astype(np.int64)


def _truth(part: Part) -> NDArray[np.bool_]:
    import numpy as np

    if isinstance(part, Image):
        return grey(part) > 127
    if not isinstance(part, Number):
        return np.not_equal(expect(part, Mask).array(), 0)
    if part.value not in (0, 1):
        raise InvalidInputError(f"something is there (1) or not (0), it cannot be {part.value}")
    return np.asarray(part.value == 1)


def _row(levels: NDArray[np.int64], truth: NDArray[np.bool_]) -> Stats:
    import numpy as np

    counts = np.bincount((2 * levels + truth).reshape(-1))
    (there,) = counts.nonzero()
    row: NDArray[np.float64] = (there * _COUNT + counts[there]).astype(np.float64)
    return row  # type: ignore[return-value]  # an array is a sequence of its numbers
