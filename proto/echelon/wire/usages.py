"""What a call took, as it travels beside the outcome that nobody got."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from echelon.adapters import EchelonError, Usage
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import usage_of
from echelon.wire.rules import check


def usage_to_proto(usage: Any) -> pb.Usage | None:
    """The message; None where there is nothing to tell, or what a vendor's code put there does not travel."""
    if not isinstance(usage, Usage):
        return None
    try:
        message = pb.Usage(**asdict(usage))
    except (TypeError, ValueError):
        return None
    return message if message.ByteSize() else None


def usage_from_proto(message: pb.Usage) -> Usage | None:
    """The usage; None where the message is empty or breaks the contract."""
    try:
        check(message)
    except EchelonError:
        return None
    return usage_of(message) if message.ByteSize() else None
