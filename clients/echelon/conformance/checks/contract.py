"""What nobody may ask, sent past the client's own rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from echelon.adapters.calls import Call, Request
from echelon.adapters.card import Card
from echelon.adapters.content import Kind, Text
from echelon.adapters.errors import EchelonError, IdentityChangedError, UnsupportedError
from echelon.conformance.contents import made_up, small
from echelon.conformance.findings import NotConformingError
from echelon.conformance.subject import Subject
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.status import from_rpc_error

_REJECTED = "REQUEST_INVALID"
_ANOTHER_MODEL = "sha256:" + "0" * 64
_UNKNOWN_FIELD = b"\xfa\x07\x03new"
"""Field 127 of a message, which no version of the contract has."""


async def contract(subject: Subject) -> str:
    """What the card does not list, and what the contract forbids, is refused with a word that says so."""
    card = await subject.card()
    refused = await _refused_for_another_model(subject)
    for what, request in _uncarded(card):
        reply = await subject.ask(request)
        if not isinstance(reply, UnsupportedError):
            raise NotConformingError(
                f"{what} got {await subject.said(reply)}, not {UnsupportedError.reason}",
                "the server has to refuse what the card does not list",
            )
        refused += 1
    for what, message in _forbidden(subject.model):
        error = await _send(subject, message)
        if error is None or error.reason != _REJECTED:
            raise NotConformingError(
                f"{what} got {'an answer' if error is None else error.reason}, not {_REJECTED}",
                "the server has to hold each message against the contract's rules before the model sees it",
            )
        refused += 1
    return f"{refused} refused"


async def _refused_for_another_model(subject: Subject) -> int:
    """The number of calls that were refused because they expect another model; a server without identities has none."""
    info = await subject.info()
    support = next(iter(info.card.calls), None)
    if info.identity is None or support is None:
        return 0
    parts = tuple(small(kind, 0) for kind in made_up(support.input_kinds)[:1])
    reply = await subject.ask(Request(support.call, "Answer.", parts, expected_identity=_ANOTHER_MODEL))
    if not isinstance(reply, IdentityChangedError):
        raise NotConformingError(
            f"a call that expects another model got {await subject.said(reply)}, not {IdentityChangedError.reason}",
            "a server that tells an identity has to refuse calls whose expected_identity is not its digest",
        )
    return 1


def _uncarded(card: Card) -> Iterator[tuple[str, Request]]:
    """A call of each kind that the card does not list."""
    for call in Call:
        support = card.support(call)
        if support is None:
            yield f"{call}, which is not on the card,", Request(call, "Answer.", (Text("Hello."),))
            continue
        parts = tuple(small(kind, 0) for kind in made_up(support.input_kinds)[:1])
        for kind in made_up(Kind):
            if kind not in support.input_kinds:
                yield f"{kind} given to {call}, which is not on the card,", Request(call, "Answer.", (small(kind, 0),))
            if kind not in support.output_kinds:
                yield f"{kind} wanted of {call}, which is not on the card,", Request(call, "Answer.", parts, (kind,))


def _forbidden(model: str) -> Iterator[tuple[str, pb.Call]]:
    """Messages that break the contract's rules."""
    hollow = pb.Call(model=model)
    hollow.parts.add()
    yield "a part that holds nothing", hollow
    unknown = pb.Call(model=model)
    unknown.parts.add().MergeFromString(_UNKNOWN_FIELD)
    yield "a part of an unknown kind", unknown
    yield "an unknown kind of output", pb.Call(model=model, output_kinds=[99])  # type: ignore[list-item]  # the point
    yield "more labels than the contract allows", pb.Call(model=model, labels=["label"] * 4097)
    yield "more parts than the contract allows", pb.Call(model=model, parts=[_text("x")] * 257)
    yield "a longer instruction than the contract allows", pb.Call(model=model, instruction="x" * 65_537)
    yield "a label without letters", pb.Call(model=model, labels=[""])
    cold = pb.Call(model=model)
    cold.sampling.temperature = -1
    yield "a negative temperature", cold
    odd = pb.Call(model=model)
    odd.parts.add().tensor.data_type = 99  # type: ignore[assignment]  # the point
    yield "a tensor of an unknown type", odd
    short = pb.Call(model=model)
    tensor = short.parts.add().tensor
    tensor.data_type, tensor.data = 1, b"123"  # type: ignore[assignment]  # any that there is
    tensor.shape.append(1000)
    yield "a tensor with fewer bytes than its shape takes", short


def _text(value: str) -> Any:
    from echelon.v1 import content_pb2

    part = content_pb2.Part()
    part.text.value = value
    return part


async def _send(subject: Subject, message: pb.Call) -> EchelonError | None:
    """The error that the message gets; None for an answer."""
    options = subject.client.options
    async with options.channel(subject.address) as channel:
        stub: Any = pb_grpc.ModelServiceStub(channel)
        card = await subject.card()
        method, request = _METHODS[card.calls[0].call if card.calls else Call.COMPREHEND]
        try:
            await getattr(stub, method)(
                request(call=message), timeout=subject.conformance.timeout_s, metadata=options.metadata()
            )
        except grpc.RpcError as error:
            return from_rpc_error(error)
    return None


_METHODS: dict[Call, tuple[str, Any]] = {
    Call.COMPREHEND: ("Comprehend", pb.ComprehendRequest),
    Call.GENERATE: ("Generate", pb.GenerateRequest),
    Call.LANGUAGE: ("Language", pb.LanguageRequest),
}
