"""Small model folders, written by each test for itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from echelon.adapters.onnx import Onnx, OnnxSettings

Folders = Callable[..., Path]


def graph_of(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any] | None = None) -> bytes:
    """An ONNX file."""
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture
def passing() -> Callable[..., bytes]:
    """Writes a network that gives back what goes into it, from `x` to `y` (`x0` to `y0` and so on for more)."""

    def write(*shapes: list[int | str | None], data_type: int = TensorProto.FLOAT) -> bytes:
        names = [("x", "y")] if len(shapes) == 1 else [(f"x{i}", f"y{i}") for i in range(len(shapes))]
        pairs = list(zip(names, shapes, strict=True))
        return graph_of(
            [helper.make_node("Identity", [x], [y]) for x, y in names],
            [helper.make_tensor_value_info(x, data_type, ["n", *shape]) for (x, _), shape in pairs],
            [helper.make_tensor_value_info(y, data_type, ["n", *shape]) for (_, y), shape in pairs],
        )

    return write


@pytest.fixture
def folder_of(tmp_path: Path) -> Folders:
    """Writes a model folder with one network and the given routes."""

    def write(network: bytes, *routes: dict[str, Any], name: str = "model", **said: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "network.onnx").write_bytes(network)
        described = [{"call": "comprehend", "network": "network", **route} for route in routes]
        manifest = {"version": "1", "networks": {"network": {"file": "network.onnx"}}, "routes": described, **said}
        # JSON is YAML.
        (folder / "model.yaml").write_text(json.dumps(manifest))
        return folder

    return write


@pytest.fixture
def opened() -> Callable[..., Onnx]:
    """Opens a model folder."""

    def open_(folder: Path, **settings: Any) -> Onnx:
        adapter = Onnx()
        adapter.open(OnnxSettings(folder=folder, **settings))
        return adapter

    return open_
