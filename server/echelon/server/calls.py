"""One way from a call message to an outcome message, whichever RPC it came with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic

from echelon.adapters import Answer, Call, Card, Part, Request
from echelon.adapters.errors import (
    AdapterFailedError,
    BudgetExceededError,
    InvalidInputError,
    LimitExceededError,
    OutputInvalidError,
)
from echelon.rpc.admission import Admission
from echelon.rpc.config import Limits
from echelon.rpc.guard import Guard
from echelon.server.batcher import Done
from echelon.server.deadlines import Deadlines
from echelon.server.models import Models
from echelon.server.output import check_outcome
from echelon.server.remembered import Remembered, digest_of, other_body
from echelon.server.stream import Slices, events
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import call_from_proto, outcome_to_proto
from echelon.wire.rules import check

ENVELOPE_BYTES = 64
"""What a message adds to its outcome at most."""


class Calls:
    """Validates, admits, remembers, asks and converts."""

    def __init__(self, models: Models, admission: Admission, guard: Guard, limits: Limits) -> None:
        self._models = models
        self._admission = admission
        self._guard = guard
        self._limits = limits
        self._deadlines = Deadlines()
        self._remembered = Remembered(limits.remembered_calls, limits.remembered_bytes)

    async def answer(
        self, call: Call, message: pb.Call, peer: Callable[[], str], remaining_s: float | None
    ) -> pb.Outcome:
        """The outcome of `message` from `peer`, who waits `remaining_s`; an EchelonError raised here may be shown."""
        size = message.ByteSize()
        self._admission.enter(size)
        try:
            check(message)
            request = self._request(call, message, remaining_s)
            deadline = request.deadline
            assert deadline is not None
            # gRPC itself ends a call at its deadline; a timer is needed only for what it knows nothing of.
            timed = remaining_s is None or remaining_s > self._limits.default_deadline_s or message.HasField("budget")
            answering = self._ask_once(request, message, peer) if request.id else self._ask(request, message.model)
            return await (self._deadlines.keep(deadline, answering) if timed else answering)
        finally:
            self._admission.leave(size)

    async def stream(
        self, message: pb.Call, peer: Callable[[], str], remaining_s: float | None
    ) -> AsyncGenerator[pb.StreamGenerateResponse]:
        """The events of a generation: part by part where the adapter streams, else of the whole outcome."""
        size = message.ByteSize()
        self._admission.enter(size)
        try:
            check(message)
            request = self._request(Call.GENERATE, message, remaining_s)
            async with asyncio.timeout(request.remaining_s()):
                model = self._models.get(message.model)
                parts = await model.stream(request)
                if parts is None:
                    asking = self._ask_once(request, message, peer) if request.id else self._ask(request, message.model)
                    for event in events(await asking):
                        yield event
                else:
                    async with aclosing(self._stream(parts, request, model.card)) as streamed:
                        async for event in streamed:
                            yield event
        except TimeoutError:
            raise BudgetExceededError("no answer within the call's budget") from None
        finally:
            self._admission.leave(size)

    async def _stream(
        self, parts: AsyncGenerator[Part], request: Request, card: Card
    ) -> AsyncGenerator[pb.StreamGenerateResponse]:
        slices = Slices()
        whole = pb.Outcome(answer=pb.Answer(finish_reason=pb.FINISH_REASON_COMPLETE))
        size, started = 0, monotonic()
        async with aclosing(parts) as opened:
            try:
                async for part in opened:
                    checked = self._to_message(Done(Answer((part,)), 0, 0), request, card)
                    size = self._check_size(size + checked.ByteSize())
                    for event in slices.part(checked.answer.parts[0]):
                        yield event
            except AdapterFailedError as error:
                raise self._hidden(error) from None
        if not size:
            raise OutputInvalidError("the adapter streamed no part")
        whole.usage.compute_us = int((monotonic() - started) * 1e6)
        yield slices.end(whole)

    def _request(self, call: Call, message: pb.Call, remaining_s: float | None) -> Request:
        limit_s = self._limits.default_deadline_s
        deadline = monotonic() + (limit_s if remaining_s is None else min(remaining_s, limit_s))
        return call_from_proto(call, message, deadline=deadline)

    async def _ask_once(self, request: Request, message: pb.Call, peer: Callable[[], str]) -> pb.Outcome:
        # A retry has less time left, and is the same request all the same.
        message.ClearField("budget")
        key, digest = (peer(), request.id), digest_of(request.call, message)
        known = self._remembered.get(key, digest)
        # Copies of one request at the same time share one answer; where the first gets none, the next one asks.
        while known is None and (pending := self._remembered.pending.get(key)) is not None:
            if pending[0] != digest:
                raise other_body(request.id)
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
            raise self._hidden(error) from None
        outcome = self._to_message(done, request, model.card)
        self._check_size(outcome.ByteSize() + ENVELOPE_BYTES)
        return outcome

    def _hidden(self, error: AdapterFailedError) -> AdapterFailedError:
        # What the vendor's code said stays in the log.
        return AdapterFailedError(str(self._guard.incident(error.__cause__ or error)))

    def _check_size(self, size: int) -> int:
        most = self._limits.message_bytes
        if size > most:
            raise LimitExceededError(f"the model's answer has {size} bytes, a message at most {most}")
        return size

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
