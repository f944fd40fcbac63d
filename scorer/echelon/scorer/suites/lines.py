"""One line of a samples file, and how each kind of part is read from it."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from echelon.adapters import content, decode
from echelon.adapters.content import Kind, Role
from echelon.adapters.errors import InvalidInputError
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.suites.media import MediaFolder
from echelon.scorer.suites.media_types import CLIP_TYPES, CONVERTED_SUFFIXES, IMAGE_TYPES, SOUND_TYPES, media_type
from echelon.scorer.suites.shapes import SHAPE_SUFFIXES, read_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_STILL_BYTES = 32 * 2**20
TENSOR_TYPES = frozenset(
    ("bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64")
)

Name: TypeAlias = Annotated[str, Meta(max_length=64)]
LongText: TypeAlias = Annotated[str, Meta(max_length=2**20)]
Label: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Length: TypeAlias = Annotated[float, Meta(ge=0)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class PartLine(Struct, tag_field="kind", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A part as a samples file writes it; each kind says how it is read."""

    name: Name = ""
    role: Role = Role.INPUT


class TextLine(PartLine, tag=Kind.TEXT.value, frozen=True):
    value: LongText
    language: Annotated[str, Meta(max_length=35)] = ""

    def read(self, media: MediaFolder) -> content.Part:
        return content.Text(self.value, self.language, name=self.name, role=self.role)


class NumberLine(PartLine, tag=Kind.NUMBER.value, frozen=True):
    value: float
    unit: Annotated[str, Meta(max_length=32)] = ""

    def read(self, media: MediaFolder) -> content.Part:
        return content.Number(self.value, self.unit, name=self.name, role=self.role)


class ChoiceLine(PartLine, tag=Kind.CHOICE.value, frozen=True):
    labels: Annotated[tuple[Label, ...], Meta(min_length=1, max_length=4096)]

    def read(self, media: MediaFolder) -> content.Part:
        scored = tuple(content.ScoredLabel(label) for label in self.labels)
        return content.Choice(scored, name=self.name, role=self.role)


class ImageLine(PartLine, tag=Kind.IMAGE.value, frozen=True):
    path: str

    def read(self, media: MediaFolder) -> content.Part:
        return _image(media, self.path, self.name, self.role)


class AudioLine(PartLine, tag=Kind.AUDIO.value, frozen=True):
    path: str

    def read(self, media: MediaFolder) -> content.Part:
        data = media.read(self.path, tuple(SOUND_TYPES), MAX_STILL_BYTES)
        kind = media_type(self.path, data, SOUND_TYPES)
        rate, channels = _sound_header(self.path, data) if kind in decode.SOUND_TYPES else (0, 0)
        return content.Audio(data, kind, rate, channels, name=self.name, role=self.role)


class VideoLine(PartLine, tag=Kind.VIDEO.value, frozen=True):
    path: str = ""
    frames: Annotated[tuple[str, ...], Meta(max_length=1024)] = ()
    frames_per_second: Annotated[float, Meta(gt=0)] | None = None

    def read(self, media: MediaFolder) -> content.Part:
        if bool(self.path) == bool(self.frames) or bool(self.frames) != bool(self.frames_per_second):
            raise InvalidSuiteError("a video has 'frames' and 'frames_per_second', or 'path'")
        if self.path:
            data = media.read(self.path, tuple(CLIP_TYPES))
            kind = media_type(self.path, data, CLIP_TYPES)
            return content.Video(data, kind, name=self.name, role=self.role)
        step = 1_000_000 / (self.frames_per_second or 1)
        frames = tuple(
            content.VideoFrame(_image(media, path, "", Role.INPUT), round(i * step))
            for i, path in enumerate(self.frames)
        )
        return content.Video(frames=frames, name=self.name, role=self.role)


class PointCloudLine(PartLine, tag=Kind.POINT_CLOUD.value, frozen=True):
    path: str
    channels: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=32)], ...], Meta(max_length=16)] = (
        content.XYZ
    )

    def read(self, media: MediaFolder) -> content.Part:
        if self.channels[:3] != content.XYZ:
            raise InvalidSuiteError(f"'channels' must begin with x, y, z, not {', '.join(self.channels)}")
        if self.path.lower().endswith(SHAPE_SUFFIXES):
            if self.channels != content.XYZ:
                raise InvalidSuiteError(f"{self.path}: x, y and z alone are read from it; write other channels as .npy")
            return read_shape(media, self.path).points(self.name, self.role)
        points = _rows(media, self.path, "float32", len(self.channels))
        return content.PointCloud(points.tobytes(), len(points), self.channels, name=self.name, role=self.role)


class MeshLine(PartLine, tag=Kind.MESH.value, frozen=True):
    path: str = ""
    vertices: str = ""
    faces: str = ""

    def read(self, media: MediaFolder) -> content.Part:
        if bool(self.path) == bool(self.vertices) or bool(self.vertices) != bool(self.faces):
            raise InvalidSuiteError("a mesh has 'vertices' and 'faces', or 'path'")
        if self.path:
            return read_shape(media, self.path).mesh(self.name, self.role)
        vertices = _rows(media, self.vertices, "float32", 3)
        faces: NDArray[Any] = _rows(media, self.faces, "int32", 3)
        if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
            raise InvalidSuiteError(f"{self.faces} names vertices that {self.vertices} does not have")
        return content.Mesh(
            vertices.tobytes(), len(vertices), faces.tobytes(), len(faces), name=self.name, role=self.role
        )


class MaskLine(PartLine, tag=Kind.MASK.value, frozen=True):
    path: str
    labels: Annotated[tuple[Label, ...], Meta(max_length=256)] = ()

    def read(self, media: MediaFolder) -> content.Part:
        png = media.read(self.path, (".png",), MAX_STILL_BYTES)
        header = _png_header(png)
        if header is None or header[2:] != (8, 0):
            raise InvalidSuiteError(f"{self.path} is not an 8-bit greyscale PNG; save the mask as one")
        width, height = header[:2]
        return content.Mask(height, width, png, labels=self.labels, name=self.name, role=self.role)


class BoxLine(Struct, forbid_unknown_fields=True, frozen=True):
    """A rectangle."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    label: Annotated[str, Meta(max_length=256)] = ""
    score: float | None = None
    track_id: Count = 0
    frame_index: Annotated[int, Meta(ge=0, le=2**20)] = 0

    def box(self) -> content.Box:
        if self.x_min > self.x_max or self.y_min > self.y_max:
            raise InvalidSuiteError("a box ends before it begins; x_min <= x_max and y_min <= y_max must hold")
        return content.Box(
            self.x_min,
            self.y_min,
            self.x_max,
            self.y_max,
            self.label,
            self.score,
            self.track_id,
            self.frame_index,
        )


class CuboidLine(Struct, forbid_unknown_fields=True, frozen=True):
    """A box in space, in metres; `rotation` is a unit quaternion x, y, z, w."""

    center: tuple[float, float, float]
    size: tuple[Length, Length, Length]
    rotation: Annotated[tuple[float, ...], Meta(max_length=4)] = ()
    label: Annotated[str, Meta(max_length=256)] = ""
    score: float | None = None
    track_id: Count = 0
    frame_index: Annotated[int, Meta(ge=0, le=2**20)] = 0

    def box(self) -> content.Box3D:
        unit = len(self.rotation) == 4 and math.isclose(math.hypot(*self.rotation), 1, abs_tol=1e-3)
        if self.rotation and not unit:
            raise InvalidSuiteError("the rotation of a cuboid must be four numbers, a quaternion of length 1")
        return content.Box3D(
            self.center, self.size, self.rotation, self.label, self.score, self.track_id, self.frame_index
        )


class BoxesLine(PartLine, tag=Kind.BOXES.value, frozen=True):
    boxes: Annotated[tuple[BoxLine, ...], Meta(max_length=16384)] | UnsetType = UNSET
    cuboids: Annotated[tuple[CuboidLine, ...], Meta(max_length=16384)] | UnsetType = UNSET
    space: Literal["pixel", "unit"] | UnsetType = UNSET

    def read(self, media: MediaFolder) -> content.Part:
        if isinstance(self.boxes, UnsetType) == isinstance(self.cuboids, UnsetType):
            raise InvalidSuiteError("boxes are either 'boxes' (rectangles) or 'cuboids' (boxes in space)")
        if isinstance(self.cuboids, UnsetType):
            space = content.BoxSpace(self.space or "pixel")
            flat = tuple(box.box() for box in self.boxes or ())
            return content.Boxes(flat, space, name=self.name, role=self.role)
        if self.space is not UNSET:
            raise InvalidSuiteError("cuboids are in metres; leave 'space' out")
        solid = tuple(cuboid.box() for cuboid in self.cuboids)
        return content.Boxes(solid, content.BoxSpace.METRE, name=self.name, role=self.role)


class TensorLine(PartLine, tag=Kind.TENSOR.value, frozen=True):
    path: str

    def read(self, media: MediaFolder) -> content.Part:
        values = media.array(self.path)
        if values.dtype.name not in TENSOR_TYPES or values.ndim > 8:
            raise InvalidSuiteError(
                f"{self.path} is {values.dtype} with {values.ndim} axes; "
                f"it must be one of {', '.join(sorted(TENSOR_TYPES))} with at most 8"
            )
        little = values.astype(values.dtype.newbyteorder("<"), order="C", copy=False)
        return content.Tensor(little.tobytes(), values.dtype.name, values.shape, name=self.name, role=self.role)


class JsonLine(PartLine, tag=Kind.JSON.value, frozen=True):
    value: msgspec.Raw

    def read(self, media: MediaFolder) -> content.Part:
        return content.Json(bytes(self.value).decode(), name=self.name, role=self.role)


AnyPart: TypeAlias = (
    TextLine
    | NumberLine
    | ChoiceLine
    | ImageLine
    | AudioLine
    | VideoLine
    | PointCloudLine
    | MeshLine
    | MaskLine
    | BoxesLine
    | TensorLine
    | JsonLine
)


class IdLine(Struct, frozen=True):
    """The id of a sample, and nothing else of its line."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]


class SampleLine(Struct, forbid_unknown_fields=True, frozen=True):
    """A whole line."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    parts: Annotated[tuple[AnyPart, ...], Meta(max_length=256)]
    reference: AnyPart | Annotated[tuple[AnyPart, ...], Meta(min_length=1, max_length=256)]
    fields: Mapping[str, str] = {}
    cluster: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET

    @property
    def references(self) -> tuple[AnyPart, ...]:
        """The acceptable answers."""
        return self.reference if isinstance(self.reference, tuple) else (self.reference,)


def _image(media: MediaFolder, path: str, name: str, role: Role) -> content.Image:
    data = media.read(path, (*IMAGE_TYPES, *CONVERTED_SUFFIXES), MAX_STILL_BYTES)
    if path.lower().endswith(CONVERTED_SUFFIXES):
        data, kind = _converted(path, data), "image/png"
    else:
        kind = media_type(path, data, IMAGE_TYPES)
    width, height = (_png_header(data) or (0, 0))[:2]
    return content.Image(data, kind, width, height, name=name, role=role)


def _converted(path: str, data: bytes) -> bytes:
    try:
        png = decode.as_png(data)
    except InvalidInputError as error:
        raise InvalidSuiteError(f"{path}: {error}") from error
    if len(png) > MAX_STILL_BYTES:
        raise InvalidSuiteError(f"{path} has {len(png)} bytes as PNG, at most {MAX_STILL_BYTES} are taken")
    return png


def _sound_header(path: str, data: bytes) -> tuple[int, int]:
    """Samples per second and channels."""
    try:
        return decode.sound_header(data)
    except InvalidInputError as error:
        raise InvalidSuiteError(f"{path}: {error}") from error


def decoded_reference(line: AnyPart, media: MediaFolder) -> content.Part:
    """The part of a reference; InvalidSuiteError for what nothing here decodes, since it could not be measured with."""
    part = line.read(media)
    if isinstance(part, content.Audio | content.Video) and not decode.decodes(part):
        instead = "a WAV, FLAC, Ogg or MP3" if part.kind is Kind.AUDIO else "its frames, or a GIF or WebP"
        raise InvalidSuiteError(f"a reference of type {part.media_type} cannot be decoded here; give {instead}")
    return part


def _png_header(data: bytes) -> tuple[int, int, int, int] | None:
    """Width, height, bit depth and colour type; None for what is no PNG."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 26:
        return None
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    return width, height, depth, colour


def _rows(media: MediaFolder, path: str, dtype: str, width: int) -> NDArray[Any]:
    import numpy as np

    values: NDArray[Any] = media.array(path)
    if values.dtype.name != dtype or values.ndim != 2 or values.shape[1] != width:
        raise InvalidSuiteError(
            f"{path} is {values.dtype} of shape {list(values.shape)}; it must be {dtype} of [n, {width}]"
        )
    if not np.isfinite(values).all():
        raise InvalidSuiteError(f"{path} holds values that are not finite")
    return values.astype(np.dtype(dtype).newbyteorder("<"), copy=False)
