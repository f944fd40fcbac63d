"""One way from a call message to an outcome message, whichever RPC it came with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from echelon.adapters import Answer, Call, Card, EchelonError, Outcome, Part, Request, Usage
from echelon.adapters.calls import NO_USAGE
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
from echelon.server.contents import Contents
from echelon.server.deadlines import Deadlines
from echelon.server.model import ServedModel
from echelon.server.models import Models
from echelon.server.output import check_outcome
from echelon.server.remembered import Answered, Key, Remembered, Turn, digest_of
from echelon.server.stream import EVENTS
from echelon.server.threads import in_thread
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import NO_REFS, Refs, call_from_proto, call_to_proto, outcome_from_proto, outcome_to_proto
from echelon.wire.contents import LARGE_BYTES, payload_of, reference
from echelon.wire.parts import NO_CONTENTS
from echelon.wire.rules import check

Send = Callable[[Any], Awaitable[None]]
ENVELOPE_BYTES = 64
"""What a message adds to its outcome at most."""


class Calls:
    """Validates, admits, remembers, asks and converts."""

    def __init__(self, models: Models, admission: Admission, guard: Guard, limits: Limits, contents: Contents) -> None:
        self._models = models
        self._contents = contents
        self._admission = admission
        self._guard = guard
        self._limits = limits
        self._deadlines = Deadlines()
        self._remembered = Remembered(limits.remembered_calls, limits.remembered_bytes)

    async def answer(
        self, call: Call, message: pb.Call, peer: Callable[[], str], remaining_s: float | None
    ) -> pb.Outcome:
        """The outcome of `message` from `peer`, who waits `remaining_s`; an EchelonError raised here may be shown."""
        with self._admission.place(_size(message)):
            check(message)
            request = self._request(call, message, peer, remaining_s)
            deadline = request.deadline
            assert deadline is not None
            # gRPC itself ends a call at its deadline; a timer is needed only for what it knows nothing of.
            timed = remaining_s is None or remaining_s > self._limits.default_deadline_s or message.HasField("budget")
            answering = self._ask_once(request, message, peer) if request.id else self._ask(request, message)
            answered = await (self._deadlines.keep(deadline, answering) if timed else answering)
            if answered.contents:
                self._contents.keep(peer(), answered.contents)
            return answered.outcome

    async def ask(self, model: str, make: Callable[[], Request], size: int, remaining_s: float | None) -> Outcome:
        """The outcome of a request that came as `size` bytes of another protocol; all else is as in `answer`."""
        with self._admission.place(size):
            request = replace(make(), deadline=self._deadline(remaining_s))
            # Everything but the data is checked as in a message of ours.
            message = call_to_proto(model, request, _stand_ins(request.parts))
            message.accepts_content_refs = True
            check(message)
            assert request.deadline is not None
            answered = await self._deadlines.keep(request.deadline, self._ask(request, message))
            return outcome_from_proto(answered.outcome, answered.contents)

    async def stream(
        self, call: Call, message: pb.Call, peer: Callable[[], str], remaining_s: float | None, send: Send
    ) -> None:
        """Send the events of a call's outcome: piece by piece where the adapter streams, else of the whole.

        The call's time includes the sending, so that a reader who does not read holds nothing for longer.
        """
        with self._admission.place(_size(message)):
            check(message)
            request = self._request(call, message, peer, remaining_s)
            model, sent = self._models.get(message.model), 0
            try:
                async with (
                    asyncio.timeout(request.remaining_s()),
                    self._turn(request, message, peer) as turn,
                    aclosing(self._events(turn, request, model)) as events,
                ):
                    async for event in events:
                        sent = self._check_size(sent + event.ByteSize())
                        await send(event)
            except TimeoutError:
                raise BudgetExceededError("no answer within the call's budget") from None
            except AdapterFailedError as error:
                raise self._hidden(error) from None

    async def _events(self, turn: Turn, request: Request, model: ServedModel) -> AsyncGenerator[Any]:
        def checked(returned: Any) -> pb.Outcome:
            return self._to_message(Done(returned, 0, 0), request, model.card)

        events, answered = EVENTS[request.call](), turn.answered
        if answered is None:
            async with aclosing(model.stream(request)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Done):
                        answered = Answered(self._to_message(piece, request, model.card))
                    else:
                        for event in events.piece(piece, checked):
                            yield event
            model.identity.expect(request.expected_identity)
        assert answered is not None
        turn.keep(answered, model.identity.current.digest)
        try:
            for event in events.end(answered.whole()):
                yield event
        except OutputInvalidError as error:
            turn.answered = None
            raise OutputInvalidError(f"{error}; {self._guard.incident(error)}") from None

    def _request(self, call: Call, message: pb.Call, peer: Callable[[], str], remaining_s: float | None) -> Request:
        refs = [part.content_ref for part in message.parts if part.HasField("content_ref")]
        contents = self._contents.resolve(peer(), refs) if refs else NO_CONTENTS
        return call_from_proto(call, message, deadline=self._deadline(remaining_s), contents=contents)

    def _deadline(self, remaining_s: float | None) -> float:
        limit_s = self._limits.default_deadline_s
        return monotonic() + (limit_s if remaining_s is None else min(remaining_s, limit_s))

    def _turn(self, request: Request, message: pb.Call, peer: Callable[[], str]) -> Turn:
        model = self._models.get(message.model)
        model.identity.expect(request.expected_identity)
        # A retry has less time left, and is the same request all the same; which model it expects has been seen to.
        message.ClearField("budget")
        message.ClearField("expected_identity")
        key = Key(peer(), request.id, model.identity.current.digest)
        return self._remembered.turn(key, digest_of(request.call, message)) if request.id else Turn()

    async def _ask_once(self, request: Request, message: pb.Call, peer: Callable[[], str]) -> Answered:
        async with self._turn(request, message, peer) as turn:
            if turn.answered is not None:
                return turn.answered
            answered = await self._ask(request, message)
            turn.keep(answered, self._models.get(message.model).identity.current.digest)
            return answered

    async def _ask(self, request: Request, message: pb.Call) -> Answered:
        model = self._models.get(message.model)
        if request.deadline is not None and request.deadline <= monotonic():
            raise BudgetExceededError("the call's deadline passed before the model was asked")
        model.identity.expect(request.expected_identity)
        try:
            done = await model.answer(request)
        except AdapterFailedError as error:
            raise self._hidden(error) from None
        model.identity.expect(request.expected_identity)
        large = _large(done.returned) if message.accepts_content_refs else {}
        refs = await in_thread(partial(_references, large), "digests") if large else NO_REFS
        try:
            outcome = self._to_message(done, request, model.card, refs)
            self._check_size(outcome.ByteSize() + ENVELOPE_BYTES)
        except EchelonError as error:
            error.usage = _usage(done)
            raise
        return Answered(outcome, {ref.sha256: large[index] for index, ref in refs.items()})

    def _hidden(self, error: AdapterFailedError) -> AdapterFailedError:
        # What the vendor's code said stays in the log.
        return AdapterFailedError(str(self._guard.incident(error.__cause__ or error)))

    def _check_size(self, size: int) -> int:
        most = self._limits.message_bytes
        if size > most:
            raise LimitExceededError(f"the model's answer has {size} bytes, a message at most {most}")
        return size

    def _to_message(self, done: Done, request: Request, card: Card, refs: Refs = NO_REFS) -> pb.Outcome:
        try:
            returned = check_outcome(done.returned, request, card)
            outcome = outcome_to_proto(returned, queue_us=done.queue_us, compute_us=done.compute_us, refs=refs)
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


def _usage(done: Done) -> Usage:
    """What an outcome took that cannot be sent: it is paid for all the same."""
    said = getattr(done.returned, "usage", None)
    told = said if isinstance(said, Usage) else NO_USAGE
    return replace(told, queue_us=done.queue_us, compute_us=done.compute_us)


def _size(message: pb.Call) -> int:
    """What a call takes of memory, its contents included."""
    return message.ByteSize() + sum([max(part.content_ref.size_bytes, 0) for part in message.parts])


def _large(returned: Any) -> dict[int, bytes]:
    """The data of an answer's parts that had better travel by itself, by the parts' places."""
    if not isinstance(returned, Answer) or not isinstance(returned.parts, tuple | list):
        return {}
    payloads = ((index, payload_of(part)) for index, part in enumerate(returned.parts) if isinstance(part, Part))
    return {index: data for index, data in payloads if isinstance(data, bytes) and len(data) >= LARGE_BYTES}


def _stand_ins(parts: tuple[Part, ...]) -> Refs:
    sizes = {index: len(payload_of(part)) for index, part in enumerate(parts)}
    return {index: content_pb2.ContentRef(sha256=bytes(32), size_bytes=size) for index, size in sizes.items() if size}


def _references(large: dict[int, bytes]) -> Refs:
    return {index: reference(data) for index, data in large.items()}
