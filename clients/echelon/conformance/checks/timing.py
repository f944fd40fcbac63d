"""Whether the model lets go in time: of calls that are cancelled, and of calls that are late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic

from echelon.adapters.calls import Answer, Refusal, Request
from echelon.adapters.errors import BudgetExceededError, EchelonError
from echelon.conformance.findings import NotConformingError
from echelon.conformance.subject import Subject

SLACK_S = 1.0
BUDGETS_S = (0.5, 0.01)
_TRIES = 3
"""A busy machine may be late once; a model that does not let go is late every time."""
_LONG_TOKENS = 8192
_UNDER_WAY_S = 0.3


async def cancellation(subject: Subject) -> str:
    """A call that nobody waits for any more makes room within a second."""
    longest = 0.0
    for found in await subject.answered():
        quick = found.request
        usual_s = await _usual_s(subject, quick)

        async def late_s(quick: Request = quick, usual_s: float = usual_s) -> float:
            call = asyncio.create_task(subject.ask(_long(quick)))
            await asyncio.wait({call}, timeout=_UNDER_WAY_S)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            started = monotonic()
            await subject.ask(quick)
            return monotonic() - started - usual_s

        waited = await _least(late_s)
        longest = max(longest, waited)
        if waited > SLACK_S:
            raise NotConformingError(
                f"{waited:.1f} s after a long {quick.call} was cancelled, the model was not free for the next call",
                "look at request.cancellation between steps, and return as soon as it is true",
            )
    return f"free again within {max(longest, 0):.2f} s"


async def deadlines(subject: Subject) -> str:
    """A call is answered, or ended as late, when its budget is over."""
    longest = 0.0
    for found in await subject.answered():
        for budget_s in BUDGETS_S:

            async def over_s(request: Request = found.request, budget_s: float = budget_s) -> float:
                started = monotonic()
                reply = await subject.ask(replace(_long(request), deadline=started + budget_s))
                if isinstance(reply, EchelonError) and not isinstance(reply, BudgetExceededError):
                    raise NotConformingError(
                        f"{request.call} with a budget of {budget_s:g} s got {await subject.told(reply)}",
                        "answer as ever; the server ends what is late",
                    )
                return monotonic() - started - budget_s

            over = await _least(over_s)
            longest = max(longest, over)
            if over > SLACK_S:
                raise NotConformingError(
                    f"{found.request.call} with a budget of {budget_s:g} s took {over:.1f} s longer",
                    "never block the event loop of an AsyncAdapter; look at request.remaining_s()",
                )
    await _settle(subject)
    return f"at most {max(longest, 0):.2f} s late"


def _long(request: Request) -> Request:
    """The same with room for a long answer."""
    return replace(request, sampling=replace(request.sampling, max_token_count=_LONG_TOKENS))


async def _usual_s(subject: Subject, request: Request) -> float:
    times = []
    for _ in range(3):
        started = monotonic()
        reply = await subject.ask(request)
        if isinstance(reply, Answer | Refusal):
            times.append(monotonic() - started)
    return max(times, default=0.0)


async def _least(measure: Callable[[], Awaitable[float]]) -> float:
    least = float("inf")
    for _ in range(_TRIES):
        least = min(least, await measure())
        if least <= SLACK_S:
            break
    return least


async def _settle(subject: Subject) -> None:
    """Wait until the model is done with what has been given up."""
    await subject.ask((await subject.answered())[0].request)
