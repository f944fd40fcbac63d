"""Whether the model lets go in time: of calls that are cancelled, and of calls that are late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from time import monotonic
from typing import Any

from echelon.adapters.calls import Answer, Refusal, Request
from echelon.adapters.errors import BudgetExceededError, EchelonError
from echelon.conformance.findings import NotConformingError
from echelon.conformance.subject import Reply, Subject

SLACK_S = 1.0
BUDGETS_S = (0.5, 0.01)
_TRIES = 3
"""A busy machine may be late once; a model that does not let go is late every time."""
_LONG_TOKENS = 8192
_UNDER_WAY_S = 0.3

Ask = Callable[[Request], Coroutine[Any, Any, Reply]]
"""A way to ask."""


async def cancellation(subject: Subject) -> str:
    """A call that nobody waits for any more makes room within a second."""
    longest = 0.0
    for found in await subject.answered():
        request = found.request
        longest = max(longest, await expect_to_let_go(subject, request, subject.ask, request.call))
    return f"free again within {longest:.2f} s"


async def deadlines(subject: Subject) -> str:
    """A call is answered, or ended as late, when its budget is over."""
    longest = 0.0
    for found in await subject.answered():
        request = found.request
        longest = max(longest, await expect_in_time(subject, request, subject.ask, request.call))
    return f"at most {longest:.2f} s late"


async def expect_to_let_go(subject: Subject, quick: Request, ask: Ask, what: str) -> float:
    """Ask for something long, give it up, and see how many seconds later than usual the model answers `quick`."""
    usual_s = await _usual_s(subject, quick)

    async def late_s() -> float:
        call = asyncio.create_task(ask(_long(quick)))
        await asyncio.wait({call}, timeout=_UNDER_WAY_S)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        started = monotonic()
        await subject.ask(quick)
        return monotonic() - started - usual_s

    late = await _least(late_s)
    if late > SLACK_S:
        raise NotConformingError(
            f"{late:.1f} s after a long {what} was cancelled, the model was not free for the next call",
            "look at request.cancellation between steps, and return as soon as it is true",
        )
    return max(late, 0)


async def expect_in_time(subject: Subject, request: Request, ask: Ask, what: str) -> float:
    """Ask for something long within short budgets, and see by how many seconds it is late."""
    longest = 0.0
    for budget_s in BUDGETS_S:

        async def over_s(budget_s: float = budget_s) -> float:
            started = monotonic()
            reply = await ask(replace(_long(request), deadline=started + budget_s))
            if isinstance(reply, EchelonError) and not isinstance(reply, BudgetExceededError):
                raise NotConformingError(
                    f"{what} with a budget of {budget_s:g} s got {await subject.told(reply)}",
                    "answer as ever; the server ends what is late",
                )
            return monotonic() - started - budget_s

        over = await _least(over_s)
        longest = max(longest, over)
        if over > SLACK_S:
            raise NotConformingError(
                f"{what} with a budget of {budget_s:g} s took {over:.1f} s longer",
                "never block the event loop of an AsyncAdapter; look at request.remaining_s()",
            )
    # Until the model is done with what has been given up.
    await subject.ask(request)
    return longest


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
