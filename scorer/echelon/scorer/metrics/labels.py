"""Metrics of chosen labels, which match where they are spelled alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import fsum
from typing import TYPE_CHECKING

from echelon.adapters import Choice, InvalidInputError, Kind, Part
from echelon.scorer.metrics.metric import (
    MeanMetric,
    Metric,
    RatioMetric,
    Stats,
    expect,
    quotient,
    ratio,
    read_both,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_CLASS = -1.0


class Accuracy(MeanMetric):
    """Share of the samples whose label is right."""

    name = "accuracy"
    variant = "@1;match=exact"
    kind = Kind.CHOICE

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = read_both(_label, prediction, reference)
        return float(given == wanted)


class EAccuracy(Accuracy):
    """Share of the samples whose label is right; General-Bench does not say what its E stands for."""

    name = "e_accuracy"


class MacroF1(Metric):
    """The mean of each class's F1, over the references' classes; the stats are (true class, predicted class)."""

    name = "macro_f1"
    variant = "@1;classes=references;match=exact"
    kind = Kind.CHOICE

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_both(_label, prediction, reference)
        return label_code(wanted), label_code(given)

    def worst(self, references: Sequence[Part]) -> Stats:
        return label_code(_label(references[0])), NO_CLASS

    def heaviest(self, rows: Sequence[Stats], worst: Stats) -> Stats:
        """One of the rarest class, where each sample weighs most."""
        counts = Counter(row[0] for row in rows)
        return min(counts, key=lambda code: (counts[code], code), default=worst[0]), NO_CLASS

    def finish(self, rows: Sequence[Stats]) -> float:
        counts = _ClassCounts(rows)
        return ratio(fsum(map(counts.f1, counts.true)), len(counts.true))


class WeightedF1(MacroF1):
    """The mean of each class's F1, weighted by how many samples are of that class."""

    name = "f1_weighted"

    def finish(self, rows: Sequence[Stats]) -> float:
        counts = _ClassCounts(rows)
        return ratio(fsum(counts.f1(code) * counts.true[code] for code in counts.true), len(rows))


class MacroAccuracy(MacroF1):
    """The mean over the references' classes of the share of a class's samples that are right."""

    name = "macro_accuracy"

    def finish(self, rows: Sequence[Stats]) -> float:
        counts = _ClassCounts(rows)
        return ratio(fsum(counts.hits[code] / counts.true[code] for code in counts.true), len(counts.true))


class _ClassCounts:
    """How many samples are of a class, are said to be, and both."""

    def __init__(self, rows: Sequence[Stats]) -> None:
        self.true = Counter(row[0] for row in rows)
        self.said = Counter(row[1] for row in rows)
        self.hits = Counter(row[0] for row in rows if row[0] == row[1])

    def f1(self, code: float) -> float:
        return 2 * self.hits[code] / (self.true[code] + self.said[code])


class MicroF1(RatioMetric):
    """F1 of label sets, over all samples; the stats are (right, wrong, missed) labels."""

    name = "micro_f1"
    variant = "@1;sets=labels;match=exact"
    kind = Kind.CHOICE

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_both(self.label_set, prediction, reference)
        return float(len(given & wanted)), float(len(given - wanted)), float(len(wanted - given))

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(max(1, len(self.label_set(references[0]))))
        return 0.0, count, count

    def label_set(self, part: Part) -> frozenset[str]:
        """What has to be found."""
        return frozenset(scored.label for scored in expect(part, Choice).labels)

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        right, wrong, missed = np.moveaxis(sums, -1, 0)
        return quotient(2 * right, 2 * right + wrong + missed, empty=1.0)


@lru_cache(maxsize=65_536)
def label_code(label: str) -> float:
    """A whole number that stands for a label in stats, wherever they are computed."""
    return float(int.from_bytes(blake2b(label.encode(errors="surrogatepass"), digest_size=6).digest()))


def _label(part: Part) -> str:
    choice = expect(part, Choice)
    if not choice.labels:
        raise InvalidInputError("a choice needs a label")
    return choice.label
