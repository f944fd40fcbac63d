"""One way from a call message to an outcome message, whichever RPC it came with."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from echelon.adapters import Call, Request
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
from echelon.server.model import ServedModel
from echelon.server.models import Models
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import call_from_proto, outcome_to_proto
from echelon.wire.rules import check

REMEMBER_S = 600.0


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
        check(message)
        size = message.ByteSize()
        self._admission.enter(size)
        try:
            if not message.request_id:
                return await self._ask(call, message, remaining_s)
            return await self._ask_once(call, message, peer(), remaining_s)
        finally:
            self._admission.leave(size)

    async def _ask_once(self, call: Call, message: pb.Call, peer: str, remaining_s: float | None) -> pb.Outcome:
        key = (peer, message.request_id)
        digest = _digest(call, message)
        known = self._remembered.get(key, digest)
        if known is not None:
            return known
        # Two copies of one request at the same time share one answer.
        pending = self._remembered.pending.get(key)
        if pending is not None:
            if pending[0] != digest:
                raise _other_body(message.request_id)
            outcome = await asyncio.shield(pending[1])
            if outcome is not None:
                return outcome
        done: asyncio.Future[pb.Outcome | None] = asyncio.get_running_loop().create_future()
        self._remembered.pending[key] = (digest, done)
        outcome = None
        try:
            outcome = await self._ask(call, message, remaining_s)
            self._remembered.put(key, digest, outcome)
            return outcome
        finally:
            self._remembered.pending.pop(key, None)
            done.set_result(outcome)

    async def _ask(self, call: Call, message: pb.Call, remaining_s: float | None) -> pb.Outcome:
        limit_s = self._limits.default_deadline_s
        deadline = monotonic() + (limit_s if remaining_s is None else min(remaining_s, limit_s))
        request = call_from_proto(call, message, deadline=deadline)
        # gRPC itself ends a call at its deadline; a timer is needed only for the budgets it knows nothing of.
        timed = remaining_s is None or message.HasField("budget")
        model = self._models.get(message.model)
        try:
            done = await (_within_budget(model, request) if timed else model.answer(request))
        except AdapterFailedError as error:
            # What the vendor's code said stays in the log.
            incident = self._guard.incident(error.__cause__ or error)
            raise AdapterFailedError(str(incident)) from None
        outcome = outcome_to_proto(done.returned, queue_us=done.queue_us, compute_us=done.compute_us)  # type: ignore[arg-type]  # checked by `answer`
        self._check_output(outcome)
        return outcome

    def _check_output(self, outcome: pb.Outcome) -> None:
        try:
            check(outcome)
        except InvalidInputError as error:
            raise OutputInvalidError(f"the model's answer breaks the contract: {error}") from None
        size, most = outcome.ByteSize(), self._limits.message_bytes
        if size > most:
            raise LimitExceededError(f"the model's answer has {size} bytes, a message at most {most}")


async def _within_budget(model: ServedModel, request: Request) -> Done:
    try:
        async with asyncio.timeout(request.remaining_s()):
            return await model.answer(request)
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
        """Keep `outcome`, and forget the oldest where there is no room."""
        size = outcome.ByteSize()
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
