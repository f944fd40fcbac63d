"""Typed content, as adapters receive and return it.

Every kind is a frozen value that keeps the bytes it came with and decodes on demand: `image.array()` opens the file,
`Image.from_array(pixels)` writes one. Arrays that come from bytes are read-only views where the bytes allow it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from echelon.adapters.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Kind(StrEnum):
    """What a part holds."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    POINT_CLOUD = "point_cloud"
    MESH = "mesh"
    MASK = "mask"
    BOXES = "boxes"
    TENSOR = "tensor"
    JSON = "json"


class Role(StrEnum):
    """What a part is for."""

    INPUT = "input"
    EXEMPLAR = "exemplar"
    HISTORY = "history"


class BoxSpace(StrEnum):
    """The unit of a box's coordinates."""

    PIXEL = "pixel"
    UNIT = "unit"
    METRE = "metre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One typed piece of content; `name` tells parts of one kind apart."""

    kind: ClassVar[Kind]
    role: Role = Role.INPUT
    name: str = ""


@dataclass(frozen=True, slots=True)
class Text(Part):
    """Text, with its BCP-47 language where known."""

    kind: ClassVar[Kind] = Kind.TEXT
    value: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Number(Part):
    """One finite number in the unit the instruction asked for."""

    kind: ClassVar[Kind] = Kind.NUMBER
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ScoredLabel:
    """A label, and a score where the model has one; higher is more likely."""

    label: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Choice(Part):
    """Labels, best first."""

    kind: ClassVar[Kind] = Kind.CHOICE
    labels: tuple[ScoredLabel, ...]

    @classmethod
    def of(cls, *labels: str) -> Choice:
        """Labels without scores."""
        return cls(tuple(ScoredLabel(label) for label in labels))

    @property
    def label(self) -> str:
        """The chosen label."""
        return self.labels[0].label


@dataclass(frozen=True, slots=True)
class Image(Part):
    """An encoded image: image/png, image/jpeg or image/webp."""

    kind: ClassVar[Kind] = Kind.IMAGE
    data: bytes = field(repr=False)
    media_type: str = "image/png"
    width: int = 0
    height: int = 0

    def array(self) -> NDArray[np.uint8]:
        """Pixels as uint8, (height, width, 3) in RGB or (height, width) in grey."""
        from echelon.adapters import decode

        return decode.image(self.data)

    def deep_array(self) -> NDArray[np.unsignedinteger[Any]]:
        """Return the pixels as `array` does, but as uint16 where a grey image has 16 bits a pixel."""
        from echelon.adapters import decode

        return decode.deep_image(self.data)

    @classmethod
    def from_array(cls, pixels: NDArray[np.uint8], *, name: str = "") -> Image:
        """A PNG of uint8 pixels, (height, width, 3) or (height, width)."""
        from echelon.adapters import decode

        data = decode.to_png(pixels)
        height, width = pixels.shape[:2]
        return cls(data, "image/png", width, height, name=name)


@dataclass(frozen=True, slots=True)
class Audio(Part):
    """An encoded sound: audio/wav, or one that not everybody decodes, audio/flac, audio/ogg, audio/mpeg, audio/mp4."""

    kind: ClassVar[Kind] = Kind.AUDIO
    data: bytes = field(repr=False)
    media_type: str = "audio/wav"
    sample_rate_hz: int = 0
    channel_count: int = 0

    def array(self) -> tuple[NDArray[np.float32], int]:
        """Samples in [-1, 1] as (frames, channels), and samples per second; what is no PCM WAV needs soundfile."""
        from echelon.adapters import decode

        return decode.audio(self.data)

    @classmethod
    def from_array(cls, samples: NDArray[np.floating], sample_rate_hz: int, *, name: str = "") -> Audio:
        """A 16-bit WAV of samples in [-1, 1], (frames,) or (frames, channels); what is louder is clipped."""
        from echelon.adapters import decode

        channels = 1 if samples.ndim == 1 else samples.shape[1]
        return cls(decode.to_wav(samples, sample_rate_hz), "audio/wav", sample_rate_hz, channels, name=name)


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A frame and its time since the start."""

    image: Image
    time_us: int


@dataclass(frozen=True, slots=True)
class Video(Part):
    """An encoded clip in `data`, or frames with their times; exactly one of the two."""

    kind: ClassVar[Kind] = Kind.VIDEO
    data: bytes = field(default=b"", repr=False)
    media_type: str = ""
    frames: tuple[VideoFrame, ...] = ()

    def array(self) -> NDArray[np.uint8]:
        """All frames as uint8, (frames, height, width, 3) in RGB or (frames, height, width) in grey."""
        from echelon.adapters import decode

        return decode.video(self)

    @classmethod
    def from_array(cls, frames: NDArray[np.uint8], *, frames_per_second: float, name: str = "") -> Video:
        """PNG frames of uint8 pixels, (frames, height, width[, 3])."""
        step = 1_000_000 / frames_per_second
        return cls(
            frames=tuple(VideoFrame(Image.from_array(frame), round(i * step)) for i, frame in enumerate(frames)),
            name=name,
        )


XYZ = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class PointCloud(Part):
    """Points with channels, as little-endian float32, row-major."""

    kind: ClassVar[Kind] = Kind.POINT_CLOUD
    data: bytes = field(repr=False)
    point_count: int = 0
    channels: tuple[str, ...] = XYZ

    def array(self) -> NDArray[np.float32]:
        """Points as (point_count, channels)."""
        return _view(self.data, "float32", (self.point_count, len(self.channels)), "point cloud")

    @classmethod
    def from_array(cls, points: NDArray[np.floating], *, channels: Sequence[str] = XYZ, name: str = "") -> PointCloud:
        """Points of shape (points, channels)."""
        data = points.astype("<f4").tobytes()
        return cls(data, points.shape[0], tuple(channels), name=name)


@dataclass(frozen=True, slots=True)
class Mesh(Part):
    """A triangle mesh: float32 vertices and int32 vertex indices, little-endian, row-major."""

    kind: ClassVar[Kind] = Kind.MESH
    vertices: bytes = field(repr=False)
    vertex_count: int
    faces: bytes = field(repr=False)
    face_count: int

    def array(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Vertices as (vertex_count, 3) and faces as (face_count, 3)."""
        vertices = _view(self.vertices, "float32", (self.vertex_count, 3), "mesh vertices")
        faces = _view(self.faces, "int32", (self.face_count, 3), "mesh faces")
        return vertices, faces

    @classmethod
    def from_array(cls, vertices: NDArray[np.floating], faces: NDArray[np.integer], *, name: str = "") -> Mesh:
        """Vertices (vertices, 3) and faces (faces, 3)."""
        return cls(
            vertices.astype("<f4").tobytes(),
            vertices.shape[0],
            faces.astype("<i4").tobytes(),
            faces.shape[0],
            name=name,
        )


@dataclass(frozen=True, slots=True)
class Mask(Part):
    """A class for each pixel: a greyscale PNG whose values index `labels`, or run lengths of a binary mask."""

    kind: ClassVar[Kind] = Kind.MASK
    height: int
    width: int
    png: bytes = field(default=b"", repr=False)
    run_lengths: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()

    def array(self) -> NDArray[np.uint8]:
        """Pixel values as uint8, (height, width)."""
        from echelon.adapters import decode

        return decode.mask(self)

    @classmethod
    def from_array(cls, values: NDArray[np.integer], *, labels: Sequence[str] = (), name: str = "") -> Mask:
        """A mask of pixel values 0 to 255, (height, width)."""
        from echelon.adapters import decode

        height, width = values.shape
        return cls(height, width, decode.to_png(values.astype("uint8")), labels=tuple(labels), name=name)

    def check_run_lengths(self) -> None:
        """InvalidInputError unless the run lengths are those of a mask of this size."""
        if min(self.run_lengths, default=0) < 0 or sum(self.run_lengths) != self.height * self.width:
            raise InvalidInputError(
                f"the run lengths of the mask do not add up to {self.height}x{self.width}",
                violations=(("mask.run_lengths", f"must be 0 or more, {self.height * self.width} together"),),
            )


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle, alone or as part of a track (`track_id` above 0)."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    label: str = ""
    score: float | None = None
    track_id: int = 0
    frame_index: int = 0


@dataclass(frozen=True, slots=True)
class Box3D:
    """An oriented cuboid; `rotation` is a unit quaternion x, y, z, w, empty for none."""

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    rotation: tuple[float, ...] = ()
    label: str = ""
    score: float | None = None
    track_id: int = 0
    frame_index: int = 0

    def corners(self) -> NDArray[np.float64]:
        """The eight corners, shape (8, 3): the bottom's four in a ring, then the top's above them."""
        import numpy as np

        ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
        unit = np.concatenate([np.column_stack([ring, np.full(4, height)]) for height in (-0.5, 0.5)])
        placed: NDArray[np.float64] = unit * self.size
        if self.rotation:
            axis, angle = np.array(self.rotation[:3]), self.rotation[3]
            turn = 2 * np.cross(axis, placed)
            placed = placed + angle * turn + np.cross(axis, turn)
        return placed + self.center


@dataclass(frozen=True, slots=True)
class Boxes(Part):
    """Boxes that share one space."""

    kind: ClassVar[Kind] = Kind.BOXES
    boxes: tuple[Box | Box3D, ...]
    space: BoxSpace = BoxSpace.PIXEL


@dataclass(frozen=True, slots=True)
class Tensor(Part):
    """A dense array: little-endian, row-major bytes with a numpy type name and a shape."""

    kind: ClassVar[Kind] = Kind.TENSOR
    data: bytes = field(repr=False)
    data_type: str = "float32"
    shape: tuple[int, ...] = ()

    def array(self) -> NDArray[Any]:
        """A read-only view of the elements."""
        return _view(self.data, self.data_type, self.shape, "tensor")

    @classmethod
    def from_array(cls, values: NDArray[Any], *, name: str = "") -> Tensor:
        """The elements of `values`."""
        data_type = _name_of(values.dtype)
        little = _little_endian(data_type) if data_type in DATA_TYPES else values.dtype
        return cls(values.astype(little, copy=False).tobytes(), data_type, values.shape, name=name)


@dataclass(frozen=True, slots=True)
class Json(Part):
    """A JSON document."""

    kind: ClassVar[Kind] = Kind.JSON
    value: str


DATA_TYPES = frozenset(
    ("bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64")
)  # fmt: skip
"""The element types of a tensor, by their numpy names."""


def _view(data: bytes, data_type: str, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    import numpy as np

    if data_type not in DATA_TYPES:
        raise InvalidInputError(f"{what}: unknown element type {data_type!r}; known: {', '.join(sorted(DATA_TYPES))}")
    little = _little_endian(data_type)
    expected = prod(shape) * little.itemsize
    if expected != len(data) or min(shape, default=0) < 0:
        raise InvalidInputError(f"{what}: {data_type} of shape {list(shape)} takes {expected} bytes, got {len(data)}")
    return np.frombuffer(data, little).reshape(shape)


@cache
def _name_of(data_type: np.dtype[Any]) -> str:
    return data_type.name  # slow: numpy builds it anew each time


@cache
def _little_endian(data_type: str) -> np.dtype[Any]:
    import numpy as np

    return np.dtype(data_type).newbyteorder("<")
