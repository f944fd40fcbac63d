"""Whether the same call gets the same answer: twice, and together with others."""

from __future__ import annotations

from echelon.adapters.calls import Answer
from echelon.adapters.errors import EchelonError
from echelon.conformance.difference import difference
from echelon.conformance.findings import NotApplicableError, NotConformingError
from echelon.conformance.subject import Reply, Subject

REPEATS = 3
TOGETHER = 24
"""Calls at once: enough for full batches, whatever runs first."""


async def determinism(subject: Subject) -> str:
    """The same call with the same seed gets the same bits."""
    await _expect_deterministic(subject)
    await subject.answered()
    golden = await subject.golden()
    for found in golden.found:
        for _ in range(REPEATS - 1):
            differs = difference(found.outcome, await subject.ask(found.request))
            if differs:
                raise NotConformingError(
                    f"the same {found.request.call} got another answer: {differs}",
                    "seed every generator from sampling.seed, or say deterministic=False on the card",
                )
    return f"{len(golden.found)} asked {REPEATS} times each"


async def batching(subject: Subject) -> str:
    """Calls that come together are answered as calls alone."""
    tolerance = subject.conformance.tolerance
    if not tolerance:
        await _expect_deterministic(subject)
    compared = 0
    for found in await subject.answered():
        different = [found.another(seed) for seed in range(TOGETHER // 3)]
        alone = [await subject.ask(request) for request in different]
        again = [await subject.ask(request) for request in different]
        if any(_differ(one, other, tolerance) for one, other in zip(alone, again, strict=True)):
            raise NotApplicableError("calls alone get different answers already; see the check determinism")
        together = await subject.ask_together(different * 3)
        for number, reply in enumerate(together):
            before = alone[number % len(different)]
            compared += not isinstance(before, EchelonError) and not isinstance(reply, EchelonError)
            differs = _differ(before, reply, tolerance)
            if differs:
                raise NotConformingError(
                    f"{found.request.call} among {TOGETHER} calls got another answer than alone: {differs}",
                    "answer requests in their order, each as if it came alone; or set --tolerance for rounding",
                )
    if not compared:
        raise NotApplicableError("no call was answered both alone and among others; see the check in-flight")
    return f"{compared} answers compared" + (f", to {tolerance:g}" if tolerance else ", to the bit")


async def in_flight(subject: Subject) -> str:
    """Many calls at once are all answered."""
    await subject.answered()
    golden = await subject.golden()
    answered = [found.request for found in golden.found if isinstance(found.outcome, Answer)]
    requests = [answered[number % len(answered)] for number in range(max(TOGETHER, len(answered)))]
    for request, reply in zip(requests, await subject.ask_all(requests), strict=True):
        if isinstance(reply, EchelonError):
            raise NotConformingError(
                f"of {len(requests)} calls at once, {request.call} got {await subject.told(reply)}",
                "let calls share nothing that they change; an AsyncAdapter is asked many times at once",
            )
    return f"{len(requests)} at once"


def _differ(one: Reply, other: Reply, tolerance: float) -> str:
    """How two answers differ; empty where either of them is none."""
    if isinstance(one, EchelonError) or isinstance(other, EchelonError):
        return ""
    return difference(one, other, tolerance)


async def _expect_deterministic(subject: Subject) -> None:
    if not (await subject.card()).deterministic:
        raise NotApplicableError("the card does not say deterministic")
