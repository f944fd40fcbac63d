"""One ONNX MLP, 64 single-item clients: Echelon against a real Triton and MLServer, each with its own batching."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
from bench_batching import SIZES, make_model, pipeline_rate
from harness import paired, report, serving
from load import unary_rate

sys.path.append(str(Path(__file__).parents[1] / "tests" / "peers"))
from real_triton import RealTriton, write_model
from tritonclient.grpc import service_pb2 as kserve

from echelon.adapters import Call, Kind, Request, Tensor
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import call_to_proto

MLSERVER = Path(__file__).parents[1] / "build" / "mlserver" / "bin"
RUNTIME = Path(__file__).with_name("peers")
INFER = "/inference.GRPCInferenceService/ModelInfer"
CLIENTS, SECONDS, ROUNDS = 64, 1.5, 7
CONFIG = f"""
max_batch_size: 64
instance_group [{{kind: KIND_CPU, count: 1}}]
dynamic_batching {{}}
input [{{name: "x", data_type: TYPE_FP32, dims: [{SIZES[0]}]}}]
output [{{name: "y", data_type: TYPE_FP32, dims: [{SIZES[-1]}]}}]
"""


def question() -> bytes:
    """One item for the peers, in their common protocol."""
    tensor = kserve.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, SIZES[0]])
    values = np.zeros(SIZES[0], np.float32).tobytes()
    asked = kserve.ModelInferRequest(model_name="mlp", inputs=[tensor], raw_input_contents=[values])
    data: bytes = asked.SerializeToString()
    return data


@contextmanager
def triton(folder: Path, model: bytes) -> Iterator[str]:
    """With dynamic batching; its address."""
    place = folder / "triton"
    place.mkdir()
    write_model(place / "repository", "mlp", CONFIG, (RUNTIME / "triton_mlp.py").read_text())
    (place / "repository" / "mlp" / "1" / "mlp.onnx").write_bytes(model)
    running = RealTriton(place / "repository", place).start()
    try:
        yield running.url
    finally:
        running.stop()


@contextmanager
def mlserver(folder: Path, model: bytes) -> Iterator[str]:
    """With adaptive batching; its address."""
    place = folder / "mlserver"
    place.mkdir()
    (place / "mlp.onnx").write_bytes(model)
    shutil.copy(RUNTIME / "mlserver_mlp.py", place)
    batching = {"max_batch_size": 32, "max_batch_time": 0.005}
    said = {"name": "mlp", "implementation": "mlserver_mlp.Mlp", "parameters": {"uri": "./mlp.onnx"}, **batching}
    (place / "model-settings.json").write_text(json.dumps(said))
    ports = {f"{kind}_port": free_port() for kind in ("http", "grpc", "metrics")}
    # Its worker processes do not start with today's uvloop, and cost it half of its speed where they do.
    (place / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    child = subprocess.Popen(
        [MLSERVER / "mlserver", "start", "."],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"127.0.0.1:{ports['grpc_port']}"
    try:
        answers(address)
        yield address
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def answers(address: str, seconds: float = 60) -> None:
    """Wait until a peer answers."""
    limit = time.monotonic() + seconds
    with grpc.insecure_channel(address) as channel:
        infer = channel.unary_unary(INFER)
        while True:
            try:
                infer(question(), timeout=5)
            except grpc.RpcError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.2)
            else:
                return


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder / "mlp")
        models = [{"name": "mlp", "adapter": "onnx", "settings": {"folder": str(folder / "mlp")}}]
        (folder / "server.yaml").write_text(json.dumps({"models": models}))
        part = Tensor.from_array(np.zeros(SIZES[0], np.float32))
        call = call_to_proto("mlp", Request(Call.COMPREHEND, "", (part,), (Kind.TENSOR,)))
        message = pb.ComprehendRequest(call=call).SerializeToString()
        asked = question()
        with (
            serving("--config", str(folder / "server.yaml")) as (ours, _),
            triton(folder, model) as triton_address,
            mlserver(folder, model) as mlserver_address,
        ):

            def unary() -> float:
                return unary_rate(ours, message, in_flight=CLIENTS, seconds=SECONDS)

            def peer(address: str) -> float:
                return unary_rate(address, asked, in_flight=CLIENTS, seconds=SECONDS, method=INFER)

            rows = (
                ("unary against Triton", unary, triton_address, 0.5),
                ("unary against MLServer", unary, mlserver_address, 2.0),
                ("Pipeline against Triton", lambda: pipeline_rate(ours, call, SECONDS), triton_address, 1.0),
            )
            for what, measure, address, target in rows:
                rate, theirs, ratios = paired(measure, lambda address=address: peer(address), rounds=ROUNDS)
                ratio = ratios[len(ratios) // 2]
                figure = f"{rate:.0f}/s to {theirs:.0f}/s, {ratio:.2f}x ({ratios[0]:.2f}..{ratios[-1]:.2f})"
                report(f"MLP, {CLIENTS} clients, {what}", figure, f">= {target}x", met=ratio >= target)


if __name__ == "__main__":
    main()
