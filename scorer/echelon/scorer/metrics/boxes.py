"""Metrics of boxes in images."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat
from math import fsum, isfinite
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, TypeVar

from echelon.adapters import Box, Box3D, Boxes, InvalidInputError, Kind, Part
from echelon.scorer.metrics.labels import label_code
from echelon.scorer.metrics.metric import InvalidAnswer, Metric, Stats, expect, ratio, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BOXES = 100
"""Boxes of one label in one frame that count, the best-scored ones."""

SLACK = 1e-10
NO_LABEL = -1.0
OBJECT, MISSES = -1.0, 0.0
"""What stands in a row's third place for an object, and for a box that hits none; else a bit for each limit."""

BoxT = TypeVar("BoxT", bound=Box | Box3D)
Group: TypeAlias = tuple[int, str]
"""Frame and label: what boxes must share to match."""


class Detection(Metric, Generic[BoxT]):
    """An average precision over the labels of the references, averaged over how close a box has to be to an object.

    The stats are triples (label, score, hits), one for each object and each box. Among boxes of one score false
    alarms go first, so that neither the order of the samples nor giving all boxes one score changes or helps a score.
    """

    kind = Kind.BOXES
    limits: ClassVar[tuple[float, ...]]
    """How close a hit is at least, in rising order."""

    @abstractmethod
    def boxes(self, part: Part) -> Sequence[BoxT]:
        """The part's boxes, if they can be computed with; InvalidInputError otherwise."""

    @abstractmethod
    def closeness(self, box: BoxT, wanted: BoxT) -> float:
        """Higher is closer."""

    @abstractmethod
    def area(self, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
        """What lies under the curve, which has a point for each box by falling score."""

    def compare(self, prediction: Part, reference: Part) -> Stats:
        expected = expect(reference, Boxes).space
        if expect(prediction, Boxes).space != expected:
            raise InvalidAnswer(f"the boxes' space is {expect(prediction, Boxes).space}, {expected} is wanted")
        given, wanted = read_both(self._groups, prediction, reference)
        records: list[float] = []
        for group in sorted(given.keys() | wanted.keys()):
            objects = wanted.get(group, ())
            code = label_code(group[1])
            boxes = sorted(given.get(group, ()), key=score_of, reverse=True)[:MOST_BOXES]
            for box, hits in zip(boxes, self._hits(boxes, objects) if objects else repeat(MISSES), strict=False):
                records += (code, score_of(box), hits)
            records += (code, 0.0, OBJECT) * len(objects)
        return tuple(records)

    def worst(self, references: Sequence[Part]) -> Stats:
        missed = self.compare(Boxes((), space=expect(references[0], Boxes).space), references[0])
        # Rightly seeing nothing must not look the same as failing.
        return missed or (NO_LABEL, 1.0, MISSES)

    def heaviest(self, rows: Sequence[Stats], worst: Stats) -> Stats:
        """All objects missed of the label that has the fewest, as many as a sample has at most."""
        counts = [Counter(row[::3][at] for at, kind in enumerate(row[2::3]) if kind == OBJECT) for row in rows]
        total = sum(counts, Counter[float]())
        if not total:
            return worst
        rarest = min(total, key=lambda label: (total[label], label))
        return (rarest, 0.0, OBJECT) * max(count[rarest] for count in counts)

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        records = np.concatenate([np.asarray(row, np.float64) for row in rows]).reshape(-1, 3)
        objects = records[:, 2] == OBJECT
        labels, counts = np.unique(records[objects, 0], return_counts=True)
        found = records[~objects]
        areas: list[float] = []
        for label, count in zip(labels, counts, strict=True):
            _, scores, hits = found[found[:, 0] == label].T
            order = np.argsort(-scores)
            distinct = bool(np.diff(scores[order]).all())
            for place in range(len(self.limits)):
                hit = hits.astype(np.int64) >> place & 1
                caught = hit[order if distinct else np.lexsort((hit, -scores))].cumsum()
                areas.append(self.area(caught / np.arange(1, len(hit) + 1), caught / count))
        return ratio(fsum(areas), len(areas), empty=0.0 if len(found) else 1.0)

    def _groups(self, part: Part) -> dict[Group, list[BoxT]]:
        groups: dict[Group, list[BoxT]] = {}
        for box in self.boxes(part):
            groups.setdefault((box.frame_index, box.label), []).append(box)
        return groups

    def _hits(self, boxes: Sequence[BoxT], objects: Sequence[BoxT]) -> Iterator[float]:
        """For each box, best first, the limits within which it hits the closest object still free there, as bits."""
        free = [(1 << len(self.limits)) - 1] * len(objects)
        for box in boxes:
            hits = 0
            close = [self.closeness(box, wanted) for wanted in objects]
            for place in sorted(range(len(objects)), key=close.__getitem__, reverse=True):
                within = (1 << bisect_right(self.limits, close[place] + SLACK)) - 1
                if not within:
                    break
                taken = within & free[place] & ~hits
                free[place] &= ~taken
                hits |= taken
            yield float(hits)


class AveragePrecision(Detection[Box]):
    """COCO's average precision: Lin et al. 2014."""

    def boxes(self, part: Part) -> Sequence[Box]:
        return rectangles(part)

    def closeness(self, box: Box, wanted: Box) -> float:
        return intersection_over_union(box, wanted)

    def area(self, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
        """The mean, over 101 recalls, of the best precision at that recall or above."""
        import numpy as np

        best = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, np.linspace(0, 1, 101))
        return fsum(best[at[at < len(best)]]) / 101


class AveragePrecision50(AveragePrecision):
    """COCO's average precision at an overlap of 0.5."""

    name = "ap50"
    variant = "/coco@1;iou=0.5;recalls=101;most=100;ties=false-first;score=1"
    limits = (0.5,)


class AveragePrecision75(AveragePrecision):
    """COCO's average precision at an overlap of 0.75."""

    name = "ap75"
    variant = "/coco@1;iou=0.75;recalls=101;most=100;ties=false-first;score=1"
    limits = (0.75,)


class AveragePrecision10(AveragePrecision):
    """COCO's average precision at an overlap of 0.1, which is how this project reads General-Bench's AP10."""

    name = "ap10"
    variant = "/coco@1;iou=0.1;recalls=101;most=100;ties=false-first;score=1"
    limits = (0.1,)


class CocoAveragePrecision(AveragePrecision):
    """COCO's average precision over the overlaps 0.5, 0.55 ... 0.95."""

    name = "ap_coco"
    variant = "/coco@1;iou=0.5:0.95;recalls=101;most=100;ties=false-first;score=1"
    limits = tuple(0.5 + 0.05 * step for step in range(10))


def intersection_over_union(one: Box, other: Box) -> float:
    """What two boxes share, by what they cover together."""
    width = min(one.x_max, other.x_max) - max(one.x_min, other.x_min)
    if width <= 0:
        return 0.0
    height = min(one.y_max, other.y_max) - max(one.y_min, other.y_min)
    if height <= 0:
        return 0.0
    return width * height / (_area(one) + _area(other) - width * height)


def rectangles(part: Part) -> list[Box]:
    """The part's rectangles; InvalidInputError for cuboids, and for numbers that cannot be computed with."""
    found = [box for box in expect(part, Boxes).boxes if isinstance(box, Box)]
    if len(found) < len(expect(part, Boxes).boxes):
        raise InvalidInputError("cuboids have no area; rectangles are wanted")
    # The sum tells in nearly all cases.
    if not isfinite(sum(box.x_min + box.y_min + box.x_max + box.y_max + score_of(box) for box in found)):
        for box in found:
            if not all(map(isfinite, (box.x_min, box.y_min, box.x_max, box.y_max, score_of(box)))):
                raise InvalidInputError("a box's coordinates and score must be finite")
    return found


def score_of(box: Box | Box3D) -> float:
    """A box without a score is as sure as can be."""
    return 1.0 if box.score is None else box.score


def _area(box: Box) -> float:
    return (box.x_max - box.x_min) * (box.y_max - box.y_min)
