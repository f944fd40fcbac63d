"""Meshes and points in the files that 3D programs write."""

from __future__ import annotations

import io
import logging
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from echelon.adapters.content import Mesh, PointCloud, Role
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.suites.media import MediaFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHAPE_SUFFIXES = (".ply", ".obj", ".stl", ".off")
MAX_CORNERS = 2**21
MAX_FACES = 2**21
MAX_POINTS = 2**22
"""What the contract carries of each."""
_PLY_VERTICES = re.compile(rb"^\s*element\s+vertex\s+(\d{1,18})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Shape:
    """Corners, float32 of (corners, 3), and triangles, int32 of (faces, 3); a cloud has no triangles."""

    path: str
    corners: NDArray[np.float32]
    faces: NDArray[np.int32]

    def mesh(self, name: str, role: Role) -> Mesh:
        """The triangles as a part."""
        if not len(self.faces):
            raise InvalidSuiteError(f"{self.path} holds no faces; call it a point_cloud")
        _check_count(self.path, len(self.corners), MAX_CORNERS, "corners")
        _check_count(self.path, len(self.faces), MAX_FACES, "faces")
        return Mesh(
            self.corners.tobytes(), len(self.corners), self.faces.tobytes(), len(self.faces), name=name, role=role
        )

    def points(self, name: str, role: Role) -> PointCloud:
        """The corners as a part."""
        _check_count(self.path, len(self.corners), MAX_POINTS, "points")
        return PointCloud(self.corners.tobytes(), len(self.corners), name=name, role=role)


def read_shape(media: MediaFolder, path: str) -> Shape:
    """What the file `path` draws, all its objects as one; colours, textures and normals are not read."""
    import numpy as np

    data = media.read(path, SHAPE_SUFFIXES)
    suffix = PurePosixPath(path).suffix.lower()
    told = _told_points(path, data) if suffix == ".ply" else 0
    if suffix == ".stl" and not (_is_binary_stl(data) or data.lstrip().startswith(b"solid")):
        raise InvalidSuiteError(f"{path} is no STL file, or it is cut off")
    try:
        # What overflows is told below.
        with np.errstate(over="ignore"):
            loaded = _loaded(data, suffix)
        corners = np.asarray(loaded.vertices, np.float64).reshape(-1, 3)
        faces = np.asarray(getattr(loaded, "faces", ()), np.int64).reshape(-1, 3)
    # Hostile files make a parser raise nearly anything.
    except Exception as error:
        raise InvalidSuiteError(f"{path} cannot be read as a {suffix} file: {error}") from error
    if len(corners) < max(told, 1):
        raise InvalidSuiteError(f"{path} holds {len(corners)} points, and should hold {told or 'some'}")
    if not np.abs(corners).max() <= np.finfo(np.float32).max:
        raise InvalidSuiteError(f"{path} holds values that are not finite")
    if faces.size and not 0 <= faces.min() <= faces.max() < len(corners):
        raise InvalidSuiteError(f"{path} has faces whose corners it does not have")
    return Shape(path, corners.astype("<f4"), faces.astype("<i4"))


def _loaded(data: bytes, suffix: str) -> Any:
    import trimesh

    # It logs tracebacks of what it then raises.
    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    # In any other encoding than UTF-8 only names and comments are.
    file = io.StringIO(data.decode(errors="replace")) if suffix in (".obj", ".off") else io.BytesIO(data)
    loaded = trimesh.load(file, file_type=suffix[1:], process=False, skip_materials=True, maintain_order=True)
    return loaded.to_mesh() if isinstance(loaded, trimesh.Scene) else loaded


def _is_binary_stl(data: bytes) -> bool:
    """Whether the file has 50 bytes for each triangle that its header counts."""
    return len(data) == 84 + 50 * int.from_bytes(data[80:84], "little")


def _told_points(path: str, data: bytes) -> int:
    """How many points the header promises: more than can be carried are never parsed."""
    found = _PLY_VERTICES.search(data, 0, 2**16)
    told = int(found[1]) if found else 0
    _check_count(path, told, MAX_POINTS, "points")
    return told


def _check_count(path: str, count: int, most: int, what: str) -> None:
    if count > most:
        raise InvalidSuiteError(f"{path} has {count} {what}, at most {most} are taken; thin it out")
