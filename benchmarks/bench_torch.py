"""A PyTorch module behind the adapter against the same module in a bare tight loop, at the loop's batch size."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from harness import paired, report
from perceptron import SIZE, Perceptron
from safetensors.torch import save_file

from echelon.adapters import Call, Request, Tensor
from echelon.adapters.torch import Torch, TorchSettings

BATCHES = (1, 32)
SECONDS = 2.0
TARGET = 0.6
"""Of the loop's items a second, at its larger batch."""


def loop_rate(module: torch.nn.Module, device: str, batch: int) -> float:
    """Items a second with everything on the device already."""
    given = torch.zeros((batch, SIZE), device=device)
    done, started = 0, time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - started < SECONDS:
            module(given)
            done += batch
        if device != "cpu":
            torch.cuda.synchronize()
    return done / (time.perf_counter() - started)


def adapter_rate(adapter: Torch, batch: int) -> float:
    """Items a second from requests to outcomes."""
    values = np.random.default_rng(0).standard_normal(SIZE).astype(np.float32)
    requests = [Request(Call.COMPREHEND, parts=(Tensor.from_array(values),))] * batch
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        assert len(adapter.comprehend(requests)) == batch
        done += batch
    return done / (time.perf_counter() - started)


def write_folder(folder: Path, module: torch.nn.Module) -> None:
    """A model folder around it."""
    save_file(module.state_dict(), folder / "weights.safetensors")
    network = {
        "module": "perceptron:Perceptron",
        "weights": "weights.safetensors",
        "inputs": {"x": {"data_type": "float32", "shape": [SIZE]}},
        "outputs": ["y"],
    }
    route = {"call": "comprehend", "network": "mlp", "inputs": {"x": {"part": "tensor"}}}
    routes = [{**route, "output": {"kind": "tensor", "from": ["y"]}}]
    (folder / "model.yaml").write_text(yaml.safe_dump({"version": "1", "networks": {"mlp": network}, "routes": routes}))


def main() -> None:
    torch.set_num_threads(1)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    ways = {"": {}, ", CUDA graphs": {"cuda_graphs": True}} if device != "cpu" else {"": {}}
    if os.environ.get("COMPILE"):
        ways[", compiled"] = {"compile": "inductor"}
    module = Perceptron().eval().to(device)
    with tempfile.TemporaryDirectory() as name:
        write_folder(Path(name), module)
        for way, settings in ways.items():
            adapter = Torch()
            adapter.open(TorchSettings(folder=Path(name), device=device, threads=1, **settings))
            for batch in BATCHES:
                reached, loop, ratios = paired(
                    lambda adapter=adapter, batch=batch: adapter_rate(adapter, batch),
                    lambda batch=batch: loop_rate(module, device, batch),
                    rounds=5,
                )
                ratio = ratios[len(ratios) // 2]
                report(
                    f"MLP on {device}{way}, batch {batch}, loop {loop:.0f}/s",
                    f"{reached:.0f}/s, {ratio:.2f}x ({ratios[0]:.2f}..{ratios[-1]:.2f})",
                    f">= {TARGET}x at batch {BATCHES[-1]}",
                    met=ratio >= TARGET or batch < BATCHES[-1],
                )


if __name__ == "__main__":
    main()
