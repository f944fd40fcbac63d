"""Closed-loop load on unary calls, in this process, with as little of a client as there can be."""

from __future__ import annotations

import asyncio
import time

import grpc
import uvloop

METHOD = "/echelon.v1.ModelService/Comprehend"


def unary_rate(address: str, request: bytes, *, in_flight: int, seconds: float, method: str = METHOD) -> float:
    """Answered calls a second."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_rate(address, request, in_flight, seconds, method))


async def _rate(address: str, request: bytes, in_flight: int, seconds: float, method: str) -> float:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(method)
        await call(request)
        answered = 0
        end = time.perf_counter() + seconds

        async def client() -> None:
            nonlocal answered
            while time.perf_counter() < end:
                await call(request, timeout=30)
                answered += 1

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(in_flight)))
        return answered / (time.perf_counter() - started)
