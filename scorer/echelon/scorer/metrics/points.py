"""Metrics of point clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Part, PointCloud
from echelon.adapters.content import XYZ
from echelon.scorer.metrics.metric import ErrorMetric, expect, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Chamfer(ErrorMetric):
    """The mean over the samples of the mean distance to the nearest point of the other cloud, summed both ways."""

    name = "chamfer"
    variant = "@1;distance=euclidean;directions=sum"
    kind = Kind.POINT_CLOUD

    def value(self, prediction: Part, reference: Part) -> float:
        from scipy.spatial import cKDTree

        given, wanted = read_both(_positions, prediction, reference)
        there, back = cKDTree(wanted).query(given)[0], cKDTree(given).query(wanted)[0]
        return float(there.mean() + back.mean())


def _positions(part: Part) -> NDArray[np.float64]:
    import numpy as np

    cloud = expect(part, PointCloud)
    if not set(XYZ) <= set(cloud.channels):
        raise InvalidInputError(f"points need the channels x, y and z, not {', '.join(cloud.channels) or 'none'}")
    positions = cloud.array()[:, [cloud.channels.index(axis) for axis in XYZ]].astype(np.float64)
    if not len(positions) or not np.isfinite(positions).all():
        raise InvalidInputError("a point cloud needs at least one point, and all of them finite")
    return positions
