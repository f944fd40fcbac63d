"""The contract's rules, enforced on messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import protovalidate

from echelon.adapters.errors import InvalidInputError
from echelon.wire.plain_rules import LARGEST_BYTES, VOUCH

if TYPE_CHECKING:
    from google.protobuf.message import Message

_SHOWN = 8


def check(message: Message) -> None:
    """Raise InvalidInputError with the first fields of `message` that break their rules."""
    small = message.ByteSize() <= LARGEST_BYTES
    if small and (vouch := VOUCH.get(type(message))) is not None and vouch(message):
        return
    found = protovalidate.collect_violations(message, fail_fast=True)
    if not found:
        return
    # Collecting takes some 25 us a violation: of a large message, only the first is told.
    if small:
        found = protovalidate.collect_violations(message)
    violations = tuple((_path(item), item.proto.message) for item in found[:_SHOWN])
    said = "; ".join(f"{field}: {what}" for field, what in violations)
    if len(found) > _SHOWN:
        said += f"; and {len(found) - _SHOWN} more"
    raise InvalidInputError(said, violations=violations)


def _path(violation: protovalidate.Violation) -> str:
    field = violation.proto.field
    steps = []
    for element in field.elements if field is not None else ():
        index = element.subscript
        steps.append(element.field_name + (f"[{index.value}]" if index is not None else ""))
    return ".".join(steps)
