"""Metrics of a camera's or vehicle's way: tensors of poses, (n, 4, 4) or (n, 3, 4), from its frame to the world."""

from __future__ import annotations

from collections.abc import Iterator
from math import fsum
from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Part, Tensor
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import ErrorMetric, InvalidAnswer, expect, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LENGTHS_M = tuple(range(100, 801, 100))
STEP = 10
"""Frames between the starts of stretches."""


class RelativeTranslationError(ErrorMetric):
    """How far off, in percent of the way, stretches of 100 to 800 m end: Geiger et al. 2012, for KITTI.

    The mean over a sequence's stretches, then over sequences. One that is shorter than 100 m is a single stretch.
    """

    name = "rte"
    variant = "/kitti@1;lengths=100:800;step=10;short=whole;mean=sequences"
    kind = Kind.TENSOR
    unit = "%"

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = _read(prediction, reference)
        errors = [100 * _away(given, wanted, first, last) / metres for first, last, metres in _stretches(wanted)]
        if not errors:
            raise InvalidSuiteError("a reference cannot be used: its poses stay in one place")
        return fsum(errors) / len(errors)


class RelativePoseError(ErrorMetric):
    """The root of the mean squared error of the way from each pose to the next, averaged over sequences.

    Sturm et al. 2012, in the unit of the poses.
    """

    name = "rpe"
    variant = "@1;part=translation;delta=1;root=sequence;mean=sequences"
    kind = Kind.TENSOR

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = _read(prediction, reference)
        squares = [_away(given, wanted, at, at + 1) ** 2 for at in range(len(wanted) - 1)]
        return float((fsum(squares) / len(squares)) ** 0.5)


def _read(prediction: Part, reference: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    given, wanted = read_both(_poses, prediction, reference)
    if len(given) != len(wanted):
        raise InvalidAnswer(f"there are {len(given)} poses, {len(wanted)} are wanted")
    return given, wanted


def _poses(part: Part) -> NDArray[np.float64]:
    import numpy as np

    poses = expect(part, Tensor).array().astype(np.float64)
    if poses.ndim != 3 or poses.shape[1:] not in ((3, 4), (4, 4)) or len(poses) < 2 or not np.isfinite(poses).all():
        raise InvalidInputError(f"poses are (n, 3, 4) or (n, 4, 4), at least two and finite, not {poses.shape}")
    turns = poses[:, :3, :3]
    if not np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-3):
        raise InvalidInputError("a pose's first three columns must be a rotation")
    return poses[:, :3]


def _away(given: NDArray[np.float64], wanted: NDArray[np.float64], first: int, last: int) -> float:
    """How far apart both end that set out from one pose."""
    import numpy as np

    return float(np.linalg.norm(_way(given, first, last) - _way(wanted, first, last)))


def _way(poses: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    """From one pose to another, in the frame of the first."""
    way: NDArray[np.float64] = poses[first, :, :3].T @ (poses[last, :, 3] - poses[first, :, 3])
    return way


def _stretches(poses: NDArray[np.float64]) -> Iterator[tuple[int, int, float]]:
    """First pose, last pose and nominal length of each stretch."""
    import numpy as np

    way = np.concatenate([[0.0], np.linalg.norm(np.diff(poses[:, :, 3], axis=0), axis=1).cumsum()])
    if way[-1] < LENGTHS_M[0]:
        if way[-1] > 0:
            yield 0, len(poses) - 1, float(way[-1])
        return
    for first in range(0, len(poses), STEP):
        for metres in LENGTHS_M:
            last = int(np.searchsorted(way, way[first] + metres, side="right"))
            if last < len(poses):
                yield first, last, float(metres)
