"""Which other files an ONNX file wants to be read: a walk over its protobuf fields, without any library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Field numbers of onnx.proto that lead to a tensor, by message.
_LEADING: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_WIDTH = {1: 8, 5: 4}
"""Bytes of the fixed wire types."""


def locations(model: bytes) -> set[str]:
    """The `location` of every tensor whose data lies outside the file; ValueError if `model` is no protobuf message."""
    found: set[str] = set()
    waiting: list[tuple[str, memoryview]] = [("model", memoryview(model))]
    while waiting:
        message, data = waiting.pop()
        if message == "entry":
            entry = dict(_fields(data))
            if bytes(entry.get(1, b"")) == b"location":
                found.add(bytes(entry.get(2, b"")).decode("utf-8"))
            continue
        leading = _LEADING[message]
        waiting.extend((leading[number], value) for number, value in _fields(data) if number in leading)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and value of each field that has a length; the others hold no message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 2:
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif wire == 0:
            _, at = _varint(data, at)
        elif wire in _WIDTH:
            at += _WIDTH[wire]
        else:
            raise ValueError(f"unknown wire type {wire}")
    if at != len(data):
        raise ValueError("the message is cut off")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("the message is cut off")
