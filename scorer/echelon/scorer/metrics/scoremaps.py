"""Metrics of scores that should be high where something is: exact ranks of scores of any range.

The stats of a sample are (peak, number of distinct scores where something is, number of them there and elsewhere, these
scores, how often each occurs). The peak is 0, or what the scores have to be divided by where they are unsigned integers
of 8 or 16 bits. Without the last part each score occurs once.

A map of floats takes 8 bytes a pixel, or 16 bytes for each distinct score where some occur more often, so that 64
million pixels of a task take at most a gigabyte. A map of 8 or 16 bits takes at most 2 MB.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from echelon.adapters import Image, InvalidInputError, Kind, Mask, Number, Part, Tensor
from echelon.scorer.metrics.metric import Metric, Stats, alike, expect, read_answer, read_reference
from echelon.scorer.metrics.pixels import INTEGER_PEAKS, grey, one_channel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

MISSED, ALARM = -inf, inf
"""The scores of a failed sample: what is there is never found, and what is not there scores above everything."""
_LEVELS = 1 << 16
_EXACT = 1 << 53
"""Integers up to here are exact as float64."""
_HEAD = 3
"""Numbers that stand before the scores in stats."""
_ONE_NUMBER = _HEAD + 1
"""The length of the stats of a sample that is one number."""


class Counts(NamedTuple):
    """Scores and how often they occur."""

    values: Scores
    """Ascending; a score may stand here more than once."""
    cumulated: Scores
    """How many there are before each of `values`, and in all."""

    @property
    def total(self) -> float:
        """How many scores there are."""
        return float(self.cumulated[-1])

    def below(self, scores: Scores) -> Scores:
        """Return how many are below each of `scores`."""
        below: Scores = self.cumulated[self.values.searchsorted(scores, "left")]
        return below

    def at_most(self, scores: Scores) -> Scores:
        """Return how many are not above each of `scores`."""
        at_most: Scores = self.cumulated[self.values.searchsorted(scores, "right")]
        return at_most


class _Ranking(Metric):
    """A score of how well the scores of all samples, taken together, tell what is there from what is not.

    An answer is a tensor of finite scores, or a grey image, or one number. Unsigned integers of 8 and 16 bits count as
    fractions of their highest value, all others as they are. A reference is a mask of the answer's shape, not 0 where
    something is, or an image that is white there, or 0 or 1.

    Without anything there, or nothing but that, the score is NaN. In a failed sample nothing that is there is ever
    found, and what is not has the highest score.
    """

    variant = "@2;pool=task;scores=exact"
    kind = Kind.TENSOR

    def takes(self, kind: Kind) -> bool:
        return kind in (Kind.TENSOR, Kind.IMAGE, Kind.NUMBER)

    references_are_answers = False

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_answer(_scores, prediction), read_reference(_truth, reference)
        alike(given, wanted, "map of scores")
        return ranking_stats(given, wanted)

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        wanted = read_reference(_truth, references[0])
        return ranking_stats(np.where(wanted, MISSED, ALARM), wanted)

    def heaviest(self, rows: Sequence[Stats], worst: Stats) -> Stats:
        """Of samples that are one number each, one of the rarer kind: where something is, or where nothing is."""
        if any(len(row) > _ONE_NUMBER for row in rows):
            return worst
        there = sum(row[1] for row in rows)
        return (0.0, 1.0, 1.0, MISSED) if 2 * there <= len(rows) else (0.0, 0.0, 1.0, ALARM)

    def finish(self, rows: Sequence[Stats]) -> float:
        return self.from_counts(*pooled(rows))

    @abstractmethod
    def from_counts(self, there: Counts, away: Counts) -> float:
        """Return the score of the scores where something is and where nothing is."""


class AnomalyAveragePrecision(_Ranking):
    """The mean of precision over recall, as a sum over the distinct scores without interpolation.

    Definition: scikit-learn's average_precision_score.
    """

    name = "ap_anomaly"

    def from_counts(self, there: Counts, away: Counts) -> float:
        import numpy as np

        if not there.total:
            return nan
        values = np.unique(there.values)
        values = values[values != MISSED]
        above = there.total - there.below(values)
        precision = above / (above + away.total - away.below(values))
        return float(((there.at_most(values) - there.below(values)) * precision).sum() / there.total)


class AreaUnderRoc(_Ranking):
    """The chance that something that is there scores higher than something that is not; ties count half.

    Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """

    name = "auc"
    variant = "/roc@2;pool=task;scores=exact"

    def from_counts(self, there: Counts, away: Counts) -> float:
        import numpy as np

        if not (there.total and away.total):
            return nan
        values = np.unique(there.values)
        outranked = (away.below(values) + away.at_most(values)) / 2
        return float(((there.at_most(values) - there.below(values)) * outranked).sum() / (there.total * away.total))


def ranking_stats(scores: NDArray[Any], truth: NDArray[np.bool_]) -> Stats:
    """Return the stats of scores, some of which are where something is: `truth` has the shape of `scores`."""
    import numpy as np

    peak = INTEGER_PEAKS.get(scores.dtype.name, 0)
    count = _count_levels if peak else _count_values
    (hits, hit_counts), (others, other_counts) = count(scores[truth]), count(scores[~truth])
    values, counts = np.concatenate([hits, others]), np.concatenate([hit_counts, other_counts])
    repeats = counts if peak or (counts > 1).any() else counts[:0]
    row: Scores = np.concatenate([[peak, len(hits), len(values)], values, repeats])
    return row  # type: ignore[return-value]  # an array is a sequence of its numbers


def pooled(rows: Sequence[Stats]) -> tuple[Counts, Counts]:
    """Return the scores of all rows where something is, and where nothing is."""
    import numpy as np

    if all(len(row) == _ONE_NUMBER for row in rows):
        table = np.array(rows, np.float64)
        is_there, ones = table[:, 1] == 1, table[:, 2]
        found, rest = (_Pool([table[at, _HEAD]], [ones[at]]) for at in (is_there, ~is_there))
        return found.counted(), rest.counted()
    levels = np.zeros((2, _LEVELS))
    there, away = _Pool([], []), _Pool([], [])
    for row in rows:
        numbers = np.asarray(row, np.float64)
        peak, hits, length = (int(number) for number in numbers[:_HEAD])
        values, counts = numbers[_HEAD : _HEAD + length], numbers[_HEAD + length :]
        for part, pool, histogram in ((slice(hits), there, levels[0]), (slice(hits, None), away, levels[1])):
            if peak:
                histogram[values[part].astype(np.int64) * (INTEGER_PEAKS["uint16"] // peak)] += counts[part]
            else:
                pool.values.append(values[part])
                pool.counts.append(counts[part] if len(counts) else np.ones(len(values[part])))
    for pool, histogram in ((there, levels[0]), (away, levels[1])):
        occurring = histogram.nonzero()[0]
        pool.values.append(occurring / INTEGER_PEAKS["uint16"])
        pool.counts.append(histogram[occurring])
    return there.counted(), away.counted()


class _Pool(NamedTuple):
    """Scores of several samples, and how often they occur there."""

    values: list[Scores]
    counts: list[Scores]

    def counted(self) -> Counts:
        import numpy as np

        values, counts = np.concatenate(self.values), np.concatenate(self.counts)
        # Sorting plain numbers is several times as fast as sorting places.
        if counts.sum() <= 2 * len(counts):
            repeated = np.sort(values.repeat(counts.astype(np.int64)))
            return Counts(repeated, np.arange(len(repeated) + 1.0))
        order = values.argsort()
        return Counts(values[order], np.append(0.0, counts[order].cumsum()))


def _count_values(scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    import numpy as np

    return np.unique(scores, return_counts=True)


def _count_levels(scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    import numpy as np

    counts = np.bincount(scores)
    there = counts.nonzero()[0]
    return there, counts[there]


def _scores(part: Part) -> NDArray[Any]:
    import numpy as np

    if isinstance(part, Number):
        if not isfinite(part.value):
            raise InvalidInputError(f"a score must be finite, not {part.value}")
        return np.asarray(float(part.value)) + 0.0
    values: NDArray[Any] = one_channel(part.deep_array()) if isinstance(part, Image) else expect(part, Tensor).array()
    if values.dtype.name == "int64" and ((values > _EXACT) | (values < -_EXACT)).any():
        raise InvalidInputError("whole numbers beyond 2^53 cannot be ranked exactly; send scores as float64")
    if values.dtype.name in INTEGER_PEAKS:
        return values
    scores = values.astype(np.float64)
    if not np.isfinite(scores).all():
        raise InvalidInputError("scores must be finite")
    # A negative zero becomes a zero.
    return scores + 0.0


def _truth(part: Part) -> NDArray[np.bool_]:
    import numpy as np

    if isinstance(part, Image):
        return grey(part) > 127
    if not isinstance(part, Number):
        return np.not_equal(expect(part, Mask).array(), 0)
    if part.value not in (0, 1):
        raise InvalidInputError(f"something is there (1) or not (0), it cannot be {part.value}")
    return np.asarray(part.value == 1)
