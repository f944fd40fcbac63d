"""What a model folder may make the adapter open, and how its faults are told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from echelon.adapters import Answer, Call, Request, Tensor
from echelon.adapters.errors import SettingsError
from echelon.adapters.networks.files import Folder
from echelon.adapters.onnx.external import locations

ROUTE = {"inputs": {"x": {"part": "tensor"}}, "output": {"kind": "tensor", "from": ["y"]}}
WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)


def external(location: str, name: str = "w", offset: int = 0) -> TensorProto:
    """A weight whose values lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=WEIGHTS.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": str(offset), "length": str(WEIGHTS.nbytes)}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def product_with(*weights: TensorProto) -> bytes:
    """A network that adds up x times each weight."""
    products = [helper.make_node("MatMul", ["x", weight.name], [f"p{i}"]) for i, weight in enumerate(weights)]
    total = helper.make_node("Sum", [f"p{i}" for i in range(len(weights))], ["y"])
    graph = helper.make_graph(
        [*products, total],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        list(weights),
    )
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    return data


def answer_of(model: Any) -> list[float]:
    part = Tensor.from_array(np.array([1, 10], np.float32))
    (returned,) = model.comprehend([Request(Call.COMPREHEND, parts=(part,))])
    assert isinstance(returned, Answer)
    assert isinstance(returned.parts[0], Tensor)
    values: list[float] = returned.parts[0].array().tolist()
    return values


def test_external_data_inside_the_folder_is_used(folder_of: Any, opened: Any) -> None:
    folder = folder_of(product_with(external("weights/w.bin"), external("weights/w.bin", "v", WEIGHTS.nbytes)), ROUTE)
    (folder / "weights").mkdir()
    (folder / "weights" / "w.bin").write_bytes(WEIGHTS.tobytes() + (2 * WEIGHTS).tobytes())
    assert answer_of(opened(folder)) == (np.array([1, 10]) @ (3 * WEIGHTS)).tolist()


def test_a_link_that_stays_inside_is_followed(folder_of: Any, opened: Any) -> None:
    folder = folder_of(product_with(external("w.bin")), ROUTE)
    (folder / "data").mkdir()
    (folder / "data" / "v1.bin").write_bytes(WEIGHTS.tobytes())
    (folder / "w.bin").symlink_to("data/v1.bin")
    assert answer_of(opened(folder)) == (np.array([1, 10]) @ WEIGHTS).tolist()


def leaf_link(outside: Path, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "w.bin").symlink_to(outside / "w.bin")


def parent_link(outside: Path, folder: Path) -> None:
    (folder / "sub").symlink_to(outside)


def hard_link(outside: Path, folder: Path) -> None:
    (folder / "sub").mkdir()
    os.link(outside / "w.bin", folder / "sub" / "w.bin")


def pipe(outside: Path, folder: Path) -> None:
    (folder / "sub").mkdir()
    os.mkfifo(folder / "sub" / "w.bin")


@pytest.mark.parametrize(
    ("lead_out", "said"),
    [
        (leaf_link, "'sub/w.bin' is a link that leads out of the folder"),
        (parent_link, "'sub/w.bin' is a link that leads out of the folder"),
        (hard_link, "'sub/w.bin' is a hard link"),
        (pipe, "'sub/w.bin' is not a regular file"),
    ],
)
def test_external_data_that_leads_out_is_refused(
    folder_of: Any, opened: Any, tmp_path: Path, lead_out: Callable[[Path, Path], None], said: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "w.bin").write_bytes(WEIGHTS.tobytes())
    folder = folder_of(product_with(external("sub/w.bin")), ROUTE)
    lead_out(outside, folder)
    with pytest.raises(SettingsError, match=said):
        opened(folder)


@pytest.mark.parametrize("location", ["../w.bin", "sub/../../w.bin", "/etc/hostname", "", ".", "sub\\w.bin", "w\0.bin"])
def test_external_data_with_a_name_that_leads_out_is_refused(
    folder_of: Any, opened: Any, tmp_path: Path, location: str
) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    with pytest.raises(SettingsError, match="must be the name of a file inside the folder"):
        opened(folder_of(product_with(external(location)), ROUTE))


def test_external_data_is_found_wherever_a_network_can_hold_it() -> None:
    inner = helper.make_graph([], "inner", [], [], [external("in-subgraph.bin")])
    deeper = helper.make_node("If", ["c"], ["d"], then_branch=inner)
    constant = helper.make_node("Constant", [], ["e"], value=external("in-attribute.bin"))
    sparse = helper.make_sparse_tensor(external("in-values.bin"), external("in-indices.bin"), [9])
    graph = helper.make_graph([deeper, constant], "outer", [], [], [external("plain.bin")], sparse_initializer=[sparse])
    function = helper.make_function("own", "f", [], ["e"], [constant], [helper.make_opsetid("", 18)])
    function.node[0].attribute[0].t.external_data[0].value = "in-function.bin"
    model = helper.make_model(graph, functions=[function])
    model.training_info.add().algorithm.initializer.append(external("in-training.bin"))
    assert locations(model.SerializeToString()) == {
        "in-subgraph.bin",
        "in-attribute.bin",
        "in-values.bin",
        "in-indices.bin",
        "plain.bin",
        "in-function.bin",
        "in-training.bin",
    }


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_network_that_is_cut_off_is_refused(passing: Any, folder_of: Any, opened: Any, size: int) -> None:
    with pytest.raises(SettingsError, match=r"'network.onnx' (is no ONNX file|cannot be loaded)"):
        opened(folder_of(passing([1])[:size], ROUTE))


@pytest.mark.parametrize("data", [b"", b"not a network at all", bytes(64)])
def test_bytes_that_are_no_network_are_refused(folder_of: Any, opened: Any, data: bytes) -> None:
    with pytest.raises(SettingsError, match=r"'network.onnx' (is no ONNX file|cannot be loaded)"):
        opened(folder_of(data, ROUTE))


def test_a_shipped_folder_may_be_linked_from_an_installers_cache(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "cached").write_text("words")
    os.link(tmp_path / "cached", tmp_path / "model" / "words.txt")
    assert Folder(tmp_path / "model", shipped=True).read("words.txt") == b"words"
    with pytest.raises(SettingsError, match="is a hard link"):
        Folder(tmp_path / "model").read("words.txt")


def test_a_missing_folder_and_missing_files_are_told(passing: Any, folder_of: Any, opened: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no model folder .*nowhere"):
        opened(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"empty has no model\.yaml"):
        opened(tmp_path / "empty")
    folder = folder_of(passing([1]), ROUTE)
    (folder / "network.onnx").unlink()
    with pytest.raises(SettingsError, match=r"cannot read 'network\.onnx': No such file"):
        opened(folder)


def test_missing_external_data_is_told(folder_of: Any, opened: Any) -> None:
    with pytest.raises(SettingsError, match=r"cannot read 'w\.bin': No such file"):
        opened(folder_of(product_with(external("w.bin")), ROUTE))


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({**ROUTE, "network": "netwrok"}, r"'routes\[0\].network' is 'netwrok' \(did you mean 'network'"),
        ({**ROUTE, "call": "comprehends"}, r"'routes\[0\].call' is 'comprehends' \(did you mean 'comprehend'"),
        ({**ROUTE, "inputs": {}}, r"routes\[0\].inputs: nothing goes into the network's input x"),
        ({**ROUTE, "inputs": {"z": {"part": "tensor"}}}, r"the network has no input 'z' \(known: x\)"),
        ({**ROUTE, "inputs": {"x": {"part": "mesh"}}}, r"'routes\[0\].inputs.x.part' is 'mesh'"),
        ({"inputs": ROUTE["inputs"]}, r"'routes\[0\].output' is required"),
    ],
)
def test_a_wrong_route_is_told_with_its_place(
    passing: Any, folder_of: Any, opened: Any, route: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=rf"model\.yaml: .*{said}"):
        opened(folder_of(passing([1]), route))


def test_a_folder_without_routes_is_refused(passing: Any, folder_of: Any, opened: Any) -> None:
    with pytest.raises(SettingsError, match="'routes' is empty"):
        opened(folder_of(passing([1])))


@pytest.mark.parametrize("shape", [[3, 2], []])
def test_a_network_without_a_batch_axis_is_refused(folder_of: Any, opened: Any, shape: list[int]) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    with pytest.raises(SettingsError, match="the first axis of its input 'x' must be the batch"):
        opened(folder_of(network, ROUTE))


def test_a_network_that_takes_strings_is_refused(passing: Any, folder_of: Any, opened: Any) -> None:
    with pytest.raises(SettingsError, match=r"its input 'x' is a tensor\(string\)"):
        opened(folder_of(passing([1], data_type=TensorProto.STRING), ROUTE))
