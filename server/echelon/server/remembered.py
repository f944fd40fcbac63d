"""Outcomes that are kept, so that asking again is harmless."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from echelon.adapters import Call
from echelon.adapters.errors import EchelonError, InvalidInputError
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.parts import NO_CONTENTS
from echelon.wire.slices import put_payload

REMEMBER_S = 600.0


class Key(NamedTuple):
    """Who asks, under which request id, and the digest of the model's identity: another model's answer is no replay."""

    peer: str
    request_id: str
    identity: str


def digest_of(call: Call, message: pb.Call) -> bytes:
    """Tells one request from another."""
    return hashlib.blake2b(message.SerializeToString(deterministic=True), digest_size=16, key=call.encode()).digest()


class Answered(NamedTuple):
    """An outcome, and what the content_refs in it stand for, by SHA-256."""

    outcome: pb.Outcome
    contents: Mapping[bytes, bytes] = NO_CONTENTS

    @property
    def bytes(self) -> int:
        """What it takes of memory."""
        return self.outcome.ByteSize() + sum(map(len, self.contents.values()))

    def whole(self) -> pb.Outcome:
        """The outcome with everything in it."""
        if not self.contents:
            return self.outcome
        outcome = pb.Outcome()
        outcome.CopyFrom(self.outcome)
        for part in outcome.answer.parts:
            if part.HasField("content_ref"):
                put_payload(part, self.contents[part.content_ref.sha256])
                part.ClearField("content_ref")
        return outcome


class Turn:
    """The turn of one of several that may ask the same: what is known already, or to be filled in."""

    answered: Answered | None = None

    async def __aenter__(self) -> Self:
        return self

    def keep(self, answered: Answered, identity: str) -> None:
        """End the turn with what the model of that identity answered; another model's answer is not kept."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is kept of it."""


class _KeptTurn(Turn):
    def __init__(self, remembered: Remembered, key: Key, digest: bytes) -> None:
        self._remembered = remembered
        self._key = key
        self._digest = digest
        self._done: asyncio.Future[Answered | None] | None = None

    async def __aenter__(self) -> Self:
        pending = self._remembered.pending
        self.answered = self._remembered.get(self._key, self._digest)
        # Copies of one request at the same time share one answer; where the first gets none, the next one asks.
        while self.answered is None and (other := pending.get(self._key)) is not None:
            if other[0] != self._digest:
                raise _other_body(self._key.request_id)
            self.answered = await asyncio.shield(other[1])
        if self.answered is None:
            self._done = asyncio.get_running_loop().create_future()
            pending[self._key] = (self._digest, self._done)
        return self

    def keep(self, answered: Answered, identity: str) -> None:
        if identity == self._key.identity:
            self.answered = answered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._done is None:
            return
        del self._remembered.pending[self._key]
        self._done.set_result(self.answered)
        if self.answered is not None:
            self._remembered.put(self._key, self._digest, self.answered)


def _other_body(request_id: str) -> EchelonError:
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
        self._kept: OrderedDict[Key, tuple[bytes, Answered, int, float]] = OrderedDict()
        self.pending: dict[Key, tuple[bytes, asyncio.Future[Answered | None]]] = {}

    def turn(self, key: Key, digest: bytes) -> Turn:
        """The turn to ask under `key`, once nobody else does; what it ends with is kept.

        InvalidInputError where the key belongs to another body.
        """
        return _KeptTurn(self, key, digest)

    def get(self, key: Key, digest: bytes) -> Answered | None:
        """The outcome under `key`; InvalidInputError where it belongs to another body."""
        self._forget_old()
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] != digest:
            raise _other_body(key.request_id)
        return kept[1]

    def put(self, key: Key, digest: bytes, answered: Answered) -> None:
        """Keep `answered`, and forget the oldest where there is no room; one too large for all the room is not kept."""
        size = answered.bytes
        if size > self._max_bytes:
            return
        self._kept[key] = (digest, answered, size, monotonic())
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
