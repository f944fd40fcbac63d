"""Metrics of boxes in space: detection as ScanNet and nuScenes measure it, in this project's own words."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist, fsum, isfinite, prod
from typing import TYPE_CHECKING, TypeAlias

from echelon.adapters import Box3D, Boxes, InvalidInputError, Part
from echelon.scorer.metrics.boxes import BoxDetection
from echelon.scorer.metrics.detection import score_of
from echelon.scorer.metrics.metric import expect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_RECALL, LEAST_PRECISION = 0.1, 0.1
"""What nuScenes holds to be noise."""
_Reach: TypeAlias = tuple[list[float], list[float]]
"""The lowest and the highest corner."""


class ScanNetAveragePrecision(BoxDetection[Box3D]):
    """The area under the curve of best precisions at a shared volume of half: Qi et al. 2019, for ScanNet.

    Boxes count as far as they reach along the axes, so that a turned one is as large as what encloses it. One is right
    where the object that it shares most with is still free: Everingham et al. 2010, doi:10.1007/s11263-009-0275-4.
    """

    name = "map_scannet"
    variant = "/own@1;iou3d=0.5;boxes=axis-aligned;match=voc;area=all-points;most=100;ties=false-first;score=1"
    limits = (0.5,)

    def boxes(self, part: Part) -> Sequence[Box3D]:
        return cuboids(part)

    def tried(self, close: Sequence[float], places: Sequence[int]) -> Sequence[int]:
        """The closest alone."""
        return [max(places, key=close.__getitem__)]

    def closeness(self, found: Sequence[Box3D], objects: Sequence[Box3D]) -> Sequence[Sequence[float]]:
        reaches = [_reach(wanted) for wanted in objects]
        return [[_shared_volume(_reach(box), reach) for reach in reaches] for box in found]

    def area(self, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
        import numpy as np

        best = np.maximum.accumulate(precision[::-1])[::-1]
        return fsum(best * np.diff(recall, prepend=0.0))


class NuScenesAveragePrecision(BoxDetection[Box3D]):
    """Average precision by the distance of centres on the ground, within 0.5, 1, 2 and 4 m: Caesar et al. 2020.

    Recalls and precisions up to a tenth do not count. Metres and z upwards are assumed.
    """

    name = "map_nuscenes"
    variant = "/own@1;centre=0.5,1,2,4;recall>0.1;precision>0.1;most=100;ties=false-first;score=1"
    limits = (-4.0, -2.0, -1.0, -0.5)

    def boxes(self, part: Part) -> Sequence[Box3D]:
        return cuboids(part)

    def closeness(self, found: Sequence[Box3D], objects: Sequence[Box3D]) -> Sequence[Sequence[float]]:
        return [[-dist(box.center[:2], wanted.center[:2]) for wanted in objects] for box in found]

    def area(self, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
        import numpy as np

        if not len(recall):
            return 0.0
        at = np.interp(np.linspace(0, 1, 101), recall, precision, right=0)[round(100 * LEAST_RECALL) + 1 :]
        return fsum(np.maximum(at - LEAST_PRECISION, 0)) / len(at) / (1 - LEAST_PRECISION)


def cuboids(part: Part) -> list[Box3D]:
    """The part's cuboids; InvalidInputError for rectangles, and for numbers that cannot be computed with."""
    found = [box for box in expect(part, Boxes).boxes if isinstance(box, Box3D)]
    if len(found) < len(expect(part, Boxes).boxes):
        raise InvalidInputError("rectangles have no volume; cuboids are wanted")
    for box in found:
        if not all(map(isfinite, (*box.center, *box.size, *box.rotation, score_of(box)))):
            raise InvalidInputError("a cuboid's centre, size, rotation and score must be finite")
    return found


def _reach(box: Box3D) -> _Reach:
    corners = box.corners()
    return corners.min(axis=0).tolist(), corners.max(axis=0).tolist()


def _shared_volume(one: _Reach, other: _Reach) -> float:
    """What two boxes share, by what they fill together."""
    (low, high), (other_low, other_high) = one, other
    sides = [min(a, b) - max(c, d) for a, b, c, d in zip(high, other_high, low, other_low, strict=True)]
    if min(sides) <= 0:
        return 0.0
    shared = prod(sides)
    return shared / (_volume(low, high) + _volume(other_low, other_high) - shared)


def _volume(low: list[float], high: list[float]) -> float:
    return prod(above - below for below, above in zip(low, high, strict=True))
