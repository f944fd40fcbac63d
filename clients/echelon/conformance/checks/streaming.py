"""Whether a streamed answer comes whole and in order, is the one that is not streamed, and lets go in time."""

from __future__ import annotations

from dataclasses import replace

from echelon.adapters.calls import Answer, Call, Outcome, Refusal, Usage
from echelon.adapters.errors import EchelonError
from echelon.conformance.checks.timing import expect_in_time, expect_to_let_go
from echelon.conformance.difference import difference
from echelon.conformance.findings import NotApplicableError, NotConformingError
from echelon.conformance.golden import Found
from echelon.conformance.subject import Subject

STREAMED = (Call.GENERATE, Call.LANGUAGE)
"""The calls that have a streamed form; a model that lists one answers both forms of it."""


async def streaming(subject: Subject) -> str:
    """A streamed answer is whole, in order, the one that is not streamed, and given up in time."""
    founds = [found for found in await subject.answered() if found.request.call in STREAMED]
    if not founds:
        raise NotApplicableError("the card lists neither generate nor language")
    compared = _of_each_kind((await subject.golden()).found)
    for found in compared:
        await _expect_same(subject, found)
    slowest = 0.0
    for found in founds:
        what = f"{found.request.call} stream"
        slowest = max(slowest, await expect_to_let_go(subject, found.request, subject.stream, what))
        slowest = max(slowest, await expect_in_time(subject, found.request, subject.stream, what))
    calls = ", ".join(found.request.call for found in founds)
    same = "the same" if (await subject.card()).deterministic else "whole"
    return f"{calls}: {len(compared)} {same}, given up within {slowest:.2f} s"


def _of_each_kind(founds: list[Found]) -> list[Found]:
    """The first request that got an answer of those kinds, for each call that is streamed."""
    first: dict[object, Found] = {}
    for found in founds:
        if found.request.call in STREAMED and isinstance(found.outcome, Answer):
            first.setdefault((found.request.call, *(part.kind for part in found.outcome.parts)), found)
    return list(first.values())


async def _expect_same(subject: Subject, found: Found) -> None:
    """The client takes no stream whose events are out of order or do not add up, so that what it gives is whole."""
    call, reply = found.request.call, await subject.stream(found.request)
    if isinstance(reply, EchelonError):
        raise NotConformingError(f"a {call} stream ended with {await subject.told(reply)}", _FIXES[call])
    if not (await subject.card()).deterministic:
        return
    differs = difference(found.outcome, reply, subject.conformance.tolerance)
    # Parts are streamed without an outcome of their own, that could tell more than they do.
    if not differs and call is Call.LANGUAGE:
        differs = _closing_difference(found.outcome, reply)
    if differs:
        raise NotConformingError(
            f"a {call} stream gives another answer than the call: {differs}", "let both come from one piece of code"
        )


_FIXES = {
    Call.GENERATE: "yield every part of the answer from stream_generate, or return None from it",
    Call.LANGUAGE: "yield pieces of the text from stream_language and last the outcome, or return None from it",
}


def _closing_difference(first: Outcome, second: Outcome) -> str:
    """What else an outcome says: why it ends, and what it took but for the time."""
    if _counts(first.usage) != _counts(second.usage):
        return f"{_told(first.usage)}, then {_told(second.usage)}"
    if isinstance(first, Refusal) or isinstance(second, Refusal) or first.finish_reason is second.finish_reason:
        return ""
    return f"it ends as {first.finish_reason}, then as {second.finish_reason}"


def _counts(usage: Usage) -> Usage:
    return replace(usage, queue_us=0, compute_us=0)


def _told(usage: Usage) -> str:
    return f"{usage.input_token_count} tokens read and {usage.output_token_count} written"
