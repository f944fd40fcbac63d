"""What General-Bench's own evaluators compute from videos, their faults included; for comparison with their figures.

Read off the predictors video_comprehension_tasks.py and video_comprehension_flow_matching_tracking.py of the official
repository at 420b8eb. They ask a model and measure its answers in one go; this is how they measure.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

from echelon.adapters import Box, Kind, Part
from echelon.scorer.metrics.boxes import intersection_over_union
from echelon.scorer.metrics.fields import EndPointError
from echelon.scorer.metrics.masks import numbered
from echelon.scorer.metrics.metric import InvalidAnswer, MeanMetric, Stats, alike, quotient, ratio, read_both
from echelon.scorer.metrics.tracks import read_tubes, tubes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BEGUN = 1e-4
"""What the evaluators count samples from, so that they divide by a little more than their number."""
OVERLAP = 0.5
BLOCK = 1 << 20
"""Overlaps that are in memory at once."""


class _BegunMean(MeanMetric):
    """A mean by a count that begins above 0."""

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1] + BEGUN)


class OfficialTracking(_BegunMean):
    """The mean over videos of what General-Level calls J&F: half the mean overlap by frame, half an F1 of boxes.

    For the F1 a box hits where it overlaps by half with the reference's box of whatever frame it overlaps with most;
    several boxes may hit one, and only boxes that none hits are missed. A frame without a box has one of no size. The
    sheet asks for AUC instead. 0 to 1, up; the worst is 0.
    """

    name = "j_and_f_official"
    variant = "@1;overlap=frame;f1=0.5-any-frame;mean=videos+0.0001"
    kind = Kind.BOXES

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = read_tubes(prediction, reference)
        count = 1 + max(wanted)
        if given and max(given) >= count:
            raise InvalidAnswer(f"there is a box in frame {max(given)}, the video has {count} frames")
        boxes, objects = (_corners(tube, count) for tube in (given, wanted))
        closest = _closest(boxes, objects)
        hits = _overlaps(boxes, objects[closest]) >= OVERLAP
        missed = count - len(np.unique(closest[hits]))
        precision, recall = float(hits.mean()), ratio(float(hits.sum()), float(hits.sum() + missed))
        f1 = ratio(2 * precision * recall, precision + recall)
        return (float(_overlaps(boxes, objects).mean()) + f1) / 2


class OfficialEndPointError(_BegunMean, EndPointError):
    """`epe` by General-Level's count of samples: the mean distance of vectors in pixels, from 0, down.

    A failed sample counts the task's declared worst, which does not limit the error of others.
    """

    name = "epe_official"
    variant = "@2;nan=ignored;mean=samples+0.0001;limit=failed"

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.value(prediction, reference), 1.0


class OfficialMeanVideoIoU(MeanMetric):
    """`m_viou` where boxes of four zeros are no boxes, and a video without any box on either side counts 0."""

    name = "m_viou_official"
    variant = "@1;frames=union;mean=samples;zeros=absent"
    kind = Kind.BOXES

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = (
            {at: box for at, box in tube.items() if any(_sides(box))} for tube in tubes(prediction, reference)
        )
        shared = fsum(intersection_over_union(given[at], wanted[at]) for at in given.keys() & wanted.keys())
        return ratio(shared, float(len(given.keys() | wanted.keys())))


class OfficialVideoMeanIoU(MeanMetric):
    """The mean over videos of intersection by union of what is not 0, pooled over a video's frames, in one object.

    Parts are tensors of whole numbers, (frames, height, width). Where both are empty General-Level counts 0. 0 to 1,
    up; the worst is 0.
    """

    name = "miou_video_official"
    variant = "@1;pool=video;objects=one;empty=0;mean=videos"
    kind = Kind.TENSOR

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = alike(*read_both(lambda part: numbered(part, 3) != 0, prediction, reference), "mask")
        return ratio(float(np.count_nonzero(given & wanted)), float(np.count_nonzero(given | wanted)))


def _corners(tube: dict[int, Box], count: int) -> NDArray[np.float64]:
    """The corners of each frame's box, (frames, 4)."""
    import numpy as np

    corners = np.zeros((count, 4))
    for frame, box in tube.items():
        corners[frame] = _sides(box)
    return corners


def _sides(box: Box) -> tuple[float, float, float, float]:
    return box.x_min, box.y_min, box.x_max, box.y_max


def _closest(boxes: NDArray[np.float64], objects: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each box the place of the first object that it overlaps with most."""
    import numpy as np

    step = max(1, BLOCK // len(objects))
    blocks = (boxes[at : at + step, None] for at in range(0, len(boxes), step))
    return np.concatenate([_overlaps(block, objects).argmax(axis=1) for block in blocks])


def _overlaps(boxes: NDArray[np.float64], objects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection by union of the boxes along the last axes, 0 where there is no union."""
    import numpy as np

    low, high = np.maximum(boxes[..., :2], objects[..., :2]), np.minimum(boxes[..., 2:], objects[..., 2:])
    shared = np.maximum(0, high - low).prod(axis=-1)
    areas = [(corners[..., 2:] - corners[..., :2]).prod(axis=-1) for corners in (boxes, objects)]
    return quotient(shared, areas[0] + areas[1] - shared)
