"""Legal requests that careless code breaks down over.

Each wants an answer, a refusal, or an error that says what is wrong with it. They are golden requests with one thing
made odd, so that they get as far into the model as those did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from echelon.adapters.calls import Request, Sampling
from echelon.adapters.content import Kind, Part, Role, Text
from echelon.adapters.errors import EchelonError, OutputInvalidError
from echelon.conformance import contents
from echelon.conformance.findings import NotApplicableError, NotConformingError
from echelon.conformance.subject import Subject, is_fault

Case = tuple[str, Request]
"""A request, and what is odd about it."""
_SHORT = Sampling(seed=0, max_token_count=16)


async def empty(subject: Subject) -> str:
    """Requests with little or nothing in them."""
    return await _survive(subject, "empty requests", _empty, "say InvalidInputError where something is missing")


async def large(subject: Subject) -> str:
    """Requests as large as the contract allows."""
    fix = "say LimitExceededError for more than the model takes, before work begins"
    return await _survive(subject, "large requests", _large, fix)


async def broken(subject: Subject) -> str:
    """Media that do not hold what they say."""
    fix = "decode with part.array(), whose errors say what is wrong, or raise InvalidInputError"
    return await _survive(subject, "broken media", lambda bases: _odd_parts(bases, contents.broken), fix)


async def numbers(subject: Subject) -> str:
    """NaN, infinities, and numbers at the ends of their range."""
    fix = "say InvalidInputError for numbers that the model cannot take"
    # NaN in, NaN out: the server keeps it from getting further and says so.
    return await _survive(
        subject, "odd numbers", lambda bases: _odd_parts(bases, contents.odd_numbers), fix, fine=OutputInvalidError
    )


async def unicode(subject: Subject) -> str:
    """Scripts, control characters and marks of other programs."""
    return await _survive(subject, "unusual text", _texts, "take any text, or say InvalidInputError")


async def labels(subject: Subject) -> str:
    """Many labels, long ones, odd ones, one, and the same twice."""
    return await _survive(subject, "unusual labels", _labels, "choose one of the labels, however many there are")


async def _survive(
    subject: Subject,
    what: str,
    cases: Callable[[Sequence[Request]], Iterable[Case]],
    fix: str,
    *,
    fine: type[EchelonError] | tuple[()] = (),
) -> str:
    asked = answered = 0
    for name, request in cases(await _bases(subject)):
        reply = await subject.ask(request)
        asked += 1
        answered += not isinstance(reply, EchelonError)
        if isinstance(reply, EchelonError) and is_fault(reply) and not isinstance(reply, fine):
            raise NotConformingError(f"{request.call} with {name} got {await subject.told(reply)}", fix)
    if not asked:
        raise NotApplicableError(f"no kind that the card lists has {what}")
    await subject.expect_alive(what)
    return f"{asked} asked, {answered} answered" + (", the others refused with a reason" * (answered < asked))


async def _bases(subject: Subject) -> list[Request]:
    """Golden requests, and plain ones for kinds that no golden request has."""
    bases = [replace(found.request, sampling=_SHORT) for found in (await subject.golden()).found]
    for support in (await subject.card()).calls:
        there = {part.kind for base in bases if base.call is support.call for part in base.parts}
        bases += [
            Request(support.call, "Answer.", (contents.small(kind, 0),), sampling=_SHORT)
            for kind in contents.made_up(support.input_kinds)
            if kind not in there
        ]
    return bases


def _empty(bases: Sequence[Request]) -> Iterator[Case]:
    for call in dict.fromkeys(base.call for base in bases):
        yield "nothing at all", Request(call)
        yield "an instruction alone", Request(call, "Answer.")
    yield from _odd_parts(bases, contents.empty)
    for base in bases:
        yield "no instruction", replace(base, instruction="")
        exemplars = tuple(replace(part, role=Role.EXEMPLAR) for part in base.parts)
        yield "exemplars and nothing to do it with", replace(base, parts=exemplars)


def _large(bases: Sequence[Request]) -> Iterator[Case]:
    for base in _one_per_kind(bases):
        yield "an instruction of 64 KiB", replace(base, instruction="word " * 13_107)
        for kind in dict.fromkeys(part.kind for part in base.parts):
            part = contents.large(kind)
            if part is not None:
                yield f"a large {kind}", _with(base, part)
        if base.parts:
            yield f"256 parts, {base.parts[0].kind} first", replace(base, parts=(base.parts * 256)[:256])


def _texts(bases: Sequence[Request]) -> Iterator[Case]:
    for base in _one_per_kind(bases):
        for text in contents.ODD_TEXTS:
            yield f"the instruction {text[:24]!a}", replace(base, instruction=text)
            if any(part.kind is Kind.TEXT for part in base.parts):
                yield f"the text {text[:24]!a}", _with(base, Text(text))
            named = tuple(replace(part, name=text[:16]) for part in base.parts)
            yield f"parts named {text[:16]!a}", replace(base, parts=named)


def _labels(bases: Sequence[Request]) -> Iterator[Case]:
    sets = {
        "4096 labels of 256 letters": tuple(f"{number:0256}" for number in range(4096)),
        "one label": ("only",),
        "the same label twice": ("twice", "twice"),
        "labels of spaces and signs": (" ", "\n", "\u202e", "\u00e9", "e\u0301", "<b>", '"'),
    }
    for base in bases:
        for name, offered in sets.items():
            yield name, replace(base, labels=offered)


def _odd_parts(bases: Sequence[Request], odd: Callable[[Kind], Iterable[tuple[str, Part]]]) -> Iterator[Case]:
    """Each golden request with one of its parts odd."""
    for base in bases:
        for kind in dict.fromkeys(part.kind for part in base.parts):
            for name, part in odd(kind):
                yield name, _with(base, part)


def _with(base: Request, odd: Part) -> Request:
    """The request with `odd` in the place of its parts of that kind."""
    parts = [replace(odd, name=part.name, role=part.role) if part.kind is odd.kind else part for part in base.parts]
    return replace(base, parts=tuple(parts))


def _one_per_kind(bases: Sequence[Request]) -> list[Request]:
    """The first request of each call that has each kind."""
    first: dict[tuple[str, ...], Request] = {}
    for base in bases:
        first.setdefault((base.call, *(part.kind for part in base.parts)), base)
    return list(first.values())
