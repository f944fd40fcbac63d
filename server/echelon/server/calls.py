"""One way from a call message to an outcome message, whichever RPC it came with."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

from echelon.adapters import Call, Card, Request
from echelon.adapters.errors import (
    AdapterFailedError,
    BudgetExceededError,
    EchelonError,
    InvalidInputError,
    LimitExceededError,
    OutputInvalidError,
)
from echelon.rpc.admission import Admission
from echelon.rpc.config import Limits
from echelon.rpc.guard import Guard
from echelon.server.batcher import Done
from echelon.server.models import Models
from echelon.server.output import check_outcome
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import call_from_proto, outcome_to_proto
from echelon.wire.rules import check

REMEMBER_S = 600.0
ENVELOPE_BYTES = 64
"""What a message adds to its outcome at most."""


class Calls:
    """Validates, admits, remembers, asks and converts."""

    def __init__(self, models: Models, admission: Admission, guard: Guard, limits: Limits) -> None:
        self._models = models
        self._admission = admission
        self._guard = guard
        self._limits = limits
        self._remembered = Remembered(limits.remembered_calls, limits.remembered_bytes)

    async def answer(
        self, call: Call, message: pb.Call, peer: Callable[[], str], remaining_s: float | None
    ) -> pb.Outcome:
        """The outcome of `message` from `peer`, who waits `remaining_s`; an EchelonError raised here may be shown."""
        size = message.ByteSize()
        self._admission.enter(size)
        try:
            check(message)
            limit_s = self._limits.default_deadline_s
            deadline = monotonic() + (limit_s if remaining_s is None else min(remaining_s, limit_s))
            request = call_from_proto(call, message, deadline=deadline)
            # gRPC itself ends a call at its deadline; a timer is needed only for what it knows nothing of.
            timed = remaining_s is None or remaining_s > limit_s or message.HasField("budget")
            answering = self._ask_once(request, message, peer) if request.id else self._ask(request, message.model)
            return await (_within_budget(answering, request) if timed else answering)
        finally:
            self._admission.leave(size)

    async def _ask_once(self, request: Request, message: pb.Call, peer: Callable[[], str]) -> pb.Outcome:
        # A retry has less time left, and is the same request all the same.
        message.ClearField("budget")
        key, digest = (peer(), request.id), _digest(request.call, message)
        known = self._remembered.get(key, digest)
        # Copies of one request at the same time share one answer; where the first gets none, the next one asks.
        while known is None and (pending := self._remembered.pending.get(key)) is not None:
            if pending[0] != digest:
                raise _other_body(request.id)
            known = await asyncio.shield(pending[1])
        if known is not None:
            return known
        done: asyncio.Future[pb.Outcome | None] = asyncio.get_running_loop().create_future()
        self._remembered.pending[key] = (digest, done)
        outcome = None
        try:
            outcome = await self._ask(request, message.model)
            self._remembered.put(key, digest, outcome)
            return outcome
        finally:
            del self._remembered.pending[key]
            done.set_result(outcome)

    async def _ask(self, request: Request, name: str) -> pb.Outcome:
        model = self._models.get(name)
        if request.deadline is not None and request.deadline <= monotonic():
            raise BudgetExceededError("the call's deadline passed before the model was asked")
        try:
            done = await model.answer(request)
        except AdapterFailedError as error:
            # What the vendor's code said stays in the log.
            incident = self._guard.incident(error.__cause__ or error)
            raise AdapterFailedError(str(incident)) from None
        outcome = self._to_message(done, request, model.card)
        size, most = outcome.ByteSize() + ENVELOPE_BYTES, self._limits.message_bytes
        if size > most:
            raise LimitExceededError(f"the model's answer has {size} bytes, a message at most {most}")
        return outcome

    def _to_message(self, done: Done, request: Request, card: Card) -> pb.Outcome:
        try:
            returned = check_outcome(done.returned, request, card)
            outcome = outcome_to_proto(returned, queue_us=done.queue_us, compute_us=done.compute_us)
            check(outcome)
            return outcome
        except OutputInvalidError:
            raise
        except InvalidInputError as error:
            raise OutputInvalidError(f"the model's answer breaks the contract: {error}") from None
        # Anything may stand in the fields of what a vendor's code built.
        except Exception as error:  # noqa: BLE001  (see above)
            incident = self._guard.incident(error)
            raise OutputInvalidError(f"the model's answer has a field of a wrong type; {incident}") from None


async def _within_budget(answering: Awaitable[pb.Outcome], request: Request) -> pb.Outcome:
    try:
        async with asyncio.timeout(request.remaining_s()):
            return await answering
    except TimeoutError:
        raise BudgetExceededError("no answer within the call's budget") from None


def _digest(call: Call, message: pb.Call) -> bytes:
    return hashlib.blake2b(message.SerializeToString(deterministic=True), digest_size=16, key=call.encode()).digest()


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
        self._kept: OrderedDict[tuple[str, str], tuple[bytes, pb.Outcome, int, float]] = OrderedDict()
        self.pending: dict[tuple[str, str], tuple[bytes, asyncio.Future[pb.Outcome | None]]] = {}

    def get(self, key: tuple[str, str], digest: bytes) -> pb.Outcome | None:
        """The outcome under `key`; InvalidInputError where it belongs to another body."""
        self._forget_old()
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] != digest:
            raise _other_body(key[1])
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
