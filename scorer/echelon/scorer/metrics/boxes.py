"""Metrics of boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import fsum, isfinite
from typing import TypeAlias

from echelon.adapters import Box, Boxes, InvalidInputError, Kind, Part
from echelon.scorer.metrics.labels import label_code
from echelon.scorer.metrics.metric import InvalidAnswer, Metric, Stats, expect, ratio, read_both

OVERLAP = 0.5
MOST_BOXES = 100
"""Boxes of one label in one frame that count, the best-scored ones."""

NO_LABEL = -1.0
FALSE_ALARM, HIT, OBJECT = 0.0, 1.0, 2.0

Found: TypeAlias = tuple[float, bool]
"""A box's score, and whether it hit an object."""
Group: TypeAlias = tuple[int, str]
"""Frame and label: what boxes must share to match."""


class AveragePrecision50(Metric):
    """COCO's average precision at an overlap of 0.5, over the labels of the references.

    The stats are triples (label, score, outcome), one for each object and each box. Among boxes of one score false
    alarms go first, so that neither the order of the samples nor giving all boxes one score changes or helps a score.
    """

    name = "ap50"
    variant = "/coco@1;iou=0.5;recalls=101;most=100;ties=false-first;score=1"
    kind = Kind.BOXES

    def compare(self, prediction: Part, reference: Part) -> Stats:
        expected = expect(reference, Boxes).space
        if expect(prediction, Boxes).space != expected:
            raise InvalidAnswer(f"the boxes' space is {expect(prediction, Boxes).space}, {expected} is wanted")
        given, wanted = read_both(_groups, prediction, reference)
        records: list[float] = []
        for group in sorted(given.keys() | wanted.keys()):
            objects = wanted.get(group, [])
            code = label_code(group[1])
            for score, hit in _matched(given.get(group, []), objects):
                records += (code, score, HIT if hit else FALSE_ALARM)
            records += (code, 0.0, OBJECT) * len(objects)
        return tuple(records)

    def worst(self, references: Sequence[Part]) -> Stats:
        missed = self.compare(Boxes((), space=expect(references[0], Boxes).space), references[0])
        # Rightly seeing nothing must not look the same as failing.
        return missed or (NO_LABEL, 1.0, FALSE_ALARM)

    def finish(self, rows: Sequence[Stats]) -> float:
        objects: dict[float, int] = {}
        found: dict[float, list[Found]] = {}
        for code, score, outcome in _triples(rows):
            if outcome == OBJECT:
                objects[code] = objects.get(code, 0) + 1
            else:
                found.setdefault(code, []).append((score, outcome == HIT))
        precisions = [_average_precision(found.get(code, []), count) for code, count in objects.items()]
        return ratio(fsum(precisions), len(precisions), empty=0.0 if found else 1.0)


def _triples(rows: Iterable[Stats]) -> Iterator[tuple[float, float, float]]:
    for row in rows:
        yield from zip(row[::3], row[1::3], row[2::3], strict=True)


def _groups(part: Part) -> dict[Group, list[Box]]:
    groups: dict[Group, list[Box]] = {}
    for box in expect(part, Boxes).boxes:
        if not isinstance(box, Box):
            raise InvalidInputError("cuboids have no area; rectangles are wanted")
        if not all(map(isfinite, (box.x_min, box.y_min, box.x_max, box.y_max, _score(box)))):
            raise InvalidInputError("a box's coordinates and score must be finite")
        groups.setdefault((box.frame_index, box.label), []).append(box)
    return groups


def _matched(given: list[Box], objects: list[Box]) -> Iterator[Found]:
    """Boxes by falling score, each with the free object it covers best."""
    free = list(objects)
    for box in sorted(given, key=_score, reverse=True)[:MOST_BOXES]:
        best = max(free, key=lambda wanted: _overlap(box, wanted), default=None)
        hit = best is not None and _overlap(box, best) >= OVERLAP - 1e-10
        if hit:
            free = [wanted for wanted in free if wanted is not best]
        yield _score(box), hit


def _score(box: Box) -> float:
    return 1.0 if box.score is None else box.score


def _overlap(one: Box, other: Box) -> float:
    """Intersection by union."""
    width = min(one.x_max, other.x_max) - max(one.x_min, other.x_min)
    height = min(one.y_max, other.y_max) - max(one.y_min, other.y_min)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (_area(one) + _area(other) - width * height)


def _area(box: Box) -> float:
    return (box.x_max - box.x_min) * (box.y_max - box.y_min)


def _average_precision(found: list[Found], object_count: int) -> float:
    """The mean, over 101 recalls, of the best precision at that recall or above."""
    import numpy as np

    hits = np.array([hit for _, hit in sorted(found, key=lambda box: (-box[0], box[1]))], dtype=np.float64)
    caught = hits.cumsum()
    precision = caught / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(caught / object_count, np.linspace(0, 1, 101))
    return fsum(best[at[at < len(best)]]) / 101
