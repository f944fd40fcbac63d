"""Metrics of boxes over time, in videos."""

from __future__ import annotations

from math import fsum

from echelon.adapters import Box, Boxes, Kind, Part
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.boxes import intersection_over_union, rectangles
from echelon.scorer.metrics.detection import score_of
from echelon.scorer.metrics.metric import InvalidAnswer, MeanMetric, expect, read_both

THRESHOLDS = tuple(step / 20 for step in range(21))
LAST = len(THRESHOLDS) - 1


class SuccessAuc(MeanMetric):
    """The area under the success curve of a tracked object, averaged over videos: Wu et al. 2013.

    The curve is the share of frames in which the overlap is above a threshold, at 0, 0.05 ... 1; since no overlap is
    above 1, a perfect track has 20/21. Frames without a reference box do not count.
    """

    name = "success_auc"
    variant = "@1;thresholds=21;overlap=above;mean=videos"
    kind = Kind.BOXES
    range = (0.0, LAST / len(THRESHOLDS))

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = read_tubes(prediction, reference)
        overlaps = [intersection_over_union(given[at], box) if at in given else 0.0 for at, box in wanted.items()]
        return fsum(sum(overlap > threshold for threshold in THRESHOLDS) for overlap in overlaps) / (
            len(THRESHOLDS) * len(overlaps)
        )


class MeanVideoIoU(MeanMetric):
    """The overlaps of a tube in all frames, by how many frames it or the reference has; averaged over samples.

    Zhang et al. 2020, for the grounding of an expression in a video.
    """

    name = "m_viou"
    variant = "@1;frames=union;mean=samples"
    kind = Kind.BOXES

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = read_tubes(prediction, reference)
        shared = fsum(intersection_over_union(given[at], wanted[at]) for at in given.keys() & wanted.keys())
        return shared / len(given.keys() | wanted.keys())


def tubes(prediction: Part, reference: Part) -> tuple[dict[int, Box], dict[int, Box]]:
    """The box of each frame on both sides; InvalidAnswer where they are not in one space."""
    given, wanted = read_both(_tube, prediction, reference)
    space, expected = (expect(part, Boxes).space for part in (prediction, reference))
    if space != expected:
        raise InvalidAnswer(f"the boxes' space is {space}, {expected} is wanted")
    return given, wanted


def read_tubes(prediction: Part, reference: Part) -> tuple[dict[int, Box], dict[int, Box]]:
    """The box of each frame on both sides; in a video that can be measured, the reference has at least one."""
    given, wanted = tubes(prediction, reference)
    if not wanted:
        raise InvalidSuiteError("a reference cannot be used: it has no box, and so no object to track")
    return given, wanted


def _tube(part: Part) -> dict[int, Box]:
    """The box of each frame; the best-scored one where there are several, the first of equals."""
    tube: dict[int, Box] = {}
    for box in rectangles(part):
        kept = tube.get(box.frame_index)
        if kept is None or score_of(box) > score_of(kept):
            tube[box.frame_index] = box
    return tube
