"""A weight-bound MLP on the ONNX adapter: batching against none, and Pipeline against a bare session.run loop."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
import onnx
import onnxruntime
import uvloop
from harness import paired, report, serving
from load import unary_rate
from onnx import TensorProto, helper, numpy_helper

from echelon.adapters import Call, Kind, Request, Tensor
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.calls import CALL_KINDS, call_to_proto

SIZES = (784, 2048, 2048, 10)
FRAME, FRAMES_IN_FLIGHT = 32, 8
MANIFEST = """
version: "1"
composition: single
networks:
  mlp: {file: mlp.onnx}
routes:
  - call: comprehend
    network: mlp
    inputs:
      x: {part: tensor}
    output: {kind: tensor, from: [y]}
"""


def make_model(folder: Path) -> bytes:
    """A model folder with an MLP of seeded random weights; the network's bytes."""
    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for i, (rows, columns) in enumerate(itertools.pairwise(SIZES)):
        weight = (random.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        out = "y" if i == len(SIZES) - 2 else f"h{i}"
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [out if out == "y" else f"m{i}"]))
        if out != "y":
            nodes.append(helper.make_node("Relu", [f"m{i}"], [out]))
        last = out
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", SIZES[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", SIZES[-1]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    onnx.save(model, str(folder / "mlp.onnx"))
    (folder / "model.yaml").write_text(MANIFEST)
    return model.SerializeToString()


def loop_rate(model: bytes, size: int, seconds: float = 0.7) -> float:
    """Items a second of a bare loop at one batch size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    batch = np.zeros((size, SIZES[0]), np.float32)
    session.run(None, {"x": batch})
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        session.run(None, {"x": batch})
        done += size
    return done / (time.perf_counter() - started)


def pipeline_rate(address: str, call: pb.Call, seconds: float = 1.5) -> float:
    """Items a second over one Pipeline stream, in frames of 32."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_pipeline_rate(address, call, seconds))


async def _pipeline_rate(address: str, call: pb.Call, seconds: float) -> float:
    async with grpc.aio.insecure_channel(address) as channel:
        stream = pb_grpc.ModelServiceStub(channel).Pipeline()
        sent = answered = 0

        async def send() -> None:
            nonlocal sent
            calls = [pb.PipelineCall(id=sent + i, kind=CALL_KINDS[Call.COMPREHEND], call=call) for i in range(FRAME)]
            sent += FRAME
            await stream.write(pb.PipelineRequest(calls=calls))

        for _ in range(FRAMES_IN_FLIGHT):
            await send()
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            for result in (await stream.read()).results:
                assert result.WhichOneof("result") == "outcome"
                answered += 1
            while sent - answered <= FRAME * (FRAMES_IN_FLIGHT - 1):
                await send()
        rate = answered / (time.perf_counter() - started)
        stream.cancel()
        return rate


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        model = make_model(root / "mlp")
        settings = {"adapter": "onnx", "settings": {"folder": str(root / "mlp")}}
        models = [{"name": "batched", **settings}, {"name": "single", **settings, "max_batch_size": 1}]
        (root / "server.yaml").write_text(json.dumps({"models": models}))
        part = Tensor.from_array(np.zeros(SIZES[0], np.float32))
        request = Request(Call.COMPREHEND, "", (part,), (Kind.TENSOR,))
        with serving("--config", str(root / "server.yaml")) as (address, _):

            def unary(model_name: str) -> float:
                message = pb.ComprehendRequest(call=call_to_proto(model_name, request)).SerializeToString()
                return unary_rate(address, message, in_flight=64, seconds=1.5)

            rate, _, ratios = paired(lambda: unary("batched"), lambda: unary("single"), rounds=5)
            gain = ratios[len(ratios) // 2]
            report("MLP, 64 unary clients, batching on/off", f"{rate:.0f}/s, {gain:.2f}x", ">= 2.2x", met=gain >= 2.2)
            best = max((1, 8, 16, 32, 64), key=lambda size: loop_rate(model, size))
            call = call_to_proto("batched", request)
            rate, bare, ratios = paired(lambda: pipeline_rate(address, call), lambda: loop_rate(model, best), rounds=5)
            share = ratios[len(ratios) // 2]
            figure = f"{rate:.0f}/s of {bare:.0f}/s, {share:.0%}"
            report(f"MLP, Pipeline frames of 32 / bare loop at {best}", figure, ">= 60 %", met=share >= 0.6)


if __name__ == "__main__":
    main()
