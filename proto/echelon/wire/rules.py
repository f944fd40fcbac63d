"""The contract's rules, enforced on messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import protovalidate

from echelon.adapters.errors import InvalidInputError

if TYPE_CHECKING:
    from google.protobuf.message import Message

_SHOWN = 8


def check(message: Message) -> None:
    """Raise InvalidInputError with every field of `message` that breaks its rule."""
    found = protovalidate.collect_violations(message)
    if not found:
        return
    violations = tuple((_path(item), item.proto.message) for item in found)
    said = "; ".join(f"{field}: {what}" for field, what in violations[:_SHOWN])
    raise InvalidInputError(said, violations=violations)


def _path(violation: protovalidate.Violation) -> str:
    field = violation.proto.field
    steps = []
    for element in field.elements if field is not None else ():
        index = element.subscript
        steps.append(element.field_name + (f"[{index.value}]" if index is not None else ""))
    return ".".join(steps)
