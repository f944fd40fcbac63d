"""A 16 MiB image there and back through our client and server, against one plain grpc.aio unary call of that size."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import uvloop
from harness import paired, process, report

from echelon.adapters import Call, Image, Request
from echelon.clients import AsyncClient
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

SIZE = 16 << 20
CALLS = 4
TARGET = 0.4
UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
HERE = Path(__file__).parent

Echo = Callable[[bytes], Awaitable[bytes]]


async def seconds(echo: Echo) -> float:
    """Of one echo, the median; no content comes twice."""
    taken = []
    for _ in range(CALLS):
        data = os.urandom(SIZE)
        started = time.perf_counter()
        back = await echo(data)
        taken.append(time.perf_counter() - started)
        assert back == data
    return statistics.median(taken)


def ours(client: AsyncClient) -> Echo:
    async def echo(data: bytes) -> bytes:
        outcome = await client.ask("mirror", Request(Call.COMPREHEND, "", (Image(data),)))
        return outcome.parts[0].data

    return echo


def plain(stub: pb_grpc.ModelServiceStub) -> Echo:
    async def echo(data: bytes) -> bytes:
        parts = [content_pb2.Part(image=content_pb2.Image(data=data))]
        response = await stub.Comprehend(pb.ComprehendRequest(call=pb.Call(parts=parts)))
        return response.outcome.answer.parts[0].image.data

    return echo


async def opened(mirror: str, bare: str) -> tuple[AsyncClient, grpc.aio.Channel]:
    return AsyncClient(mirror), grpc.aio.insecure_channel(bare, UNBOUNDED)


def main() -> None:
    with (
        process(sys.executable, HERE / "mirror_server.py") as (mirror, _),
        process(sys.executable, HERE / "echo_server.py") as (bare, _),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        client, channel = runner.run(opened(mirror, bare))
        echo, plain_echo = ours(client), plain(pb_grpc.ModelServiceStub(channel))
        taken, plain_taken, ratios = paired(
            lambda: runner.run(seconds(echo)), lambda: runner.run(seconds(plain_echo)), rounds=9
        )
        runner.run(client.close())
        runner.run(channel.close())
    ratio = ratios[len(ratios) // 2]
    figure = f"{taken * 1e3:.0f} ms, {ratio:.2f}x ({ratios[0]:.2f}..{ratios[-1]:.2f})"
    report(
        f"16 MiB there and back, plain unary {plain_taken * 1e3:.0f} ms", figure, f"<= {TARGET}x", met=ratio <= TARGET
    )


if __name__ == "__main__":
    main()
