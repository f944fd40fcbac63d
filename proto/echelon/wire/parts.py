"""Parts to protobuf and back; each kind has one row in each table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from echelon.adapters.content import (
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Role,
    ScoredLabel,
    Tensor,
    Text,
    Video,
    VideoFrame,
)
from echelon.adapters.errors import InvalidInputError
from echelon.v1 import content_pb2 as pb
from echelon.wire.contents import REFERABLE, payload_of

ROLES = {Role.INPUT: pb.ROLE_INPUT, Role.EXEMPLAR: pb.ROLE_EXEMPLAR, Role.HISTORY: pb.ROLE_HISTORY}
KINDS = {
    Kind.TEXT: pb.KIND_TEXT,
    Kind.NUMBER: pb.KIND_NUMBER,
    Kind.CHOICE: pb.KIND_CHOICE,
    Kind.IMAGE: pb.KIND_IMAGE,
    Kind.AUDIO: pb.KIND_AUDIO,
    Kind.VIDEO: pb.KIND_VIDEO,
    Kind.POINT_CLOUD: pb.KIND_POINT_CLOUD,
    Kind.MESH: pb.KIND_MESH,
    Kind.MASK: pb.KIND_MASK,
    Kind.BOXES: pb.KIND_BOXES,
    Kind.TENSOR: pb.KIND_TENSOR,
    Kind.JSON: pb.KIND_JSON,
}
SPACES = {
    BoxSpace.PIXEL: pb.BOX_SPACE_PIXEL,
    BoxSpace.UNIT: pb.BOX_SPACE_UNIT,
    BoxSpace.METRE: pb.BOX_SPACE_METRE,
}
DATA_TYPES = {
    "bool": pb.DATA_TYPE_BOOL,
    "uint8": pb.DATA_TYPE_UINT8,
    "int8": pb.DATA_TYPE_INT8,
    "uint16": pb.DATA_TYPE_UINT16,
    "int16": pb.DATA_TYPE_INT16,
    "int32": pb.DATA_TYPE_INT32,
    "int64": pb.DATA_TYPE_INT64,
    "float16": pb.DATA_TYPE_FLOAT16,
    "float32": pb.DATA_TYPE_FLOAT32,
    "float64": pb.DATA_TYPE_FLOAT64,
}
ITEM_BYTES = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float16": 2,
    "float32": 4,
    "float64": 8,
}

NO_CONTENTS: Mapping[bytes, bytes] = MappingProxyType({})
_ROLE_OF = {pb.ROLE_UNSPECIFIED: Role.INPUT} | {number: role for role, number in ROLES.items()}
_KIND_OF = {number: kind for kind, number in KINDS.items()}
_SPACE_OF = {number: space for space, number in SPACES.items()}
_DATA_TYPE_OF = {number: name for name, number in DATA_TYPES.items()}


def part_to_proto(part: Part, content_ref: pb.ContentRef | None = None) -> pb.Part:
    """The message for `part`, with `content_ref` in place of its data where one is given.

    InvalidInputError where its bytes and its shape disagree.
    """
    message = pb.Part()
    if part.role is not Role.INPUT:
        message.role = ROLES[part.role]
    if part.name:
        message.name = part.name
    _TO[part.kind](part, message)
    if content_ref is not None:
        message.content_ref.CopyFrom(content_ref)
    elif data := payload_of(part):
        getattr(message, part.kind).data = data
    return message


def part_from_proto(message: pb.Part, contents: Mapping[bytes, bytes] = NO_CONTENTS) -> Part:
    """The part in a validated message; InvalidInputError where sizes disagree in ways the rules cannot say.

    `contents` holds what a content_ref may stand for, by SHA-256.
    """
    field = message.WhichOneof("content")
    if field is None:
        raise InvalidInputError("a part holds nothing, or a kind that this version does not know")
    content = getattr(message, field)
    if field in REFERABLE:
        return _FROM_DATA[field](content, _data(message, content, contents), _ROLE_OF[message.role], message.name)
    if message.HasField("content_ref"):
        raise InvalidInputError(f"no content_ref can stand for {field}; it stands for {', '.join(REFERABLE)}")
    return _FROM[field](content, _ROLE_OF[message.role], message.name)


def _data(message: pb.Part, content: Any, contents: Mapping[bytes, bytes]) -> bytes:
    data: bytes = content.data
    if not message.HasField("content_ref"):
        return data
    if data:
        raise InvalidInputError("a part has either data or a content_ref")
    ref = message.content_ref
    found = contents.get(ref.sha256)
    if found is None or len(found) != ref.size_bytes:
        raise InvalidInputError(f"there is no content of {ref.size_bytes} bytes and sha256:{ref.sha256.hex()} here")
    return found


def kinds_to_proto(kinds: tuple[Kind, ...]) -> list[pb.Kind]:
    """The enum numbers of `kinds`."""
    return [KINDS[kind] for kind in kinds]


def kinds_from_proto(numbers: Any) -> tuple[Kind, ...]:
    """The kinds behind enum numbers; unknown ones, from a newer peer, are left out."""
    return tuple([_KIND_OF[number] for number in numbers if number in _KIND_OF])


def _text(part: Text, message: pb.Part) -> None:
    message.text.value = part.value
    if part.language:
        message.text.language = part.language


def _number(part: Number, message: pb.Part) -> None:
    message.number.value = part.value
    message.number.unit = part.unit


def _choice(part: Choice, message: pb.Part) -> None:
    message.choice.labels.extend(pb.ScoredLabel(label=item.label, score=item.score) for item in part.labels)


def _image_message(part: Image) -> pb.Image:
    return pb.Image(data=part.data, media_type=part.media_type, width=part.width, height=part.height)


# Data is filled in by `part_to_proto`, unless a reference stands for it.
def _image(part: Image, message: pb.Part) -> None:
    image = message.image
    image.media_type, image.width, image.height = part.media_type, part.width, part.height


def _audio(part: Audio, message: pb.Part) -> None:
    audio = message.audio
    audio.media_type = part.media_type
    audio.sample_rate_hz, audio.channel_count = part.sample_rate_hz, part.channel_count


def _video(part: Video, message: pb.Part) -> None:
    _expect_one_form(part.data, part.frames)
    message.video.media_type = part.media_type
    message.video.frames.extend(
        pb.VideoFrame(image=_image_message(frame.image), time_us=frame.time_us) for frame in part.frames
    )


def _point_cloud(part: PointCloud, message: pb.Part) -> None:
    _expect(len(part.data), part.point_count * len(part.channels) * 4, "point_cloud.data")
    message.point_cloud.point_count = part.point_count
    message.point_cloud.channels.extend(part.channels)


def _mesh(part: Mesh, message: pb.Part) -> None:
    _expect(len(part.vertices), part.vertex_count * 12, "mesh.vertices")
    _expect(len(part.faces), part.face_count * 12, "mesh.faces")
    mesh = message.mesh
    mesh.vertices, mesh.vertex_count = part.vertices, part.vertex_count
    mesh.faces, mesh.face_count = part.faces, part.face_count


def _mask(part: Mask, message: pb.Part) -> None:
    message.mask.height, message.mask.width = part.height, part.width
    message.mask.labels.extend(part.labels)
    if part.png:
        message.mask.png = part.png
    else:
        part.check_run_lengths()
        message.mask.run_lengths.counts.extend(part.run_lengths)


def _boxes(part: Boxes, message: pb.Part) -> None:
    message.boxes.space = SPACES[part.space]
    message.boxes.boxes.extend(_box_message(box) for box in part.boxes)


def _box_message(box: Box | Box3D) -> pb.Box:
    message = pb.Box(label=box.label, score=box.score, track_id=box.track_id, frame_index=box.frame_index)
    if isinstance(box, Box):
        plane = message.plane
        _expect_ordered(box)
        # Set even where all four are 0.
        plane.SetInParent()
        plane.x_min, plane.y_min, plane.x_max, plane.y_max = box.x_min, box.y_min, box.x_max, box.y_max
    else:
        message.solid.center.extend(box.center)
        message.solid.size.extend(box.size)
        message.solid.rotation.extend(box.rotation)
    return message


def _tensor(part: Tensor, message: pb.Part) -> None:
    if part.data_type not in DATA_TYPES:
        raise InvalidInputError(f"a tensor of {part.data_type} cannot travel; use one of {', '.join(DATA_TYPES)}")
    _expect(len(part.data), _tensor_bytes(part.data_type, part.shape), "tensor.data")
    tensor = message.tensor
    tensor.data_type = DATA_TYPES[part.data_type]
    tensor.shape.extend(part.shape)


def _json(part: Json, message: pb.Part) -> None:
    message.json.value = part.value


_TO: dict[Kind, Callable[[Any, pb.Part], None]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.IMAGE: _image,
    Kind.AUDIO: _audio,
    Kind.VIDEO: _video,
    Kind.POINT_CLOUD: _point_cloud,
    Kind.MESH: _mesh,
    Kind.MASK: _mask,
    Kind.BOXES: _boxes,
    Kind.TENSOR: _tensor,
    Kind.JSON: _json,
}


def _from_text(m: pb.Text, role: Role, name: str) -> Text:
    return Text(m.value, m.language, role=role, name=name)


def _from_number(m: pb.Number, role: Role, name: str) -> Number:
    return Number(m.value, m.unit, role=role, name=name)


def _from_choice(m: pb.Choice, role: Role, name: str) -> Choice:
    labels = tuple(ScoredLabel(item.label, item.score if item.HasField("score") else None) for item in m.labels)
    return Choice(labels, role=role, name=name)


def _from_image(m: pb.Image, data: bytes, role: Role = Role.INPUT, name: str = "") -> Image:
    return Image(data, m.media_type, m.width, m.height, role=role, name=name)


def _from_audio(m: pb.Audio, data: bytes, role: Role, name: str) -> Audio:
    return Audio(data, m.media_type, m.sample_rate_hz, m.channel_count, role=role, name=name)


def _from_video(m: pb.Video, data: bytes, role: Role, name: str) -> Video:
    _expect_one_form(data, m.frames)
    frames = tuple(VideoFrame(_from_image(frame.image, frame.image.data), frame.time_us) for frame in m.frames)
    return Video(data, m.media_type, frames, role=role, name=name)


def _from_point_cloud(m: pb.PointCloud, data: bytes, role: Role, name: str) -> PointCloud:
    _expect(len(data), m.point_count * len(m.channels) * 4, "point_cloud.data")
    return PointCloud(data, m.point_count, tuple(m.channels), role=role, name=name)


def _from_mesh(m: pb.Mesh, role: Role, name: str) -> Mesh:
    _expect(len(m.vertices), m.vertex_count * 12, "mesh.vertices")
    _expect(len(m.faces), m.face_count * 12, "mesh.faces")
    return Mesh(m.vertices, m.vertex_count, m.faces, m.face_count, role=role, name=name)


def _from_mask(m: pb.Mask, role: Role, name: str) -> Mask:
    mask = Mask(m.height, m.width, m.png, tuple(m.run_lengths.counts), tuple(m.labels), role=role, name=name)
    if not mask.png:
        mask.check_run_lengths()
    return mask


def _from_boxes(m: pb.Boxes, role: Role, name: str) -> Boxes:
    return Boxes(tuple(_from_box(box) for box in m.boxes), _SPACE_OF[m.space], role=role, name=name)


def _from_box(m: pb.Box) -> Box | Box3D:
    score = m.score if m.HasField("score") else None
    if m.WhichOneof("shape") == "plane":
        plane = m.plane
        _expect_ordered(plane)
        return Box(plane.x_min, plane.y_min, plane.x_max, plane.y_max, m.label, score, m.track_id, m.frame_index)
    solid = m.solid
    x, y, z = solid.center
    length, width, height = solid.size
    if len(solid.rotation) not in (0, 4):
        raise InvalidInputError("a rotation is a quaternion of four numbers, or empty for none")
    return Box3D((x, y, z), (length, width, height), tuple(solid.rotation), m.label, score, m.track_id, m.frame_index)


def _from_tensor(m: pb.Tensor, data: bytes, role: Role, name: str) -> Tensor:
    data_type, shape = _DATA_TYPE_OF[m.data_type], tuple(m.shape)
    _expect(len(data), _tensor_bytes(data_type, shape), "tensor.data")
    return Tensor(data, data_type, shape, role=role, name=name)


def _from_json(m: pb.Json, role: Role, name: str) -> Json:
    return Json(m.value, role=role, name=name)


def _tensor_bytes(data_type: str, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * ITEM_BYTES[data_type]


def _expect(got: int, expected: int, field: str) -> None:
    if got != expected:
        raise InvalidInputError(
            f"{field} has {got} bytes, its declared shape takes {expected}",
            violations=((field, f"must be {expected} bytes"),),
        )


def _expect_one_form(data: bytes, frames: Any) -> None:
    if bool(data) == bool(frames):
        raise InvalidInputError("a video has either frames or an encoded clip")


def _expect_ordered(box: Any) -> None:
    if box.x_max < box.x_min or box.y_max < box.y_min:
        raise InvalidInputError("a box ends before it begins: x_min <= x_max and y_min <= y_max must hold")


_FROM_DATA: dict[str, Callable[[Any, bytes, Role, str], Part]] = {
    "image": _from_image,
    "audio": _from_audio,
    "video": _from_video,
    "point_cloud": _from_point_cloud,
    "tensor": _from_tensor,
}
_FROM: dict[str, Callable[[Any, Role, str], Part]] = {
    "text": _from_text,
    "number": _from_number,
    "choice": _from_choice,
    "mesh": _from_mesh,
    "mask": _from_mask,
    "boxes": _from_boxes,
    "json": _from_json,
}
