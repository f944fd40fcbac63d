"""A quarter of 64 clients give up after 4 ms; nobody else may notice."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
import uvloop
from bench_batching import SIZES, make_model
from harness import report, serving
from load import METHOD

from echelon.adapters import Call, Kind, Request, Tensor
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import call_to_proto

SECONDS = 4.0


async def hammer(address: str, request: bytes) -> tuple[int, int, int]:
    """Innocent calls answered and failed, and calls that ran out of their 4 ms."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        await call(request)
        answered = failed = cut = 0
        end = time.perf_counter() + SECONDS

        async def client(hasty: bool) -> None:
            nonlocal answered, failed, cut
            while time.perf_counter() < end:
                try:
                    await call(request, timeout=0.004 if hasty else 30)
                    answered += not hasty
                except grpc.RpcError:
                    failed += not hasty
                    cut += hasty

        await asyncio.gather(*(client(i % 4 == 0) for i in range(64)))
        return answered, failed, cut


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        make_model(Path(name) / "mlp")
        settings = Path(name) / "settings.yaml"
        settings.write_text("folder: mlp\n")
        part = Tensor.from_array(np.zeros(SIZES[0], np.float32))
        call = call_to_proto("mlp", Request(Call.COMPREHEND, "", (part,), (Kind.TENSOR,)))
        message = pb.ComprehendRequest(call=call).SerializeToString()
        with (
            serving("--model", f"mlp=onnx:{settings}") as (address, _),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            answered, failed, cut = runner.run(hammer(address, message))
    assert cut, "no call ran out of time: the test shows nothing"
    figure = f"{failed} of {answered + failed} failed, {cut} cut"
    report("innocent calls beside 16 clients with 4 ms deadlines", figure, "none fails", met=failed == 0)


if __name__ == "__main__":
    main()
