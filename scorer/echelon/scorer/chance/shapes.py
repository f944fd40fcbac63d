"""Blind answers that are point clouds or meshes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from echelon.adapters import Kind, Mesh, Part, PointCloud
from echelon.scorer.chance.candidate import Candidate, Inputs, constant
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

TYPICAL = 4
EACH = 64
"""Points that are kept of a reference."""
MOST_POINTS = 8192
SIZES = (64, 512, 2048)
"""Points of an answer that is made of those of many references."""
XYZ = 3
NOISE = 256
"""Points of noise."""


class ShapeObserver:
    """Learns where references have their points, and keeps a few whole."""

    def __init__(self, kind: Kind, seeded: SeededHash, draws: int) -> None:
        self._kind, self._seeded, self._draws = kind, seeded, draws
        self._points: list[Points] = []
        self._kept: Reservoir[Part] = Reservoir(seeded, TYPICAL)
        self._inputs = Inputs(PointCloud, Mesh)

    def see(self, sample: Sample) -> None:
        import numpy as np

        self._inputs.see(sample)
        for part in sample.references[:1]:
            if isinstance(part, PointCloud | Mesh):
                points = _points(part)
                chosen = np.linspace(0, len(points) - 1, min(EACH, len(points))).astype(int)
                if len(self._points) * EACH < MOST_POINTS and len(points):
                    self._points.append(points[chosen])
                if part.kind is self._kind or isinstance(part, Mesh):
                    self._kept.offer(sample.id, part)

    def candidates(self) -> Iterator[Candidate]:
        import numpy as np

        yield from self._inputs.candidates()
        points = np.concatenate(self._points) if self._points else np.zeros((1, XYZ))
        centre, spread = points.mean(axis=0), float(points.std()) or 1.0
        if self._kind is Kind.POINT_CLOUD:
            yield constant("the origin", PointCloud.from_array(np.zeros((1, XYZ))))
            yield constant("the mean point", PointCloud.from_array(centre[None]))
            for size in SIZES:
                chosen = np.linspace(0, len(points) - 1, min(size, len(points))).astype(int)
                yield constant("points of many references", PointCloud.from_array(points[chosen]))
            # A distance between distributions wants answers that differ.
            yield Candidate("noise", partial(self._noise, np.zeros(XYZ), 1.0))
            yield Candidate("noise about the mean point", partial(self._noise, centre, 1.7 * spread))
            yield constant("a sphere", PointCloud.from_array(centre + spread * _sphere(512)))
        else:
            for scale in (1.0, 1.7):
                yield constant("a cube", _cube(centre, scale * spread))
        for source, part in self._kept.items:
            yield constant("one reference", part, source)
        if self._draws:
            yield Candidate("a reference drawn at random", self._drawn)

    def _noise(self, middle: Points, reach: float, sample: Sample) -> Part:
        return PointCloud.from_array(middle + reach * self._seeded.noise((NOISE, XYZ), "noise", sample.id))

    def _drawn(self, sample: Sample) -> Part | None:
        options = [part for source, part in self._kept.items if source != sample.id]
        return self._seeded.pick(options, "draw", sample.id) if options else None


def _points(part: PointCloud | Mesh) -> Points:
    import numpy as np

    values: Any = part.array()[0] if isinstance(part, Mesh) else part.array()
    points: Points = np.asarray(values[:, :XYZ], np.float64)
    return points[np.isfinite(points).all(axis=1)]


def _sphere(count: int) -> Points:
    """Points spread evenly over the unit sphere, along a spiral."""
    import numpy as np

    turn = np.arange(count) + 0.5
    height, angle = 1 - 2 * turn / count, np.pi * (1 + 5**0.5) * turn
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


def _cube(centre: Points, half: float) -> Mesh:
    import numpy as np

    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    faces = np.array(
        [
            [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
            [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
        ]
    )  # fmt: skip
    return Mesh.from_array(centre + half * corners, faces)
