"""The messages of the Open Inference Protocol, in a descriptor pool of their own.

tritonclient registers the same names in the default pool, and a pool takes each name once.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

SERVICE = "inference.GRPCInferenceService"


@cache
def pool() -> DescriptorPool:
    """The pool that knows the protocol."""
    found = DescriptorPool()
    data = files("echelon.wire").joinpath("open_inference.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        found.Add(file)
    return found


def message(name: str) -> Any:
    """The class of the protocol's message `name`."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"inference.{name}"))


def methods() -> dict[str, tuple[Any, Any]]:
    """The classes of request and response of every method."""
    service = pool().FindServiceByName(SERVICE)
    return {
        method.name: (message(method.input_type.name), message(method.output_type.name)) for method in service.methods
    }
