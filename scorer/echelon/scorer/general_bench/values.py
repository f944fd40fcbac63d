"""Values of General-Bench's JSON as parts: the same forms serve references and predictions."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from echelon.adapters import InvalidInputError, Kind, Mask, Part, Tensor, decode
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.run_lengths import unpacked
from echelon.scorer.suites.lines import (
    AudioLine,
    BoxesLine,
    BoxLine,
    ChoiceLine,
    ImageLine,
    JsonLine,
    MaskLine,
    NumberLine,
    PartLine,
    PointCloudLine,
    TensorLine,
    TextLine,
    VideoLine,
)
from echelon.scorer.suites.media import MediaFolder
from echelon.scorer.suites.media_types import CLIP_TYPES, CONVERTED_SUFFIXES, IMAGE_TYPES, SOUND_TYPES
from echelon.scorer.suites.shapes import SHAPE_SUFFIXES, read_shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAMES_PER_SECOND = 24.0
"""Of frames in a folder, whose times nobody tells."""
MAX_FRAMES = 1024
_FLO_MAGIC = 202021.25


class Finder(Protocol):
    """Finds the media that values name; InvalidSuiteError where there are none."""

    def find(self, name: str) -> str: ...

    def find_folder(self, name: str) -> tuple[str, ...]: ...


class Line(Protocol):
    """A part that is read when it is needed."""

    def read(self, media: MediaFolder) -> Part: ...


class RunLengthsLine(PartLine, tag="run_lengths", frozen=True):
    """A binary mask in COCO's run lengths, plain or packed."""

    height: int
    width: int
    counts: str | tuple[int, ...]

    def read(self, media: MediaFolder) -> Part:
        counts = self.counts if isinstance(self.counts, tuple) else _unpacked_counts(self.counts)
        if sum(counts) != self.height * self.width or min(counts, default=0) < 0:
            raise InvalidSuiteError(f"the run lengths do not fill {self.height} x {self.width} pixels")
        return Mask(self.height, self.width, run_lengths=counts, name=self.name, role=self.role)


class MasksLine(PartLine, tag="masks", frozen=True):
    """The masks of a video's frames, in their order, as a tensor of 0 and 1, (frames, height, width)."""

    masks: tuple[RunLengthsLine, ...]

    def read(self, media: MediaFolder) -> Part:
        import numpy as np

        values = [mask.read(media).array() for mask in self.masks]  # type: ignore[attr-defined]  # all are masks
        if len({each.shape for each in values}) != 1:
            raise InvalidSuiteError("the masks of a video's frames are not of one size")
        return Tensor.from_array(np.stack(values), name=self.name)


class FlowLine(PartLine, tag="flow", frozen=True):
    """An optical flow in a .flo file, as float32 of [height, width, 2]."""

    path: str

    def read(self, media: MediaFolder) -> Part:
        data = media.read(self.path, (".flo",))
        if len(data) < 12:
            raise InvalidSuiteError(f"{self.path} is too short for a .flo file")
        magic, width, height = struct.unpack("<fii", data[:12])
        if magic != _FLO_MAGIC or min(width, height) < 1 or len(data) != 12 + 8 * width * height:
            raise InvalidSuiteError(f"{self.path} is not a .flo file of the size that it tells")
        return Tensor(data[12:], "float32", (height, width, 2), name=self.name, role=self.role)


class ShapeLine(PartLine, tag="shape", frozen=True):
    """What a file of a 3D program holds: a mesh where it has faces, else points."""

    path: str

    def read(self, media: MediaFolder) -> Part:
        shape = read_shape(media, self.path)
        return shape.mesh(self.name, self.role) if len(shape.faces) else shape.points(self.name, self.role)


class DisparityLine(PartLine, tag="disparity", frozen=True):
    """The array `disparity` of a .npz file."""

    path: str

    def read(self, media: MediaFolder) -> Part:
        return Tensor.from_array(_array_of(media.path(self.path), "disparity"), name=self.name)


def line_of(value: Any, kind: Kind, finder: Finder) -> Line:
    """What `value` says, as a part of `kind`; InvalidSuiteError where it does not say such a thing."""
    if kind not in _FORMS:
        raise InvalidSuiteError(f"no form of General-Bench says how a {kind} is written")
    return _FORMS[kind](value, finder)


def media_line(name: str, finder: Finder, *, part_name: str = "") -> Line:
    """The medium that an item calls `name`, of the kind that its suffix tells, for a model to look at.

    One that is not decoded here travels as it is, if no copy lies beside it that is.
    """
    _, suffix = _split(name)
    if suffix in _CARRIED and not _has_copy(name, finder):
        return _LINES[suffix](finder.find(name), part_name)
    return decoded_line(name, finder, part_name=part_name)


def decoded_line(name: str, finder: Finder, *, part_name: str = "") -> Line:
    """The medium that an item calls `name`, of a format that is decoded here.

    For another one a copy beside it may stand: the same name with a plain suffix, or a folder of frames.
    """
    stem, suffix = _split(name)
    if suffix in _PLAIN or (suffix in _DECODED and _is_there(finder.find, name)):
        return _LINES[suffix](finder.find(name), part_name)
    for other in _copies(suffix):
        if _is_there(finder.find, stem + other):
            return _LINES[other](finder.find(stem + other), part_name)
    if _is_there(finder.find_folder, stem):
        return frames_line(finder.find_folder(stem), finder, part_name=part_name)
    if suffix in _DECODED:
        finder.find(name)
    raise InvalidSuiteError(
        f"{name} is not decoded here; put a copy in one of the formats {', '.join(_copies(suffix))} beside it, "
        f"or its frames in a folder {stem}"
    )


def _copies(suffix: str) -> tuple[str, ...]:
    """The suffixes of what may stand for a medium: a thumbnail is no copy of a clip."""
    if suffix not in _LINES:
        return _PLAIN
    kind = _kind_of(_LINES[suffix]("", ""))
    return tuple(other for other in _PLAIN if _kind_of(_LINES[other]("", "")) is kind)


def _has_copy(name: str, finder: Finder) -> bool:
    try:
        decoded_line(name, finder)
    except InvalidSuiteError:
        return False
    return True


def _split(name: str) -> tuple[str, str]:
    """A path without its suffix, and the suffix in lower case."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_suffix("") if path.name else path), path.suffix.lower()


def _is_there(find: Callable[[str], object], name: str) -> bool:
    try:
        find(name)
    except InvalidSuiteError:
        return False
    return True


def frames_line(names: tuple[str, ...], finder: Finder, *, part_name: str = "") -> Line:
    """The video whose frames are these images."""
    if not 1 <= len(names) <= MAX_FRAMES:
        raise InvalidSuiteError(f"a video of {len(names)} frames; it may have 1 to {MAX_FRAMES}")
    frames = tuple(finder.find(name) for name in names)
    return VideoLine(frames=frames, frames_per_second=FRAMES_PER_SECOND, name=part_name)


def is_medium(value: Any) -> bool:
    """Whether a value is the name of a media file."""
    return isinstance(value, str) and len(value) < 1024 and PurePosixPath(value).suffix.lower() in _MEDIA


def is_array(value: Any) -> bool:
    """Whether a value is the name of a file of numbers."""
    return isinstance(value, str) and PurePosixPath(value).suffix.lower() in _ARRAYS


def plain_text(value: Any) -> str:
    """A value as text; what is no text or number is written as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any, finder: Finder) -> Line:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise InvalidSuiteError(f"{value!r} is no text")
    return TextLine(str(value))


def _choice(value: Any, finder: Finder) -> Line:
    labels = [str(each).strip() for each in (value if isinstance(value, list) else [value])]
    if not labels or not all(1 <= len(label) <= 256 for label in labels):
        raise InvalidSuiteError(f"{value!r} is no label of 1 to 256 characters")
    return ChoiceLine(tuple(dict.fromkeys(labels)))


def _number(value: Any, finder: Finder) -> Line:
    try:
        return NumberLine(float(value))
    except (TypeError, ValueError, OverflowError):
        raise InvalidSuiteError(f"{value!r} is no number") from None


def _medium(kind: Kind) -> Callable[[Any, Finder], Line]:
    def read(value: Any, finder: Finder) -> Line:
        if not isinstance(value, str):
            raise InvalidSuiteError(f"{value!r} is no path of a {kind}")
        line = decoded_line(value, finder)
        if _kind_of(line) is not kind:
            raise InvalidSuiteError(f"{value} is no {kind}")
        # Points are compared with points, also where a mesh tells them.
        return PointCloudLine(path=line.path) if isinstance(line, ShapeLine) else line

    return read


def _video(value: Any, finder: Finder) -> Line:
    if isinstance(value, list):
        return frames_line(tuple(map(str, value)), finder)
    if isinstance(value, str) and not PurePosixPath(value).suffix:
        return frames_line(finder.find_folder(value), finder)
    return _medium(Kind.VIDEO)(value, finder)


def _mask(value: Any, finder: Finder) -> Line:
    return MaskLine(path=finder.find(value)) if isinstance(value, str) else _run_lengths(value)


def _run_lengths(value: Any) -> RunLengthsLine:
    inner = value.get("mask", value) if isinstance(value, dict) else {}
    size, counts = (inner.get(name) if isinstance(inner, dict) else None for name in ("size", "counts"))
    if not isinstance(size, list) or len(size) != 2 or not isinstance(counts, str | list):
        raise InvalidSuiteError("a mask is the path of a .png file, or {size: [height, width], counts: run lengths}")
    height, width = (_whole(each) for each in size)
    return RunLengthsLine(height, width, counts if isinstance(counts, str) else tuple(map(_whole, counts)))


def _boxes(value: Any, finder: Finder) -> Line:
    """A list of [x, y, width, height], one a frame, or {frame: {"bbox": [...]}}, which are the documented forms."""
    if isinstance(value, dict):
        framed = [
            (_whole(frame), inner.get("bbox") if isinstance(inner, dict) else None) for frame, inner in value.items()
        ]
    elif isinstance(value, list) and len(value) == 4 and all(_is_number(each) for each in value):
        framed = [(0, value)]
    elif isinstance(value, list):
        framed = list(enumerate(value))
    else:
        raise InvalidSuiteError(f"{value!r} are no boxes")
    # A frame may have none.
    return BoxesLine(tuple(_box(frame, box) for frame, box in framed if box))


def _box(frame: int, box: Any) -> BoxLine:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise InvalidSuiteError(f"{box!r} is no box [x, y, width, height]")
    try:
        x, y, width, height = map(float, box)
    except OverflowError:
        raise InvalidSuiteError(f"{box!r} is a box beyond any float") from None
    if min(width, height) < 0:
        raise InvalidSuiteError(f"{box!r} is a box that ends before it begins")
    return BoxLine(x, y, x + width, y + height, frame_index=frame)


def _tensor(value: Any, finder: Finder) -> Line:
    if isinstance(value, dict) and value:
        return MasksLine(tuple(_run_lengths(each) for each in value.values()))
    if not isinstance(value, str):
        raise InvalidSuiteError(f"{value!r} is no path of an array")
    if not is_array(value):
        raise InvalidSuiteError(f"{value}: an array is one of {', '.join(_ARRAYS)}")
    return _ARRAYS[PurePosixPath(value).suffix.lower()](finder.find(value))


def _json(value: Any, finder: Finder) -> Line:
    """Any value; a text that holds a list or a mapping is that, since the documented predictions are texts."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return JsonLine(value=msgspec.json.decode(value, type=msgspec.Raw))
        except (msgspec.MsgspecError, RecursionError):
            pass
    return JsonLine(value=msgspec.Raw(msgspec.json.encode(value)))


_ARRAYS: Mapping[str, Callable[[str], Line]] = MappingProxyType(
    {
        ".flo": lambda path: FlowLine(path),
        ".npz": lambda path: DisparityLine(path),
        ".npy": lambda path: TensorLine(path=path),
    }
)
_FORMS: Mapping[Kind, Callable[[Any, Finder], Line]] = MappingProxyType(
    {
        Kind.TEXT: _text,
        Kind.CHOICE: _choice,
        Kind.NUMBER: _number,
        Kind.IMAGE: _medium(Kind.IMAGE),
        Kind.AUDIO: _medium(Kind.AUDIO),
        Kind.VIDEO: _video,
        Kind.POINT_CLOUD: _medium(Kind.POINT_CLOUD),
        Kind.MASK: _mask,
        Kind.BOXES: _boxes,
        Kind.TENSOR: _tensor,
        Kind.JSON: _json,
    }
)
_Read: TypeAlias = Callable[[str, str], Line]
_LINES: Mapping[str, _Read] = MappingProxyType(
    {
        **dict.fromkeys(CLIP_TYPES, lambda path, name: VideoLine(path=path, name=name)),
        # Of what may be both, .webp, a picture is meant.
        **dict.fromkeys((*IMAGE_TYPES, *CONVERTED_SUFFIXES), lambda path, name: ImageLine(path=path, name=name)),
        **dict.fromkeys(SOUND_TYPES, lambda path, name: AudioLine(path=path, name=name)),
        **dict.fromkeys(SHAPE_SUFFIXES, lambda path, name: ShapeLine(path=path, name=name)),
        ".npy": lambda path, name: PointCloudLine(path=path, name=name),
    }
)
_CARRIED = frozenset(
    suffix
    for suffix, name in (*SOUND_TYPES.items(), *CLIP_TYPES.items())
    if name not in (*decode.SOUND_TYPES, *decode.CLIP_TYPES)
)
"""For models that decode by themselves."""
_PLAIN = (".png", ".jpg", ".jpeg", ".webp", ".wav", ".gif", ".npy")
"""What anybody decodes, so that it may stand for other formats."""
_DECODED = frozenset(suffix for suffix in _LINES if suffix not in _CARRIED)
_MEDIA = frozenset(_LINES) | frozenset((".pcd", ".glb", ".npz", ".bin", ".flo", ".mid", ".midi"))
"""Also what the contract does not carry: it has to be told, not taken for words."""


def _kind_of(line: Line) -> Kind:
    kinds = {
        ImageLine: Kind.IMAGE,
        AudioLine: Kind.AUDIO,
        VideoLine: Kind.VIDEO,
        PointCloudLine: Kind.POINT_CLOUD,
        ShapeLine: Kind.POINT_CLOUD,
    }
    return kinds[type(line)]  # type: ignore[index]  # decoded_line gives these alone


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> int:
    try:
        if isinstance(value, int | str) and not isinstance(value, bool) and int(value) >= 0:
            return int(value)
    except ValueError:
        pass
    raise InvalidSuiteError(f"{value!r} is no whole number of 0 or more")


def _unpacked_counts(packed: str) -> tuple[int, ...]:
    try:
        return tuple(unpacked([packed])[0].tolist())
    except InvalidInputError as error:
        raise InvalidSuiteError(str(error)) from error


def _array_of(path: Any, name: str) -> NDArray[np.generic]:
    import zipfile

    import numpy as np

    from echelon.scorer.suites.media import MAX_MEDIA_BYTES

    try:
        with zipfile.ZipFile(path) as opened, opened.open(f"{name}.npy") as file:
            if opened.getinfo(f"{name}.npy").file_size > MAX_MEDIA_BYTES + 2**16:
                raise InvalidSuiteError(f"{path.name}: {name} is larger than {MAX_MEDIA_BYTES} bytes")
            values: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidSuiteError(f"{path.name} has no readable array {name!r}: {error}") from error
    return values
