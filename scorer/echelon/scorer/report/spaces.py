"""Point clouds, meshes and cuboids, seen from two sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from echelon.adapters import Box3D, Boxes, InvalidInputError, Mesh, PointCloud
from echelon.scorer.report.charts import dots, outlines
from echelon.scorer.report.prose import clipped
from echelon.scorer.report.wording import count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_POINTS = 400
MAX_FACES = 300
MAX_CUBOIDS = 50
VIEWS = ((35.0, 20.0), (125.0, 20.0))
"""Where the viewer stands: turn around the vertical axis and height, in degrees."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The ball that a drawing shows; one for all clouds of a sample, so that sizes can be compared."""

    center: tuple[float, float, float]
    radius: float

    @classmethod
    def of(cls, points: NDArray[np.floating]) -> Extent:
        """The ball around the points."""
        import numpy as np

        center = (points.min(axis=0) + points.max(axis=0)) / 2
        radius = float(np.linalg.norm(points - center, axis=1).max())
        x, y, z = center.tolist()
        return cls((x, y, z), 1.15 * radius or 1.0)


def positions(part: PointCloud | Mesh | Boxes) -> NDArray[np.float64]:
    """The finite places of a cloud, mesh or cuboids' corners, (points, 3)."""
    import numpy as np

    if isinstance(part, Boxes):
        values = np.array([box.corners() for box in part.boxes if isinstance(box, Box3D)]).reshape(-1, 3)
    else:
        values = part.array()[:, :3] if isinstance(part, PointCloud) else part.array()[0]
    places = values.astype(np.float64)
    finite = places[np.isfinite(places).all(axis=1)]
    if finite.shape[1] != 3 or not len(finite):
        raise InvalidInputError("there are no points with x, y and z")
    return finite


def point_cloud(part: PointCloud, extent: Extent | None) -> Markup:
    """The points from two sides."""
    places = positions(part)
    step = -(-len(places) // MAX_POINTS)
    views = [dots(_seen(places[::step], view, extent or Extent.of(places))) for view in VIEWS]
    return Markup('<div class="views">{}</div><figcaption>{}</figcaption>').format(
        Markup("").join(views), count(part.point_count, "point")
    )


def mesh(part: Mesh, extent: Extent | None) -> Markup:
    """The triangles from two sides."""
    import numpy as np

    vertices, faces = part.array()
    ball = extent or Extent.of(positions(part))
    shown = faces[:: -(-len(faces) // MAX_FACES) or 1]
    shown = shown[np.isfinite(vertices[shown]).all(axis=(1, 2))]
    views = [outlines(_seen(vertices, view, ball)[shown][..., :2]) for view in VIEWS]
    about = f"{count(part.vertex_count, 'corner')}, {count(part.face_count, 'triangle')}"
    return Markup('<div class="views">{}</div><figcaption>{}</figcaption>').format(Markup("").join(views), about)


def cuboids(part: Boxes, extent: Extent | None) -> Markup:
    """The edges of the first frame's cuboids from two sides."""
    import numpy as np

    solid = [box for box in part.boxes if isinstance(box, Box3D)]
    first = min(box.frame_index for box in solid)
    shown = [box for box in solid if box.frame_index == first][:MAX_CUBOIDS]
    corners = np.array([box.corners() for box in shown])
    # The bottom, the top, and between them the sides' outlines.
    rings = corners[:, [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 5, 4], [2, 3, 7, 6]]].reshape(-1, 4, 3)
    ball = extent or Extent.of(positions(part))
    views = [outlines(_seen(rings, view, ball)[..., :2]) for view in VIEWS]
    named = ", ".join(dict.fromkeys(box.label for box in shown if box.label))
    about = f"{count(len(shown), 'cuboid')}{': ' if named else ''}{clipped(named, 80)}"
    return Markup('<div class="views">{}</div><figcaption>{}</figcaption>').format(Markup("").join(views), about)


def _seen(points: NDArray[np.floating], view: tuple[float, float], extent: Extent) -> NDArray[np.float64]:
    """Points as (right, up, towards the viewer), in units of the extent."""
    import numpy as np

    turn, height = np.radians(view)
    right = np.array([np.cos(turn), np.sin(turn), 0])
    towards = np.array([np.sin(turn) * np.cos(height), -np.cos(turn) * np.cos(height), np.sin(height)])
    axes = np.stack([right, np.cross(towards, right), towards], axis=1)
    seen: NDArray[np.float64] = (points - np.array(extent.center)) / extent.radius @ axes
    return seen
