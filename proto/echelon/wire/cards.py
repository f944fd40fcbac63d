"""Cards and identities to protobuf and back."""

from __future__ import annotations

from dataclasses import asdict

from echelon.adapters.card import CallSupport, Card, Composition
from echelon.adapters.identity import COMPARED, Identity
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import CALL_KINDS, CALL_OF
from echelon.wire.parts import kinds_from_proto, kinds_to_proto

_COMPOSITIONS = {
    Composition.UNVERIFIED: pb.COMPOSITION_UNSPECIFIED,
    Composition.SINGLE: pb.COMPOSITION_SINGLE,
    Composition.ENSEMBLE: pb.COMPOSITION_ENSEMBLE,
    Composition.DISPATCHER: pb.COMPOSITION_DISPATCHER,
    Composition.AGENT: pb.COMPOSITION_AGENT,
}
_COMPOSITION_OF = {number: composition for composition, number in _COMPOSITIONS.items()}


def card_to_proto(card: Card) -> pb.Card:
    """The message for `card`."""
    return pb.Card(
        name=card.name,
        version=card.version,
        description=card.description,
        calls=[
            pb.CallSupport(
                call=CALL_KINDS[support.call],
                input_kinds=kinds_to_proto(support.input_kinds),
                output_kinds=kinds_to_proto(support.output_kinds),
            )
            for support in card.calls
        ],
        deterministic=card.deterministic,
        weights_digest=card.weights_digest,
        engine=card.engine,
        precision=card.precision,
        device=card.device,
        frame_sampling=card.frame_sampling,
        composition=_COMPOSITIONS[card.composition],
        max_batch_size=card.max_batch_size,
    )


def card_from_proto(message: pb.Card) -> Card:
    """The card in a message; calls of a newer peer that are unknown here are left out."""
    return Card(
        message.version,
        tuple(
            CallSupport(
                CALL_OF[support.call],
                kinds_from_proto(support.input_kinds),
                kinds_from_proto(support.output_kinds),
            )
            for support in message.calls
            if support.call in CALL_OF
        ),
        message.description,
        message.deterministic,
        message.weights_digest,
        message.engine,
        message.precision,
        message.device,
        message.frame_sampling,
        _COMPOSITION_OF.get(message.composition, Composition.UNVERIFIED),
        message.name,
        message.max_batch_size,
    )


def identity_to_proto(identity: Identity) -> pb.Identity:
    """The message for `identity`."""
    return pb.Identity(**asdict(identity))


def identity_from_proto(message: pb.Identity) -> Identity:
    """The identity in a message."""
    compared = {name: getattr(message, name) for name in COMPARED}
    return Identity(digest=message.digest, unverified=tuple(message.unverified), **compared)
