"""Metrics of boxes in images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TypeVar

from echelon.adapters import Box, Box3D, Boxes, InvalidInputError, Kind, Part
from echelon.scorer.metrics.detection import COCO_LIMITS, CocoDetection, Detection, Group, score_of
from echelon.scorer.metrics.metric import InvalidAnswer, Stats, expect

BoxT = TypeVar("BoxT", Box, Box3D)


class BoxDetection(Detection[BoxT]):
    """An average precision of boxes, which match within a frame and a label."""

    kind = Kind.BOXES

    @abstractmethod
    def boxes(self, part: Part) -> Sequence[BoxT]:
        """The part's boxes, if they can be computed with; InvalidInputError otherwise."""

    def compare(self, prediction: Part, reference: Part) -> Stats:
        expected = expect(reference, Boxes).space
        if expect(prediction, Boxes).space != expected:
            raise InvalidAnswer(f"the boxes' space is {expect(prediction, Boxes).space}, {expected} is wanted")
        return super().compare(prediction, reference)

    def groups(self, part: Part) -> Mapping[Group, Sequence[BoxT]]:
        groups: dict[Group, list[BoxT]] = {}
        for box in self.boxes(part):
            groups.setdefault((box.frame_index, box.label), []).append(box)
        return groups


class AveragePrecision(CocoDetection[Box], BoxDetection[Box]):
    """COCO's average precision of boxes."""

    def boxes(self, part: Part) -> Sequence[Box]:
        return rectangles(part)

    def closeness(self, found: Sequence[Box], objects: Sequence[Box]) -> Sequence[Sequence[float]]:
        return [[intersection_over_union(box, wanted) for wanted in objects] for box in found]


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
    limits = COCO_LIMITS


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


def _area(box: Box) -> float:
    return (box.x_max - box.x_min) * (box.y_max - box.y_min)
