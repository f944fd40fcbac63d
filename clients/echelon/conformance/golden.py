"""Golden requests: well-formed, small, and answered; found by asking."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from echelon.adapters.calls import Answer, Call, Outcome, Refusal, Request, Sampling
from echelon.adapters.card import CallSupport, Card
from echelon.adapters.content import Kind
from echelon.adapters.errors import EchelonError
from echelon.conformance.contents import LABELS, made_up, small

LABELLED = (Kind.CHOICE, Kind.MASK, Kind.BOXES)
"""Kinds whose answers are chosen from labels."""
SAMPLING = Sampling(seed=7, temperature=0.0, max_token_count=64)

Ask = Callable[[Request], Awaitable[Outcome | EchelonError]]


@dataclass(frozen=True, slots=True)
class Form:
    """What a made-up request looks like, whatever is in it."""

    call: Call
    inputs: tuple[Kind, ...]
    output: Kind
    labelled: bool
    """Whether the answer is to be one of some labels."""

    def request(self, seed: int = 0) -> Request:
        """A request of this form; the same seed makes the same request."""
        labels = LABELS if self.labelled else ()
        parts = tuple(small(kind, seed) for kind in self.inputs)
        return Request(self.call, _INSTRUCTIONS[self.call], parts, (self.output,), labels, SAMPLING)


_INSTRUCTIONS = {
    Call.COMPREHEND: "What do you make of this?",
    Call.GENERATE: "Make something that goes with this.",
    Call.LANGUAGE: "Answer in one sentence.",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A request that got an outcome; `form` is None where the vendor gave the request."""

    request: Request
    form: Form | None
    outcome: Outcome

    def another(self, seed: int) -> Request:
        """The same request with other content, where it was made up here."""
        return self.request if self.form is None else self.form.request(seed)


@dataclass
class Golden:
    """What was asked in search of answers, and what came back."""

    found: list[Found] = field(default_factory=list)
    missing: list[tuple[Call, str, EchelonError]] = field(default_factory=list)
    """What the card lists and no request got an answer for, as "takes image", and the first error."""
    asked: int = 0

    def one_per_call(self) -> list[Found]:
        """The first that was answered, of each call."""
        first: dict[Call, Found] = {}
        for found in self.found:
            if isinstance(found.outcome, Answer):
                first.setdefault(found.request.call, found)
        return list(first.values())


async def find_golden(card: Card, ask: Ask, given: tuple[Request, ...]) -> Golden:
    """For each call of the card, ask until each of its kinds has been taken and given once, or nothing is left."""
    golden = Golden()
    for support in card.calls:
        await _find(support, ask, [request for request in given if request.call is support.call], golden)
    return golden


async def _find(support: CallSupport, ask: Ask, given: list[Request], golden: Golden) -> None:
    left = {f"takes {kind}" for kind in made_up(support.input_kinds)}
    left |= {f"gives {kind}" for kind in support.output_kinds}
    errors: dict[str, EchelonError] = {}
    for request, form in _candidates(support, given):
        meant = _covers(request) & left
        if not meant and form is not None:
            continue
        reply = await ask(request)
        golden.asked += 1
        if isinstance(reply, EchelonError):
            # The first, of the plainest request, tells most.
            errors = dict.fromkeys(meant, reply) | errors
            continue
        golden.found.append(Found(request, form, reply))
        left -= meant if isinstance(reply, Refusal) else _covers(request) | {f"gives {p.kind}" for p in reply.parts}
    never = EchelonError("none of the requests was for it")
    golden.missing += [(support.call, what, errors.get(what, never)) for what in sorted(left)]


def _covers(request: Request) -> set[str]:
    """The kinds that an answer to this request shows to be taken and given."""
    # An instruction is text too, for a model that takes nothing else.
    taken = {f"takes {part.kind}" for part in request.parts} or {f"takes {Kind.TEXT}"}
    return taken | {f"gives {kind}" for kind in request.output_kinds}


def _candidates(support: CallSupport, given: list[Request]) -> Iterator[tuple[Request, Form | None]]:
    """The vendor's requests, then ours: a part, a part and a text, a part of every kind, the instruction alone."""
    yield from ((request, None) for request in given)
    inputs = tuple(made_up(support.input_kinds))
    together: list[tuple[Kind, ...]] = [(kind,) for kind in inputs]
    if Kind.TEXT in inputs:
        together += [(kind, Kind.TEXT) for kind in inputs if kind is not Kind.TEXT]
    if len(inputs) > 1:
        together.append(inputs)
    together.append(())
    for kinds in together:
        for output in support.output_kinds:
            for labelled in (True, False) if output in LABELLED else (False,):
                form = Form(support.call, kinds, output, labelled)
                yield form.request(), form
