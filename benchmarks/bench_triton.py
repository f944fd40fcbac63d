"""The Triton adapter against a bare tritonclient, on one real Triton: tensors of 1 KiB and 1 MiB, 64 in flight."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import uvloop
import yaml
from harness import paired, report

sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))
from real_triton import RealTriton, write_model

from echelon.adapters import Call, Request, Tensor
from echelon.adapters.triton import Triton, TritonSettings

TARGET = 0.8
IN_FLIGHT = 64
SIZES = {"1 KiB": (256, 3.0), "1 MiB": (256 * 1024, 4.0)}
"""Elements of float32, and seconds of a slice."""
CONFIG = """
max_batch_size: 8
instance_group [{{kind: KIND_CPU, count: 1}}]
dynamic_batching {{}}
input [{{name: "x", data_type: TYPE_FP32, dims: [{count}]}}]
output [{{name: "y", data_type: TYPE_FP32, dims: [{count}]}}]
"""
ECHO = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb.InferenceResponse([pb.Tensor("y", pb.get_input_tensor_by_name(request, "x").as_numpy())])
            for request in requests
        ]
"""


def rate(make: Callable[[], Awaitable[tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[None]]]]], seconds):
    """Answered calls a second of what `make` gives: a call, and how to close."""

    async def measure() -> float:
        call, close = await make()
        await call()
        answered, started = 0, time.perf_counter()

        async def client() -> None:
            nonlocal answered
            while time.perf_counter() < started + seconds:
                await call()
                answered += 1

        await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
        reached = answered / (time.perf_counter() - started)
        await close()
        return reached

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure())


def bare(url: str, name: str, values: np.ndarray):
    import tritonclient.grpc as triton
    import tritonclient.grpc.aio as triton_aio

    async def make():
        client = triton_aio.InferenceServerClient(url)

        async def call() -> None:
            given = triton.InferInput("x", (1, len(values)), "FP32")
            given.set_data_from_numpy(values[None])
            result = await client.infer(name, [given])
            assert result.as_numpy("y")[0, -1] == values[-1]

        return call, client.close

    return make


def ours(folder: Path, url: str, values: np.ndarray, **settings: object):
    request = Request(Call.COMPREHEND, parts=(Tensor.from_array(values),))

    async def make():
        adapter = Triton()
        await asyncio.to_thread(adapter.open, TritonSettings(folder=folder, url=url, **settings))

        async def call() -> None:
            outcome = await adapter.comprehend(request)
            assert outcome.parts[0].array()[-1] == values[-1]

        return call, lambda: asyncio.to_thread(adapter.close)

    return make


def measure(triton: RealTriton, folder: Path, size: str, sharing: str) -> None:
    """One row: the adapter and the bare client in turn."""
    count, seconds = SIZES[size]
    values = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    adapter = ours(folder, triton.url, values, shared_memory=sharing)
    client = bare(triton.url, folder.name, values)
    reached, alone, ratios = paired(lambda: rate(adapter, seconds), lambda: rate(client, seconds), rounds=5)
    ratio = ratios[len(ratios) // 2]
    report(
        f"{size} through Triton, shared memory {sharing}, bare {alone:.0f}/s",
        f"{reached:.0f}/s, {ratio:.2f}x ({ratios[0]:.2f}..{ratios[-1]:.2f})",
        f">= {TARGET}x",
        met=ratio >= TARGET,
    )


def write_folder(folder: Path) -> None:
    """A model folder over the model of Triton that has its name."""
    route = {"call": "comprehend", "network": "echo", "inputs": {"x": {"part": "tensor"}}}
    said = {
        "version": "1",
        "networks": {"echo": {"model": folder.name}},
        "routes": [{**route, "output": {"kind": "tensor", "from": ["y"]}}],
    }
    folder.mkdir()
    (folder / "model.yaml").write_text(yaml.safe_dump(said))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folders = {size: place / size.replace(" ", "") for size in SIZES}
        for size, folder in folders.items():
            write_folder(folder)
            write_model(place / "repository", folder.name, CONFIG.format(count=SIZES[size][0]), ECHO)
        triton = RealTriton(place / "repository", place).start()
        try:
            for size, folder in folders.items():
                for sharing in ("auto", "off"):
                    measure(triton, folder, size, sharing)
        finally:
            triton.stop()


if __name__ == "__main__":
    main()
