"""Outcomes that are kept, so that asking again is harmless."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from time import monotonic

from echelon.adapters import Call
from echelon.adapters.errors import EchelonError, InvalidInputError
from echelon.v1 import model_service_pb2 as pb

REMEMBER_S = 600.0


def digest_of(call: Call, message: pb.Call) -> bytes:
    """Tells one request from another."""
    return hashlib.blake2b(message.SerializeToString(deterministic=True), digest_size=16, key=call.encode()).digest()


def other_body(request_id: str) -> EchelonError:
    """What to raise where an id comes back with another request."""
    return InvalidInputError(
        f"request_id {request_id!r} was used before with another body; a new call needs a new id",
        violations=(("request_id", "already used with another body"),),
    )


class Remembered:
    """Outcomes kept for retries, bounded in number, bytes and time."""

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str], tuple[bytes, pb.Outcome, int, float]] = OrderedDict()
        self.pending: dict[tuple[str, str], tuple[bytes, asyncio.Future[pb.Outcome | None]]] = {}

    def get(self, key: tuple[str, str], digest: bytes) -> pb.Outcome | None:
        """The outcome under `key`; InvalidInputError where it belongs to another body."""
        self._forget_old()
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] != digest:
            raise other_body(key[1])
        return kept[1]

    def put(self, key: tuple[str, str], digest: bytes, outcome: pb.Outcome) -> None:
        """Keep `outcome`, and forget the oldest where there is no room; one too large for all the room is not kept."""
        size = outcome.ByteSize()
        if size > self._max_bytes:
            return
        self._kept[key] = (digest, outcome, size, monotonic())
        self._bytes += size
        while len(self._kept) > self._max_count or self._bytes > self._max_bytes:
            self._forget_first()

    def _forget_old(self) -> None:
        before = monotonic() - REMEMBER_S
        while self._kept and next(iter(self._kept.values()))[3] < before:
            self._forget_first()

    def _forget_first(self) -> None:
        _, (_, _, size, _) = self._kept.popitem(last=False)
        self._bytes -= size
