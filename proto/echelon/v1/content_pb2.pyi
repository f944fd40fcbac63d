from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_TEXT: _ClassVar[Kind]
    KIND_NUMBER: _ClassVar[Kind]
    KIND_CHOICE: _ClassVar[Kind]
    KIND_IMAGE: _ClassVar[Kind]
    KIND_AUDIO: _ClassVar[Kind]
    KIND_VIDEO: _ClassVar[Kind]
    KIND_POINT_CLOUD: _ClassVar[Kind]
    KIND_MESH: _ClassVar[Kind]
    KIND_MASK: _ClassVar[Kind]
    KIND_BOXES: _ClassVar[Kind]
    KIND_TENSOR: _ClassVar[Kind]
    KIND_JSON: _ClassVar[Kind]

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_INPUT: _ClassVar[Role]
    ROLE_EXEMPLAR: _ClassVar[Role]
    ROLE_HISTORY: _ClassVar[Role]

class BoxSpace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BOX_SPACE_UNSPECIFIED: _ClassVar[BoxSpace]
    BOX_SPACE_PIXEL: _ClassVar[BoxSpace]
    BOX_SPACE_UNIT: _ClassVar[BoxSpace]
    BOX_SPACE_METRE: _ClassVar[BoxSpace]

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_TYPE_UNSPECIFIED: _ClassVar[DataType]
    DATA_TYPE_BOOL: _ClassVar[DataType]
    DATA_TYPE_UINT8: _ClassVar[DataType]
    DATA_TYPE_INT8: _ClassVar[DataType]
    DATA_TYPE_UINT16: _ClassVar[DataType]
    DATA_TYPE_INT16: _ClassVar[DataType]
    DATA_TYPE_INT32: _ClassVar[DataType]
    DATA_TYPE_INT64: _ClassVar[DataType]
    DATA_TYPE_FLOAT16: _ClassVar[DataType]
    DATA_TYPE_FLOAT32: _ClassVar[DataType]
    DATA_TYPE_FLOAT64: _ClassVar[DataType]
KIND_UNSPECIFIED: Kind
KIND_TEXT: Kind
KIND_NUMBER: Kind
KIND_CHOICE: Kind
KIND_IMAGE: Kind
KIND_AUDIO: Kind
KIND_VIDEO: Kind
KIND_POINT_CLOUD: Kind
KIND_MESH: Kind
KIND_MASK: Kind
KIND_BOXES: Kind
KIND_TENSOR: Kind
KIND_JSON: Kind
ROLE_UNSPECIFIED: Role
ROLE_INPUT: Role
ROLE_EXEMPLAR: Role
ROLE_HISTORY: Role
BOX_SPACE_UNSPECIFIED: BoxSpace
BOX_SPACE_PIXEL: BoxSpace
BOX_SPACE_UNIT: BoxSpace
BOX_SPACE_METRE: BoxSpace
DATA_TYPE_UNSPECIFIED: DataType
DATA_TYPE_BOOL: DataType
DATA_TYPE_UINT8: DataType
DATA_TYPE_INT8: DataType
DATA_TYPE_UINT16: DataType
DATA_TYPE_INT16: DataType
DATA_TYPE_INT32: DataType
DATA_TYPE_INT64: DataType
DATA_TYPE_FLOAT16: DataType
DATA_TYPE_FLOAT32: DataType
DATA_TYPE_FLOAT64: DataType

class Part(_message.Message):
    __slots__ = ("role", "name", "text", "number", "choice", "image", "audio", "video", "point_cloud", "mesh", "mask", "boxes", "tensor", "json", "content_ref")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    POINT_CLOUD_FIELD_NUMBER: _ClassVar[int]
    MESH_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    CONTENT_REF_FIELD_NUMBER: _ClassVar[int]
    role: Role
    name: str
    text: Text
    number: Number
    choice: Choice
    image: Image
    audio: Audio
    video: Video
    point_cloud: PointCloud
    mesh: Mesh
    mask: Mask
    boxes: Boxes
    tensor: Tensor
    json: Json
    content_ref: ContentRef
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., name: _Optional[str] = ..., text: _Optional[_Union[Text, _Mapping]] = ..., number: _Optional[_Union[Number, _Mapping]] = ..., choice: _Optional[_Union[Choice, _Mapping]] = ..., image: _Optional[_Union[Image, _Mapping]] = ..., audio: _Optional[_Union[Audio, _Mapping]] = ..., video: _Optional[_Union[Video, _Mapping]] = ..., point_cloud: _Optional[_Union[PointCloud, _Mapping]] = ..., mesh: _Optional[_Union[Mesh, _Mapping]] = ..., mask: _Optional[_Union[Mask, _Mapping]] = ..., boxes: _Optional[_Union[Boxes, _Mapping]] = ..., tensor: _Optional[_Union[Tensor, _Mapping]] = ..., json: _Optional[_Union[Json, _Mapping]] = ..., content_ref: _Optional[_Union[ContentRef, _Mapping]] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("value", "language")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    value: str
    language: str
    def __init__(self, value: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class Number(_message.Message):
    __slots__ = ("value", "unit")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    value: float
    unit: str
    def __init__(self, value: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class Choice(_message.Message):
    __slots__ = ("labels",)
    LABELS_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedCompositeFieldContainer[ScoredLabel]
    def __init__(self, labels: _Optional[_Iterable[_Union[ScoredLabel, _Mapping]]] = ...) -> None: ...

class ScoredLabel(_message.Message):
    __slots__ = ("label", "score")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("data", "media_type", "width", "height")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    media_type: str
    width: int
    height: int
    def __init__(self, data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Audio(_message.Message):
    __slots__ = ("data", "media_type", "sample_rate_hz", "channel_count")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    media_type: str
    sample_rate_hz: int
    channel_count: int
    def __init__(self, data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., sample_rate_hz: _Optional[int] = ..., channel_count: _Optional[int] = ...) -> None: ...

class Video(_message.Message):
    __slots__ = ("data", "media_type", "frames")
    DATA_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    media_type: str
    frames: _containers.RepeatedCompositeFieldContainer[VideoFrame]
    def __init__(self, data: _Optional[bytes] = ..., media_type: _Optional[str] = ..., frames: _Optional[_Iterable[_Union[VideoFrame, _Mapping]]] = ...) -> None: ...

class VideoFrame(_message.Message):
    __slots__ = ("image", "time_us")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    image: Image
    time_us: int
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., time_us: _Optional[int] = ...) -> None: ...

class PointCloud(_message.Message):
    __slots__ = ("data", "point_count", "channels")
    DATA_FIELD_NUMBER: _ClassVar[int]
    POINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    point_count: int
    channels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, data: _Optional[bytes] = ..., point_count: _Optional[int] = ..., channels: _Optional[_Iterable[str]] = ...) -> None: ...

class Mesh(_message.Message):
    __slots__ = ("vertices", "vertex_count", "faces", "face_count")
    VERTICES_FIELD_NUMBER: _ClassVar[int]
    VERTEX_COUNT_FIELD_NUMBER: _ClassVar[int]
    FACES_FIELD_NUMBER: _ClassVar[int]
    FACE_COUNT_FIELD_NUMBER: _ClassVar[int]
    vertices: bytes
    vertex_count: int
    faces: bytes
    face_count: int
    def __init__(self, vertices: _Optional[bytes] = ..., vertex_count: _Optional[int] = ..., faces: _Optional[bytes] = ..., face_count: _Optional[int] = ...) -> None: ...

class Mask(_message.Message):
    __slots__ = ("height", "width", "run_lengths", "png", "labels")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    RUN_LENGTHS_FIELD_NUMBER: _ClassVar[int]
    PNG_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    run_lengths: RunLengths
    png: bytes
    labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., run_lengths: _Optional[_Union[RunLengths, _Mapping]] = ..., png: _Optional[bytes] = ..., labels: _Optional[_Iterable[str]] = ...) -> None: ...

class RunLengths(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Boxes(_message.Message):
    __slots__ = ("boxes", "space")
    BOXES_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    boxes: _containers.RepeatedCompositeFieldContainer[Box]
    space: BoxSpace
    def __init__(self, boxes: _Optional[_Iterable[_Union[Box, _Mapping]]] = ..., space: _Optional[_Union[BoxSpace, str]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("plane", "solid", "label", "score", "track_id", "frame_index")
    PLANE_FIELD_NUMBER: _ClassVar[int]
    SOLID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    plane: Box2D
    solid: Box3D
    label: str
    score: float
    track_id: int
    frame_index: int
    def __init__(self, plane: _Optional[_Union[Box2D, _Mapping]] = ..., solid: _Optional[_Union[Box3D, _Mapping]] = ..., label: _Optional[str] = ..., score: _Optional[float] = ..., track_id: _Optional[int] = ..., frame_index: _Optional[int] = ...) -> None: ...

class Box2D(_message.Message):
    __slots__ = ("x_min", "y_min", "x_max", "y_max")
    X_MIN_FIELD_NUMBER: _ClassVar[int]
    Y_MIN_FIELD_NUMBER: _ClassVar[int]
    X_MAX_FIELD_NUMBER: _ClassVar[int]
    Y_MAX_FIELD_NUMBER: _ClassVar[int]
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    def __init__(self, x_min: _Optional[float] = ..., y_min: _Optional[float] = ..., x_max: _Optional[float] = ..., y_max: _Optional[float] = ...) -> None: ...

class Box3D(_message.Message):
    __slots__ = ("center", "size", "rotation")
    CENTER_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    center: _containers.RepeatedScalarFieldContainer[float]
    size: _containers.RepeatedScalarFieldContainer[float]
    rotation: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, center: _Optional[_Iterable[float]] = ..., size: _Optional[_Iterable[float]] = ..., rotation: _Optional[_Iterable[float]] = ...) -> None: ...

class Tensor(_message.Message):
    __slots__ = ("data_type", "shape", "data")
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    data_type: DataType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, data_type: _Optional[_Union[DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Json(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: str
    def __init__(self, value: _Optional[str] = ...) -> None: ...

class ContentRef(_message.Message):
    __slots__ = ("sha256", "size_bytes")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    size_bytes: int
    def __init__(self, sha256: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ContentChunk(_message.Message):
    __slots__ = ("offset_bytes", "data")
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset_bytes: int
    data: bytes
    def __init__(self, offset_bytes: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
