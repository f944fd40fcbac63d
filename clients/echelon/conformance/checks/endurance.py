"""What shows only over time: memory that is never given back, and an end that loses calls or does not come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic

from echelon.adapters.calls import Request
from echelon.adapters.errors import BudgetExceededError, EchelonError, ModelNotReadyError, UnreachableError
from echelon.conformance import processes
from echelon.conformance.contents import middling
from echelon.conformance.findings import NotApplicableError, NotConformingError
from echelon.conformance.server import AdapterServer
from echelon.conformance.subject import Subject

MIB = 1 << 20
BLOCKS = 8
BLOCK_CALLS = 250
BLOCK_S, LONGEST_BLOCK_S = 0.6, 6.0
MOST_GROWTH = 16 * MIB
"""Over all measured blocks; allocators move by a few MiB without a leak."""
_AT_ONCE = 4
_UNDER_WAY_S = 0.5
_LOST = (UnreachableError, ModelNotReadyError, BudgetExceededError)
"""What a call gets that its server forgets; what it gets from the adapter is no matter of the end."""


async def memory(subject: Subject) -> str:
    """The same calls over and over take no more memory."""
    server = _ours(subject)
    requests = [await _heavy(subject, found.request) for found in await subject.answered()]
    if processes.memory_bytes(server.process_id) is None:
        raise NotApplicableError("memory can be read on Linux only")
    started = monotonic()
    await _ask_block(subject, requests)
    if (took := monotonic() - started) > LONGEST_BLOCK_S:
        raise NotApplicableError(f"{_AT_ONCE} calls take {took:.0f} s, too long to ask often enough")
    await _ask_block(subject, requests)
    calls, resident = 0, []
    for _ in range(BLOCKS):
        resident.append(processes.memory_bytes(server.process_id) or 0)
        calls += await _ask_block(subject, requests)
    resident.append(processes.memory_bytes(server.process_id) or 0)
    growth = int(_slope(resident) * BLOCKS)
    told = f"{max(growth, 0) / MIB:.1f} MiB over {calls} calls"
    if growth > MOST_GROWTH:
        raise NotConformingError(
            f"the process grows: {told}, {growth // calls / 1024:.0f} KiB a call",
            "keep nothing of a request after its answer, and bound every cache",
        )
    return f"grew by {told}"


async def _heavy(subject: Subject, request: Request) -> Request:
    """The request with parts that weigh something, so that keeping them shows; as it is where that is not answered."""
    parts = tuple(replace(middling(part.kind), name=part.name, role=part.role) for part in request.parts)
    heavy = replace(request, parts=parts)
    return request if isinstance(await subject.ask(heavy), EchelonError) else heavy


async def _ask_block(subject: Subject, requests: list[Request]) -> int:
    """Ask, a few at once, for a bounded time; how many calls it were."""
    until, calls = monotonic() + BLOCK_S, 0
    while calls < BLOCK_CALLS and monotonic() < until:
        replies = await subject.ask_all(requests[(calls + number) % len(requests)] for number in range(_AT_ONCE))
        calls += len(replies)
    return calls


def _slope(values: list[int]) -> float:
    """Of the line of least squares, for each step."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    over = sum((place - middle) * (value - mean) for place, value in enumerate(values))
    return over / sum((place - middle) ** 2 for place in range(len(values)))


async def drain(subject: Subject) -> str:
    """Told to stop, the server answers what it took and ends."""
    server = _ours(subject)
    requests = [found.request for found in await subject.answered()]
    calls = asyncio.create_task(subject.ask_all([requests[number % len(requests)] for number in range(8)]))
    await asyncio.wait({calls}, timeout=_UNDER_WAY_S)
    started = monotonic()
    code = await server.stop()
    took = monotonic() - started
    replies = await calls
    lost = [
        reply for reply in replies if isinstance(reply, UnreachableError | ModelNotReadyError | BudgetExceededError)
    ]
    if lost:
        raise NotConformingError(
            f"{len(lost)} of {len(replies)} calls that were under way got {lost[0].reason}: {lost[0]}",
            "let calls that have begun come to their end; do not handle SIGTERM",
        )
    if code != 0:
        how = "did not end and had to be killed" if code is None else f"ended with exit code {code}"
        raise NotConformingError(
            f"{took:.0f} s after SIGTERM the process {how}",
            "end threads and processes of yours in close(), make threads daemons, and do not handle SIGTERM",
        )
    return f"{len(replies)} calls answered, over after {took:.1f} s"


def _ours(subject: Subject) -> AdapterServer:
    if subject.server is None:
        raise NotApplicableError("only for adapters that the kit serves by itself")
    return subject.server
