"""Metrics of chosen labels, which match where they are spelled alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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

    def finish(self, rows: Sequence[Stats]) -> float:
        true = Counter(row[0] for row in rows)
        predicted = Counter(row[1] for row in rows)
        hits = Counter(row[0] for row in rows if row[0] == row[1])
        return ratio(fsum(2 * hits[code] / (true[code] + predicted[code]) for code in true), len(true))


class MicroF1(RatioMetric):
    """F1 of label sets, over all samples; the stats are (right, wrong, missed) labels."""

    name = "micro_f1"
    variant = "@1;sets=labels;match=exact"
    kind = Kind.CHOICE

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = _label_set(prediction), _label_set(reference)
        return float(len(given & wanted)), float(len(given - wanted)), float(len(wanted - given))

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(max(1, len(_label_set(references[0]))))
        return 0.0, count, count

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        right, wrong, missed = np.moveaxis(sums, -1, 0)
        return quotient(2 * right, 2 * right + wrong + missed, empty=1.0)


def label_code(label: str) -> float:
    """A whole number that stands for a label in stats, wherever they are computed."""
    return float(int.from_bytes(blake2b(label.encode(errors="surrogatepass"), digest_size=6).digest()))


def _label(part: Part) -> str:
    choice = expect(part, Choice)
    if not choice.labels:
        raise InvalidInputError("a choice needs a label")
    return choice.label


def _label_set(part: Part) -> frozenset[str]:
    return frozenset(scored.label for scored in expect(part, Choice).labels)
