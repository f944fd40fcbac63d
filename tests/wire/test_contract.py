"""The contract's files: bounds on everything, and generated code that clashes with nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

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

from echelon.v1 import content_pb2, model_service_pb2

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
