"""Metrics of chosen labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from math import fsum
from typing import ClassVar

from echelon.adapters import Choice, Kind, Part
from echelon.scorer.metrics.metric import MeanMetric, Metric, Stats, column, expect, ratio

NO_CLASS = -1.0


class Accuracy(MeanMetric):
    """Share of the samples whose label is a reference's."""

    name = "accuracy"
    variant = "@1;match=exact"
    kind = Kind.CHOICE

    def value(self, prediction: Part, reference: Part) -> float:
        return float(expect(prediction, Choice).label == expect(reference, Choice).label)


class MacroF1(Metric):
    """Mean over the references' classes of each class's F1; the stats are (true class, predicted class)."""

    name = "macro_f1"
    variant = "@1;classes=references;match=exact"
    kind = Kind.CHOICE

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        predicted = expect(prediction, Choice).label
        right = [expect(reference, Choice).label for reference in references]
        return class_code(predicted if predicted in right else right[0]), class_code(predicted)

    def worst(self, references: Sequence[Part]) -> Stats:
        return class_code(expect(references[0], Choice).label), NO_CLASS

    def finish(self, rows: Sequence[Stats]) -> float:
        true = Counter(row[0] for row in rows)
        predicted = Counter(row[1] for row in rows)
        hits = Counter(row[0] for row in rows if row[0] == row[1])
        return ratio(fsum(2 * hits[code] / (true[code] + predicted[code]) for code in true), len(true))


class MicroF1(Metric):
    """F1 of label sets over all samples; the stats are (right, wrong, missed) labels."""

    name = "micro_f1"
    variant = "@1;sets=labels;match=exact"
    kind = Kind.CHOICE
    empty_score: ClassVar[float] = 1.0
    """No label wanted and none given."""

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        predicted = _label_set(prediction)
        return max((_overlap(predicted, _label_set(reference)) for reference in references), key=self._f1)

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(max(len(_label_set(reference)) for reference in references))
        return 0.0, count, count

    def finish(self, rows: Sequence[Stats]) -> float:
        return self._f1((column(rows, 0), column(rows, 1), column(rows, 2)))

    def _f1(self, counts: Stats) -> float:
        right, wrong, missed = counts
        return ratio(2 * right, 2 * right + wrong + missed, empty=self.empty_score)


def class_code(label: str) -> float:
    """A whole number that stands for a label in stats, wherever they are computed."""
    return float(int.from_bytes(blake2b(label.encode(), digest_size=6).digest()))


def _label_set(part: Part) -> frozenset[str]:
    return frozenset(scored.label for scored in expect(part, Choice).labels)


def _overlap(predicted: frozenset[str], reference: frozenset[str]) -> Stats:
    return float(len(predicted & reference)), float(len(predicted - reference)), float(len(reference - predicted))
