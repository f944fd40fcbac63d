"""Turns a model folder of ONNX networks into a Triton model repository, and a model folder that serves it from there.

    python examples/triton/export.py generalist-both build/example

writes, for a baseline model by name or any model folder by path,

    build/example/repository/    for tritonserver --model-repository
    build/example/model/         for echelon serve --model NAME=triton:build/example/triton.yaml
    build/example/triton.yaml
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import onnxruntime
import yaml

from echelon.adapters.baseline import MODELS
from echelon.adapters.networks.files import Folder
from echelon.adapters.networks.manifest import FILE

TYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64"}
RUNNER = Path(__file__).with_name("model.py")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="name of a baseline model, or path of a model folder")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--url", default="127.0.0.1:8001", help="where Triton will listen for gRPC")
    chosen = parser.parse_args()
    source = MODELS / chosen.model if (MODELS / chosen.model).is_dir() else Path(chosen.model)
    export(source, chosen.folder, chosen.url)
    print(f"wrote {chosen.folder}: repository, model, triton.yaml")


def export(source: Path, folder: Path, url: str) -> None:
    """The repository, and the model folder whose networks are its models."""
    files = Folder(source, shipped=True)
    manifest = yaml.safe_load(files.read(FILE))
    model = folder / "model"
    shutil.copytree(source, model, ignore=shutil.ignore_patterns("*.onnx"), dirs_exist_ok=True)
    for name, entry in manifest["networks"].items():
        placed = folder / "repository" / name / "1"
        placed.mkdir(parents=True, exist_ok=True)
        network = files.read(entry["file"])
        (placed / "model.onnx").write_bytes(network)
        shutil.copy(RUNNER, placed / "model.py")
        (placed.parent / "config.pbtxt").write_text(config(network))
        manifest["networks"][name] = {"model": name}
    (model / FILE).write_text(yaml.safe_dump(manifest, sort_keys=False))
    (folder / "triton.yaml").write_text(yaml.safe_dump({"folder": "model", "url": url}))


def config(network: bytes) -> str:
    """The config.pbtxt of a network whose first axis is the batch."""
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    ports = [("input", port) for port in session.get_inputs()] + [("output", port) for port in session.get_outputs()]
    lines = ['backend: "python"', "max_batch_size: 32", "instance_group [{kind: KIND_CPU}]"]
    for way, port in ports:
        dims = ", ".join(str(length) if isinstance(length, int) else "-1" for length in port.shape[1:])
        lines.append(f'{way} [{{name: "{port.name}", data_type: TYPE_{TYPES[port.type]}, dims: [{dims}]}}]')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
