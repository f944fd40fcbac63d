"""Metrics of shapes: point clouds, and meshes by their vertices or by points sampled on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Mesh, Part, PointCloud
from echelon.adapters.content import XYZ
from echelon.scorer.metrics.metric import ErrorMetric, expect, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

MANY = 1 << 15
"""Points of both clouds above which threads pay."""
SAMPLED = 16_384
"""Points that stand for the surface of a mesh."""


class Chamfer(ErrorMetric):
    """The mean over the samples of the mean distance to the nearest point of the other cloud, summed both ways.

    Fan et al. 2017, arXiv 1612.00603.
    """

    name = "chamfer"
    variant = "@1;distance=euclidean;directions=sum"
    kind = Kind.POINT_CLOUD

    def value(self, prediction: Part, reference: Part) -> float:
        there, back = _nearest(*read_both(self.points, prediction, reference))
        return float(there.mean() + back.mean())

    def points(self, part: Part) -> Points:
        """What stands for the shape, (points, 3)."""
        return _positions(part)


class SquaredChamfer(Chamfer):
    """As `chamfer`, of squared distances."""

    name = "chamfer_squared"
    variant = "@1;distance=squared;directions=sum"

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        there, back = _nearest(*read_both(self.points, prediction, reference))
        return float(np.square(there).mean() + np.square(back).mean())


class SurfaceChamfer(Chamfer):
    """As `chamfer`, of meshes, each by 16384 points spread evenly over its surface; the same mesh has the same points.

    A reference may be a point cloud.
    """

    name = "chamfer_surface"
    variant = f"@1;distance=euclidean;directions=sum;points={SAMPLED};sampling=r2-by-area"
    kind = Kind.MESH

    def points(self, part: Part) -> Points:
        return _positions(part) if isinstance(part, PointCloud) else _on_surface(expect(part, Mesh))


def _nearest(given: Points, wanted: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each point's distance to the nearest one of the other cloud."""
    from scipy.spatial import cKDTree

    workers = -1 if len(given) + len(wanted) > MANY else 1
    there, _ = cKDTree(wanted).query(given, workers=workers)
    back, _ = cKDTree(given).query(wanted, workers=workers)
    return there, back


def _positions(part: Part) -> Points:
    import numpy as np

    cloud = expect(part, PointCloud)
    if not set(XYZ) <= set(cloud.channels):
        raise InvalidInputError(f"points need the channels x, y and z, not {', '.join(cloud.channels) or 'none'}")
    positions = cloud.array()[:, [cloud.channels.index(axis) for axis in XYZ]].astype(np.float64)
    if not len(positions) or not np.isfinite(positions).all():
        raise InvalidInputError("a point cloud needs at least one point, and all of them finite")
    return positions


def _on_surface(mesh: Mesh) -> Points:
    """Points on the faces, as many on each as its area has a share."""
    import numpy as np

    vertices, faces = mesh.array()
    if not len(faces) or faces.min() < 0 or faces.max() >= len(vertices) or not np.isfinite(vertices).all():
        raise InvalidInputError("a mesh needs at least one face, finite vertices, and faces that name its vertices")
    corners = vertices.astype(np.float64)[faces]
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.linalg.norm(np.cross(one, other), axis=1).cumsum()
    if not areas[-1]:
        raise InvalidInputError("a mesh needs a face whose area is not 0")
    # A low-discrepancy sequence needs no seed: Roberts 2018, "The unreasonable effectiveness of quasirandom sequences".
    turn = np.arange(1, SAMPLED + 1)
    chosen = np.searchsorted(areas, (turn - 0.5) / SAMPLED * areas[-1], side="right").clip(max=len(faces) - 1)
    along, across = (turn * step % 1 for step in (0.7548776662466927, 0.5698402909980532))
    outside = along + across > 1
    along, across = np.where(outside, 1 - along, along), np.where(outside, 1 - across, across)
    return np.asarray(corners[chosen, 0] + along[:, None] * one[chosen] + across[:, None] * other[chosen])
