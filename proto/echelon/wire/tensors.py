"""Calls as the tensors of the Open Inference Protocol, and outcomes too; docs/oip.md is the table of both."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from echelon.adapters import (
    Answer,
    Audio,
    Boxes,
    Call,
    CallSupport,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Outcome,
    Part,
    PointCloud,
    Refusal,
    Request,
    Sampling,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.content import XYZ
from echelon.adapters.errors import InvalidInputError
from echelon.adapters.plain import to_plain
from echelon.adapters.signatures import type_of
from echelon.wire.open_inference import message as message_class

DATA_TYPES = {
    "BOOL": ("bool", "bool_contents"),
    "UINT8": ("uint8", "uint_contents"),
    "UINT16": ("uint16", "uint_contents"),
    "INT8": ("int8", "int_contents"),
    "INT16": ("int16", "int_contents"),
    "INT32": ("int32", "int_contents"),
    "INT64": ("int64", "int64_contents"),
    "FP16": ("float16", ""),
    "FP32": ("float32", "fp32_contents"),
    "FP64": ("float64", "fp64_contents"),
}
"""Of each type the name here, and where its elements stand when they are not raw; FP16 is always raw."""
MOST_ELEMENTS = 4096
"""Of a tensor of BYTES."""
_NAMES = {name: data_type for data_type, (name, _) in DATA_TYPES.items()}
_LENGTH = struct.Struct("<I")


class Given(NamedTuple):
    """An input tensor; of BYTES `elements`, of any other type `data`, little-endian and row-major."""

    name: str
    data_type: str
    shape: tuple[int, ...]
    data: bytes = b""
    elements: tuple[bytes, ...] = ()

    @property
    def kind(self) -> str:
        """The part of the name before its first dot."""
        return self.name.partition(".")[0]

    @property
    def rest(self) -> str:
        """The part of the name after its first dot."""
        return self.name.partition(".")[2]

    def texts(self) -> tuple[str, ...]:
        """Its elements as text."""
        try:
            return tuple(element.decode() for element in self.elements)
        except UnicodeDecodeError:
            raise InvalidInputError(f"input {self.name!r} is no UTF-8") from None


def request_from_tensors(message: Any, default: Call) -> Request:
    """The request in a ModelInferRequest; InvalidInputError names the input or parameter that is wrong."""
    parameters = {name: _value(name, parameter) for name, parameter in message.parameters.items()}
    asked: dict[str, tuple[str, ...]] = {"instruction": ("",), "labels": (), "stop": ()}
    parts: list[Part] = []
    for given in _given(message):
        if given.name in asked:
            asked[given.name] = _expect_bytes(given).texts()
        else:
            parts.extend(_parts(given))
    if len(asked["instruction"]) != 1:
        raise InvalidInputError("input 'instruction' must have one element")
    return Request(
        _call(parameters.get("call"), default),
        asked["instruction"][0],
        tuple(parts),
        _kinds(parameters.get("output_kinds", "")),
        asked["labels"],
        Sampling(
            seed=_number(parameters, "seed", int),
            temperature=_number(parameters, "temperature", float),
            top_p=_number(parameters, "top_p", float),
            max_token_count=_number(parameters, "max_token_count", int),
            stop=asked["stop"],
        ),
    )


def _value(name: str, parameter: Any) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    if choice is None:
        raise InvalidInputError(f"parameter {name!r} has no value")
    return getattr(parameter, choice)


def _call(name: Any, default: Call) -> Call:
    if name is None:
        return default
    if name not in list(Call):
        raise InvalidInputError(f"parameter 'call' is {name!r}, it must be one of {', '.join(Call)}")
    return Call(name)


def _kinds(names: Any) -> tuple[Kind, ...]:
    found = [name.strip() for name in str(names).split(",") if name.strip()]
    unknown = [name for name in found if name not in list(Kind)]
    if unknown:
        raise InvalidInputError(f"parameter 'output_kinds' names {unknown[0]!r}; known are {', '.join(Kind)}")
    return tuple(Kind(name) for name in found)


def _number(parameters: dict[str, Any], name: str, kind: type) -> Any:
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
        raise InvalidInputError(f"parameter {name!r} is {value!r}, it must be a number")
    return kind(value)


def _given(message: Any) -> Iterator[Given]:
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidInputError(f"raw_input_contents has {len(raw)} entries for {len(message.inputs)} inputs")
    for index, tensor in enumerate(message.inputs):
        name, shape = tensor.name, tuple(tensor.shape)
        if len(shape) > 8 or min(shape, default=0) < 0:
            raise InvalidInputError(f"input {name!r} has the shape {list(shape)[:9]}; up to 8 axes from 0 up may be")
        if raw and tensor.HasField("contents"):
            raise InvalidInputError(f"input {name!r} has contents beside raw_input_contents; send one of the two")
        read = _bytes_given if tensor.datatype == "BYTES" else _numbers_given
        yield read(tensor, shape, raw[index] if raw else None)


def _bytes_given(tensor: Any, shape: tuple[int, ...], raw: bytes | None) -> Given:
    count = prod(shape)
    if count > MOST_ELEMENTS:
        raise InvalidInputError(f"input {tensor.name!r} has {count} elements, BYTES may have {MOST_ELEMENTS}")
    elements = tuple(_split(raw, tensor.name, count)) if raw is not None else tuple(tensor.contents.bytes_contents)
    if len(elements) != count:
        raise InvalidInputError(f"input {tensor.name!r} has {len(elements)} elements, its shape says {count}")
    return Given(tensor.name, "BYTES", shape, elements=elements)


def _split(raw: bytes, name: str, count: int) -> Iterator[bytes]:
    """The elements of raw BYTES: each after its length in four bytes."""
    start = 0
    for _ in range(count):
        end = start + _LENGTH.size
        length = _LENGTH.unpack_from(raw, start)[0] if end <= len(raw) else len(raw)
        start, end = end, end + length
        if end > len(raw):
            raise InvalidInputError(f"the raw contents of input {name!r} end within an element")
        yield raw[start:end]
        start = end
    if start != len(raw):
        raise InvalidInputError(f"the raw contents of input {name!r} go on after {count} elements")


def _numbers_given(tensor: Any, shape: tuple[int, ...], raw: bytes | None) -> Given:
    name, data_type = tensor.name, tensor.datatype
    if data_type not in DATA_TYPES:
        raise InvalidInputError(f"input {name!r} is {data_type!r}; use BYTES or one of {', '.join(DATA_TYPES)}")
    kind = np.dtype(DATA_TYPES[data_type][0]).newbyteorder("<")
    data = raw if raw is not None else _listed(tensor, kind)
    size = prod(shape) * kind.itemsize
    if len(data) != size:
        raise InvalidInputError(
            f"input {name!r} has {len(data)} bytes, {data_type} of shape {list(shape)} takes {size}"
        )
    return Given(name, data_type, shape, data)


def _listed(tensor: Any, kind: np.dtype[Any]) -> bytes:
    field = DATA_TYPES[tensor.datatype][1]
    if not field:
        raise InvalidInputError(f"input {tensor.name!r} is {tensor.datatype}, which only raw_input_contents can hold")
    listed = np.asarray(getattr(tensor.contents, field))
    cast = listed.astype(kind)
    if not np.array_equal(cast, listed, equal_nan=kind.kind == "f"):
        raise InvalidInputError(f"input {tensor.name!r} has elements that are no {tensor.datatype}")
    return cast.tobytes()


def _parts(given: Given) -> list[Part]:
    if given.data_type == "BYTES":
        return _OF_BYTES.get(given.kind, _texts)(given)
    return [_OF_NUMBERS.get(given.kind, _tensor)(given)]


def _expect_bytes(given: Given) -> Given:
    if given.data_type != "BYTES":
        raise InvalidInputError(f"input {given.name!r} must be BYTES, not {given.data_type}")
    return given


def _texts(given: Given) -> list[Part]:
    name = given.rest if given.kind == "text" else given.name
    return [Text(text, name=name) for text in given.texts()]


def _jsons(given: Given) -> list[Part]:
    return [Json(text, name=given.rest) for text in given.texts()]


def _images(given: Given) -> list[Part]:
    return [Image(data, _media_type(given, data, "image/"), name=given.rest) for data in given.elements]


def _sounds(given: Given) -> list[Part]:
    return [Audio(data, _media_type(given, data, "audio/"), name=given.rest) for data in given.elements]


def _clips(given: Given) -> list[Part]:
    types = ("video/", "image/gif", "image/webp")
    return [Video(data, _media_type(given, data, *types), name=given.rest) for data in given.elements]


def _media_type(given: Given, data: bytes, *kinds: str) -> str:
    found = type_of(data, *kinds)
    if found is None:
        raise InvalidInputError(f"an element of input {given.name!r} is no {given.kind} of a known type")
    return found


def _numbers(given: Given) -> Part:
    if prod(given.shape) != 1:
        raise InvalidInputError(f"input {given.name!r} must have one element; another name makes it a tensor")
    (value,) = np.frombuffer(given.data, np.dtype(DATA_TYPES[given.data_type][0]).newbyteorder("<"))
    return Number(float(value), name=given.rest)


def _points(given: Given) -> Part:
    if given.data_type != "FP32" or len(given.shape) != 2 or given.shape[1] < len(XYZ):
        raise InvalidInputError(f"input {given.name!r} must be FP32 of shape [points, 3 or more]")
    count, width = given.shape
    channels = (*XYZ, *(f"c{index}" for index in range(len(XYZ), width)))
    return PointCloud(given.data, count, channels, name=given.rest)


def _tensor(given: Given) -> Part:
    name = given.rest if given.kind == "tensor" else given.name
    return Tensor(given.data, DATA_TYPES[given.data_type][0], given.shape, name=name)


def _not_as_numbers(given: Given) -> Part:
    raise InvalidInputError(f"input {given.name!r} must be BYTES, encoded; for bare numbers give a tensor another name")


def _not_as_input(given: Given) -> Any:
    raise InvalidInputError(
        f"input {given.name!r}: a {given.kind} cannot come in tensors; ask over echelon.v1.ModelService"
    )


_ENCODED = ("text", "json", "image", "audio", "video")
_NO_INPUT = ("choice", "mask", "boxes", "mesh")
_OF_BYTES: dict[str, Callable[[Given], list[Part]]] = {
    "text": _texts,
    "json": _jsons,
    "image": _images,
    "audio": _sounds,
    "video": _clips,
    **dict.fromkeys(_NO_INPUT, _not_as_input),
}
_OF_NUMBERS: dict[str, Callable[[Given], Part]] = {
    "number": _numbers,
    "point_cloud": _points,
    **dict.fromkeys(_ENCODED, _not_as_numbers),
    **dict.fromkeys(_NO_INPUT, _not_as_input),
}


class Output(NamedTuple):
    """An output tensor; of BYTES `data` are the elements."""

    name: str
    data_type: str
    shape: tuple[int, ...]
    data: bytes | tuple[bytes, ...]

    def raw(self) -> bytes:
        """Its raw contents."""
        if isinstance(self.data, bytes):
            return self.data
        return b"".join([piece for element in self.data for piece in (_LENGTH.pack(len(element)), element)])


def response_to_tensors(outcome: Outcome, message: Any, version: str) -> Any:
    """The ModelInferResponse for `outcome`; InvalidInputError where an output was asked for that is not in it.

    Decodes masks, which may take long.
    """
    response = message_class("ModelInferResponse")(model_name=message.model_name, model_version=version, id=message.id)
    for name, value in _said(outcome).items():
        field = "string_param" if isinstance(value, str) else "int64_param"
        setattr(response.parameters[name], field, value)
    outputs = _outputs(outcome.parts) if isinstance(outcome, Answer) else {}
    wanted = [output.name for output in message.outputs] if isinstance(outcome, Answer) else []
    for name in wanted or outputs:
        output = outputs.get(name)
        if output is None:
            raise InvalidInputError(f"the answer has no output {name!r}; it has {', '.join(outputs)}")
        response.outputs.add(name=name, datatype=output.data_type, shape=output.shape)
        response.raw_output_contents.append(output.raw())
    return response


def _said(outcome: Outcome) -> dict[str, str | int]:
    counts = {
        "input_token_count": outcome.usage.input_token_count,
        "output_token_count": outcome.usage.output_token_count,
    }
    if isinstance(outcome, Refusal):
        return {"refusal": outcome.text, "refusal_category": outcome.category, **counts}
    return {"finish_reason": str(outcome.finish_reason), **counts}


def _outputs(parts: Sequence[Part]) -> dict[str, Output]:
    outputs: dict[str, Output] = {}
    for part in parts:
        for output in _AS_OUTPUTS[part.kind](part, _name(part)):
            before = outputs.get(output.name)
            if before is not None and isinstance(before.data, tuple) and isinstance(output.data, tuple):
                elements = before.data + output.data
                outputs[output.name] = output._replace(shape=(len(elements),), data=elements)
            else:
                name = output.name if before is None else f"{output.name}.{len(outputs)}"
                outputs[name] = output._replace(name=name)
    return outputs


def _name(part: Part) -> str:
    if isinstance(part, Tensor):
        return part.name or "tensor"
    return f"{part.kind}.{part.name}" if part.name else str(part.kind)


def _elements(name: str, *elements: bytes) -> Output:
    return Output(name, "BYTES", (len(elements),), elements)


def _array(name: str, values: Any) -> Output:
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return Output(name, _NAMES[values.dtype.name], values.shape, little.tobytes())


def _text_out(part: Any, name: str) -> list[Output]:
    return [_elements(name, part.value.encode())]


def _data_out(part: Any, name: str) -> list[Output]:
    return [_elements(name, part.data)]


def _choice_out(part: Choice, name: str) -> list[Output]:
    scores = [item.score for item in part.labels]
    labels = _elements(name, *(item.label.encode() for item in part.labels))
    return [labels] if None in scores else [labels, _array(f"{name}.scores", np.array(scores, np.float64))]


def _video_out(part: Video, name: str) -> list[Output]:
    if part.data:
        return _data_out(part, name)
    times = np.array([frame.time_us for frame in part.frames], np.int64)
    return [_elements(name, *(frame.image.data for frame in part.frames)), _array(f"{name}.times_us", times)]


def _points_out(part: PointCloud, name: str) -> list[Output]:
    return [Output(name, "FP32", (part.point_count, len(part.channels)), part.data)]


def _mesh_out(part: Mesh, name: str) -> list[Output]:
    vertices = Output(f"{name}.vertices", "FP32", (part.vertex_count, 3), part.vertices)
    return [vertices, Output(f"{name}.faces", "INT32", (part.face_count, 3), part.faces)]


def _mask_out(part: Mask, name: str) -> list[Output]:
    labels = [_elements(f"{name}.labels", *(label.encode() for label in part.labels))] if part.labels else []
    return [_array(name, part.array()), *labels]


def _boxes_out(part: Boxes, name: str) -> list[Output]:
    return [_elements(name, json.dumps(to_plain(part)).encode())]


def _tensor_out(part: Tensor, name: str) -> list[Output]:
    return [Output(name, _NAMES[part.data_type], part.shape, part.data)]


_AS_OUTPUTS: dict[Kind, Callable[[Any, str], list[Output]]] = {
    Kind.TEXT: _text_out,
    Kind.JSON: _text_out,
    Kind.NUMBER: lambda part, name: [_array(name, np.array([part.value], np.float64))],
    Kind.CHOICE: _choice_out,
    Kind.IMAGE: _data_out,
    Kind.AUDIO: _data_out,
    Kind.VIDEO: _video_out,
    Kind.POINT_CLOUD: _points_out,
    Kind.MESH: _mesh_out,
    Kind.MASK: _mask_out,
    Kind.BOXES: _boxes_out,
    Kind.TENSOR: _tensor_out,
}

Signature = tuple[tuple[str, str, tuple[int, ...]], ...]
_INPUTS: dict[Kind, Signature] = {
    Kind.TEXT: (("text", "BYTES", (-1,)),),
    Kind.JSON: (("json", "BYTES", (-1,)),),
    Kind.NUMBER: (("number", "FP64", (1,)),),
    Kind.IMAGE: (("image", "BYTES", (-1,)),),
    Kind.AUDIO: (("audio", "BYTES", (-1,)),),
    Kind.VIDEO: (("video", "BYTES", (-1,)),),
    Kind.POINT_CLOUD: (("point_cloud", "FP32", (-1, -1)),),
    Kind.TENSOR: (("tensor", "FP32", (-1,)),),
}
_OUTPUTS: dict[Kind, Signature] = {
    **_INPUTS,
    Kind.CHOICE: (("choice", "BYTES", (-1,)),),
    Kind.MASK: (("mask", "UINT8", (-1, -1)),),
    Kind.BOXES: (("boxes", "BYTES", (1,)),),
    Kind.MESH: (("mesh.vertices", "FP32", (-1, 3)), ("mesh.faces", "INT32", (-1, 3))),
}
_ALWAYS: Signature = (("instruction", "BYTES", (1,)), ("labels", "BYTES", (-1,)))


def metadata_of(name: str, version: str, platform: str, support: CallSupport) -> Any:
    """The ModelMetadataResponse of a model that is asked for the call of `support`."""
    inputs = (*_ALWAYS, *(each for kind in support.input_kinds for each in _INPUTS.get(kind, ())))
    outputs = [each for kind in support.output_kinds for each in _OUTPUTS[kind]]
    tensors = [
        [{"name": tensor, "datatype": data_type, "shape": shape} for tensor, data_type, shape in each]
        for each in (inputs, outputs)
    ]
    return message_class("ModelMetadataResponse")(
        name=name, versions=[version] if version else [], platform=platform, inputs=tensors[0], outputs=tensors[1]
    )
