"""Metrics of masks: a class, an object or a part for each pixel or point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Mask, Part, Tensor
from echelon.scorer.errors import InvalidSuiteError, MissingLabelsError
from echelon.scorer.metrics.metric import (
    MeanMetric,
    RatioMetric,
    Stats,
    alike,
    expect,
    quotient,
    read_both,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_CLASS = 255
"""The value of a pixel without a class: wrong in an answer, ignored in a reference."""


class LabelledMetric(RatioMetric):
    """A metric that needs the task's labels, for they are its classes."""

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        super().__init__(worst, labels)
        if not 0 < len(labels) < NO_CLASS:
            error = InvalidSuiteError if labels else MissingLabelsError
            raise error(f"metric {self.name!r} needs the task's labels, 1 to {NO_CLASS - 1} of them, not {len(labels)}")


class MeanIoU(LabelledMetric):
    """The mean over classes of intersection by union, pooled over all samples.

    The stats are the intersections of every class, then the unions. A class that occurs nowhere does not count.
    """

    name = "miou"
    variant = "@1;pool=task;classes=occurring;unlabelled=ignored"
    kind = Kind.MASK

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self._stats(*alike(*read_both(self.classes, prediction, reference), "mask"))

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        wanted = self.classes(references[0])
        missed = self._stats(np.full_like(wanted, NO_CLASS), wanted)
        # As many pixels wrong as missed.
        return tuple(2 * count for count in missed)

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        inside, unions = np.split(sums, 2, axis=-1)
        occurring = np.count_nonzero(unions, axis=-1)
        return quotient(quotient(inside, unions).sum(axis=-1), np.asarray(occurring, np.float64), empty=1.0)

    def classes(self, part: Part) -> NDArray[np.uint8]:
        """Each pixel's place in the task's labels; what lies beyond them has no class."""
        import numpy as np

        mask = expect(part, Mask)
        if not mask.labels:
            return mask.array()
        places = {label: place for place, label in enumerate(self.labels)}
        table = np.full(256, NO_CLASS, np.uint8)
        for value, label in enumerate(mask.labels[:256]):
            table[value] = places.get(label, NO_CLASS)
        return table[mask.array()]

    def _stats(self, given: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> Stats:
        import numpy as np

        count = len(self.labels)
        pairs = np.left_shift(wanted, 8, dtype=np.uint16)
        pairs |= given
        joint = _counted(pairs.reshape(-1)).reshape(256, 256)[:count]
        inside = joint.diagonal()
        union = joint.sum(axis=0)[:count] + joint.sum(axis=1) - inside
        return tuple(map(float, (*inside, *union)))


class PointMeanIoU(MeanIoU):
    """`miou` over points; an answer is a tensor with each point's class, its place in the task's labels."""

    name = "miou_points"
    kind = Kind.TENSOR

    def classes(self, part: Part) -> NDArray[np.uint8]:
        import numpy as np

        values = numbered(part, 1)
        return np.where((values < 0) | (values > NO_CLASS), NO_CLASS, values).astype(np.uint8)


class VideoMeanIoU(RatioMetric):
    """The mean over the objects of all videos of intersection by union, each object's pooled over its frames.

    Parts are tensors of whole numbers, (frames, height, width): 0 is no object. Objects are those of the references.
    The stats are the sum over a video's objects, and their number.
    """

    name = "miou_video"
    variant = "@1;pool=video;mean=objects"
    kind = Kind.TENSOR

    def compare(self, prediction: Part, reference: Part) -> Stats:
        import numpy as np

        given, wanted = alike(*read_both(lambda part: numbered(part, 3), prediction, reference), "mask")
        objects = np.unique(wanted[wanted > 0])
        if not objects.size:
            return float(not (given > 0).any()), 1.0
        overlaps = [_overlap(given == each, wanted == each) for each in objects]
        return sum(overlaps), float(len(overlaps))

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        values = numbered(references[0], 3)
        return 0.0, float(max(1, np.unique(values[values > 0]).size))

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


class InstanceMeanIoU(LabelledMetric, MeanMetric):
    """The mean over shapes of the mean over a shape's parts of intersection by union; a part in neither counts 1.

    Parts are tensors with each point's part, its place in the task's labels, which are the parts of one category of
    shapes. The convention is that of ShapeNetPart: Yi et al. 2016, doi:10.1145/2980179.2980238.
    """

    name = "instance_miou"
    variant = "@1;parts=labels;absent=1"
    kind = Kind.TENSOR

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = alike(*read_both(lambda part: numbered(part, 1), prediction, reference), "mask")
        parts = range(len(self.labels))
        return sum(_overlap(given == each, wanted == each) for each in parts) / len(parts)


class Dice(RatioMetric):
    """Twice the intersection by the sum of both sizes, pooled over all samples; what is not 0 is in the mask.

    The stats are (intersection, size of the answer's mask, size of the reference's). Dice 1945, doi:10.2307/1932409.
    """

    name = "dice"
    variant = "@1;pool=task;foreground=nonzero"
    kind = Kind.MASK

    def compare(self, prediction: Part, reference: Part) -> Stats:
        import numpy as np

        given, wanted = alike(*read_both(_foreground, prediction, reference), "mask")
        return tuple(float(np.count_nonzero(mask)) for mask in (given & wanted, given, wanted))

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        missed = float(max(1, int(np.count_nonzero(_foreground(references[0])))))
        # As many pixels wrong as missed.
        return 0.0, missed, missed

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(2 * sums[..., 0], sums[..., 1] + sums[..., 2], empty=1.0)


class PanopticQuality(LabelledMetric):
    """The mean over classes of segmentation quality times recognition quality, pooled over all samples.

    Parts are tensors of whole numbers, (height, width, 2): each pixel's class, its place in the task's labels, and its
    segment's number. Pixels of the reference without a class are ignored, and so is an answer's segment that lies
    mostly on them. The stats are (sum of IoUs, hits, false alarms, misses) of every class.
    Kirillov et al. 2019, arXiv 1801.00868.
    """

    name = "pq"
    variant = "@1;pool=task;classes=occurring;iou>0.5;void=ignored"
    kind = Kind.TENSOR

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = alike(*read_both(self._segments, prediction, reference), "mask")
        return tuple(map(float, self._stats(given, wanted).reshape(-1)))

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        wanted = self._segments(references[0])
        stats = self._stats(np.full_like(wanted, -1), wanted)
        # As many false alarms as misses.
        stats[:, 2] = np.maximum(stats[:, 3], 1)
        return tuple(map(float, stats.reshape(-1)))

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        overlap, hits, alarms, misses = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 4), -1, 0)
        weights = hits + (alarms + misses) / 2
        occurring = np.count_nonzero(weights, axis=-1)
        return quotient(quotient(overlap, weights).sum(axis=-1), np.asarray(occurring, np.float64), empty=1.0)

    def _segments(self, part: Part) -> NDArray[np.int64]:
        """Each pixel's segment as one number, class + labels * segment; -1 where there is no class."""
        import numpy as np

        values = numbered(part, 3)
        if values.shape[-1] != 2:
            raise InvalidInputError(f"each pixel needs a class and a segment, not {values.shape[-1]} numbers")
        classes, segments = values[..., 0], values[..., 1]
        if segments.min(initial=0) < 0 or segments.max(initial=0) >= 1 << 48:
            raise InvalidInputError("the numbers of segments must lie between 0 and 2^48")
        known = (classes >= 0) & (classes < len(self.labels))
        return np.where(known, classes + len(self.labels) * segments, -1)

    def _stats(self, given: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        import numpy as np

        ours, our_places = np.unique(given, return_inverse=True)
        theirs, their_places = np.unique(wanted, return_inverse=True)
        joint = np.bincount(
            (our_places * len(theirs) + their_places).reshape(-1), minlength=len(ours) * len(theirs)
        ).reshape(len(ours), len(theirs))
        void = joint[:, theirs < 0].sum(axis=1)
        union = joint.sum(axis=1, keepdims=True) - void[:, None] + joint.sum(axis=0) - joint
        same_class = (ours[:, None] >= 0) & (theirs >= 0) & ((ours[:, None] - theirs) % len(self.labels) == 0)
        iou = np.where(same_class, joint / np.maximum(union, 1), 0)
        hits = iou > 0.5  # so no segment can match twice
        alarms = ~hits.any(axis=1) & (ours >= 0) & (2 * void <= joint.sum(axis=1))
        misses = ~hits.any(axis=0) & (theirs >= 0)
        stats = np.zeros((len(self.labels), 4))
        for our, their in np.argwhere(hits):
            stats[ours[our] % len(self.labels), :2] += iou[our, their], 1
        np.add.at(stats[:, 2], ours[alarms] % len(self.labels), 1)
        np.add.at(stats[:, 3], theirs[misses] % len(self.labels), 1)
        return stats


def numbered(part: Part, dimensions: int) -> NDArray[np.int64]:
    """A tensor of whole numbers with that many dimensions."""
    import numpy as np

    values = expect(part, Tensor).array()
    if values.ndim != dimensions or values.dtype.kind not in "biu":
        raise InvalidInputError(
            f"a tensor of whole numbers with {dimensions} dimensions is wanted, not {values.dtype} of "
            f"{list(values.shape)}"
        )
    return values.astype(np.int64)


def _counted(values: NDArray[np.uint16]) -> NDArray[np.float64]:
    """How often each value occurs.

    Neighbours in a mask are mostly alike, so that it is faster to count runs than pixels.
    """
    import numpy as np

    turns = values[1:] != values[:-1]
    if 8 * np.count_nonzero(turns) > len(values):
        return np.bincount(values, minlength=1 << 16).astype(np.float64)
    ends = np.append(np.flatnonzero(turns), len(values) - 1)
    return np.asarray(np.bincount(values[ends], np.diff(ends, prepend=-1), minlength=1 << 16), np.float64)


def _foreground(part: Part) -> NDArray[np.bool_]:
    import numpy as np

    return np.not_equal(expect(part, Mask).array(), 0)


def _overlap(given: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """Intersection by union, 1 where both are empty."""
    import numpy as np

    union = np.count_nonzero(given | wanted)
    return np.count_nonzero(given & wanted) / union if union else 1.0
