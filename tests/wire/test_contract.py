"""The contract's files: bounds on everything, and generated code that clashes with nobody."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import protovalidate
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    timestamp_pb2,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.internal import api_implementation

from echelon.adapters.errors import InvalidInputError
from echelon.v1 import content_pb2, model_service_pb2
from echelon.wire.plain_rules import LARGEST_BYTES, VOUCH
from echelon.wire.rules import check

BOUNDS = {
    "string": {"max_len", "max_bytes", "len"},
    "bytes": {"max_len", "len"},
    "int": {"gte", "gt", "lte", "lt", "in", "const"},
    "double": {"finite"},
}
EXEMPT = {
    # Ids of calls that are not under way are ignored, so any number will do.
    "echelon.v1.PipelineRequest.cancel_ids items",
    # They have no sign, and together must be the number of pixels: a rule for each would hold up the server's loop.
    "echelon.v1.RunLengths.counts items",
}
SCALARS = {
    FieldDescriptor.TYPE_STRING: ("string", "string"),
    FieldDescriptor.TYPE_BYTES: ("bytes", "bytes"),
    FieldDescriptor.TYPE_INT32: ("int", "int32"),
    FieldDescriptor.TYPE_UINT32: ("int", "uint32"),
    FieldDescriptor.TYPE_INT64: ("int", "int64"),
    FieldDescriptor.TYPE_DOUBLE: ("double", "double"),
    FieldDescriptor.TYPE_FLOAT: ("double", "float"),
}
FREE = {FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_MESSAGE}


@cache
def rules_pool() -> descriptor_pool.DescriptorPool:
    """The language of the rules, in a pool of its own: a module of that name must not be needed."""
    from protovalidate._gen.buf.validate import validate_pb

    pool = descriptor_pool.DescriptorPool()

    for imported in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        pool.AddSerializedFile(imported.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(validate_pb._DESC.proto.to_binary())
    return pool


def rules_of(field: Any) -> Any:
    options: Any = message_factory.GetMessageClass(rules_pool().FindMessageTypeByName("google.protobuf.FieldOptions"))
    extension = rules_pool().FindExtensionByName("buf.validate.field")
    return options.FromString(field.GetOptions().SerializeToString()).Extensions[extension]


def messages() -> Iterator[Any]:
    for file in (content_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR):
        yield from file.message_types_by_name.values()


def unbounded(field: Any) -> Iterator[str]:
    rules = rules_of(field)
    if field.is_repeated:
        if not rules.repeated.HasField("max_items"):
            yield field.full_name
        rules = rules.repeated.items
    if field.type not in FREE:
        sort, group = SCALARS[field.type]
        said = {found.name for found, _ in getattr(rules, group).ListFields()}
        if not said & BOUNDS[sort]:
            yield field.full_name + (" items" if field.is_repeated else "")


def test_every_text_size_count_and_number_of_the_contract_has_a_bound() -> None:
    found = {name for message in messages() for field in message.fields for name in unbounded(field)}
    assert found == EXEMPT


def test_the_walk_over_the_contract_sees_its_rules() -> None:
    text = content_pb2.Text.DESCRIPTOR.fields_by_name
    assert rules_of(text["value"]).string.max_len == 1 << 20
    assert sum(len(message.fields) for message in messages()) > 100


def test_no_field_of_the_contract_is_a_place_to_fetch_from() -> None:
    names = {field.name for message in messages() for field in message.fields}
    assert not {name for name in names if {"url", "uri", "path", "pickle"} & set(name.split("_"))}


def test_the_generated_code_imports_nothing_of_buf_validate() -> None:
    program = "import sys; import echelon.v1.model_service_pb2_grpc; print([m for m in sys.modules if 'validate' in m])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    for file in (content_pb2.DESCRIPTOR, model_service_pb2.DESCRIPTOR):
        assert not [imported.name for imported in file.dependencies if "validate" in imported.name]


def test_messages_are_parsed_by_the_implementation_that_bounds_their_depth() -> None:
    assert api_implementation.Type() == "upb"


@pytest.mark.parametrize("service", ["ModelService"])
def test_every_rpc_has_a_request_and_a_response_of_its_own(service: str) -> None:
    methods = model_service_pb2.DESCRIPTOR.services_by_name[service].methods
    for method in methods:
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"


PLANE = content_pb2.Box(label="a", score=0.5, plane=content_pb2.Box2D(x_max=1, y_max=1))
SOLID = content_pb2.Box(solid=content_pb2.Box3D(center=[1, 2, 3], size=[1, 1, 1], rotation=[0, 0, 0, 1]))
FRAME = content_pb2.VideoFrame(image=content_pb2.Image(data=b"i"), time_us=7)
CONTENTS: list[dict[str, Any]] = [
    {"text": content_pb2.Text(value="a", language="en")},
    {"number": content_pb2.Number(value=1.5, unit="degree")},
    {"choice": content_pb2.Choice(labels=[content_pb2.ScoredLabel(label="a", score=1)])},
    {"image": content_pb2.Image(data=b"i", media_type="image/png", width=1, height=1)},
    {"audio": content_pb2.Audio(data=b"a", media_type="audio/wav", sample_rate_hz=8000, channel_count=1)},
    {"video": content_pb2.Video(frames=[FRAME])},
    {"point_cloud": content_pb2.PointCloud(point_count=1, channels=["x", "y", "z"])},
    {"mesh": content_pb2.Mesh(vertex_count=3, face_count=1)},
    {"mask": content_pb2.Mask(height=1, width=1, labels=["a"], run_lengths=content_pb2.RunLengths(counts=[1]))},
    {"mask": content_pb2.Mask(height=1, width=1, png=b"p")},
    {"boxes": content_pb2.Boxes(space=content_pb2.BOX_SPACE_PIXEL, boxes=[PLANE, SOLID])},
    {"tensor": content_pb2.Tensor(data_type=content_pb2.DATA_TYPE_UINT8, shape=[1], data=b"t")},
    {"json": content_pb2.Json(value="{}")},
]
PARTS = [content_pb2.Part(name="a", **content) for content in CONTENTS]
PARTS.append(
    content_pb2.Part(image=content_pb2.Image(), content_ref=content_pb2.ContentRef(sha256=bytes(32), size_bytes=1))
)
SAMPLING = model_service_pb2.Sampling(seed=1, temperature=1, top_p=0.5, max_token_count=9, stop=["a"])
VOUCHED = [
    model_service_pb2.Call(
        request_id="r",
        model="m",
        instruction="i",
        parts=PARTS,
        output_kinds=[content_pb2.KIND_TEXT],
        labels=["a"],
        sampling=SAMPLING,
    ),
    model_service_pb2.Outcome(
        answer=model_service_pb2.Answer(parts=PARTS), usage=model_service_pb2.Usage(input_token_count=1)
    ),
    model_service_pb2.Outcome(refusal=model_service_pb2.Refusal(category="c", text="t")),
]
NUMBERS = [math.nan, math.inf, -math.inf, -1, -1e-9, 0, 1e-9]


def numbers_in(rules: Any) -> Iterator[int]:
    """Every number that a field's rules mention, and its neighbours."""
    for _, value in rules.ListFields():
        if isinstance(value, int | float):
            yield from (int(value) - 1, int(value), int(value) + 1)
        elif hasattr(value, "ListFields"):
            yield from numbers_in(value)


def others(field: Any, numbers: set[int]) -> Iterator[Any]:
    """Values for one item of a field, on both sides of each of its limits."""
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        letter: Any = "\N{SNOWMAN}" if field.type == FieldDescriptor.TYPE_STRING else b"x"
        yield from (letter * length for length in numbers | {0} if 0 <= length <= LARGEST_BYTES)
    elif field.type == FieldDescriptor.TYPE_ENUM:
        yield from range(-1, 20)
    elif field.type == FieldDescriptor.TYPE_DOUBLE:
        yield from {*numbers, *NUMBERS}
    elif field.type != FieldDescriptor.TYPE_BOOL and field.message_type is None:
        yield from {number for number in {*numbers, -1, 0} if number >= 0 or field.type != FieldDescriptor.TYPE_UINT32}


def with_value(message: Any, field: Any, value: Any) -> Any:
    """A copy of `message` with another value in one field; None clears it, and a list is a repeated field's."""
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField(field.name)
    if field.is_repeated:
        getattr(copy, field.name).extend(value)
    elif field.message_type is not None and value is not None:
        getattr(copy, field.name).CopyFrom(value)
    elif value is not None:
        setattr(copy, field.name, value)
    return copy


def changed(message: Any) -> Iterator[Any]:
    """Copies of `message`, each with another value in one place, as deep as it goes."""
    for field in message.DESCRIPTOR.fields:
        numbers = set(numbers_in(rules_of(field)))
        now: Any = getattr(message, field.name)
        values: list[Any] = []
        if field.is_repeated:
            values = [list(now[:1]) * number for number in numbers | {0} if 0 <= number <= LARGEST_BYTES]
            for index, item in enumerate(now):
                items = others(field, numbers) if field.message_type is None else changed(item)
                values += [[*now[:index], other, *now[index + 1 :]] for other in items]
        elif field.message_type is not None:
            values = [None, *changed(now)] if message.HasField(field.name) else []
        elif not field.containing_oneof or message.HasField(field.name):
            values = [None, *others(field, numbers)]
        yield from (with_value(message, field, value) for value in values)


@pytest.mark.parametrize(
    ("message", "least"), list(zip(VOUCHED, (200, 150, 1), strict=True)), ids=["call", "answer", "refusal"]
)
def test_the_rules_in_plain_python_are_those_of_the_contract(message: Any, least: int) -> None:
    """Messages at and beyond every limit: protovalidate finds nothing wrong in them just where they are vouched for."""
    vouch = VOUCH[type(message)]
    assert vouch(message)
    verdicts: Counter[bool] = Counter()
    for found in changed(message):
        if found.ByteSize() <= LARGEST_BYTES:
            keeps = not protovalidate.collect_violations(found, fail_fast=True)
            assert bool(vouch(found)) is keeps, found
            verdicts[keeps] += 1
    assert min(verdicts[True], verdicts[False]) >= least


def test_a_budget_is_left_to_protovalidate() -> None:
    call = model_service_pb2.Call(model="m")
    assert VOUCH[type(call)](call)
    call.budget.seconds = 1
    assert not VOUCH[type(call)](call)
    check(call)
    call.budget.seconds = 3601
    with pytest.raises(InvalidInputError, match="budget"):
        check(call)
