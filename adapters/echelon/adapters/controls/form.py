"""The form in which a control answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters.calls import Call
from echelon.adapters.card import CallSupport, Card, Composition
from echelon.adapters.content import Kind

if TYPE_CHECKING:
    from echelon.adapters.calls import Request

KINDS = tuple(Kind)
USUAL = {Call.COMPREHEND: Kind.TEXT, Call.GENERATE: Kind.IMAGE, Call.LANGUAGE: Kind.TEXT}
"""What each call answers with where the request leaves the kind open."""


def wanted(request: Request) -> Kind:
    """The kind to answer with: a choice where labels are offered, else the first that is allowed."""
    allowed = request.output_kinds or ((Kind.CHOICE,) if request.labels else (USUAL[request.call],))
    return Kind.CHOICE if request.labels and Kind.CHOICE in allowed else allowed[0]


def card(description: str) -> Card:
    """The card of a control that takes and gives everything."""
    calls = tuple(CallSupport(call, KINDS, KINDS) for call in Call)
    return Card("1", calls, description, deterministic=True, composition=Composition.SINGLE)
