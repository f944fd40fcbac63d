"""The ONNX adapter: routes, batches, cards and probes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from echelon.adapters import (
    Answer,
    BackendError,
    Call,
    CallSupport,
    Composition,
    EchelonError,
    Image,
    InvalidInputError,
    Kind,
    Number,
    Request,
    Returned,
    Tensor,
    Text,
    UnsupportedError,
)
from echelon.adapters.errors import ConfigurationError, OutputInvalidError, SettingsError
from echelon.adapters.networks.files import Folder
from echelon.adapters.onnx import Onnx, OnnxSettings
from echelon.adapters.onnx.session import Runtime, Session
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load
from echelon.clients import AsyncClient

TENSOR_TO_TENSOR = {"inputs": {"x": {"part": "tensor"}}, "output": {"kind": "tensor", "from": ["y"]}}


def asked(*values: float, **more: Any) -> Request:
    return Request(Call.COMPREHEND, parts=(Tensor.from_array(np.array(values, np.float32)),), **more)


def values_of(returned: Returned) -> list[float]:
    assert isinstance(returned, Answer)
    (part,) = returned.parts
    assert isinstance(part, Tensor)
    values: list[float] = part.array().tolist()
    return values


def kinds_of(returned: Sequence[Returned]) -> list[type[Any]]:
    return [type(item) for item in returned]


def test_it_is_installed_under_its_name() -> None:
    assert Registry.installed().load("onnx") is Onnx


def test_a_batch_is_answered_in_its_order(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing([2]), TENSOR_TO_TENSOR))
    returned = model.comprehend([asked(i, -i) for i in range(50)])
    assert [values_of(item) for item in returned] == [[i, -i] for i in range(50)]


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_batch_gets_the_answers_that_its_requests_get_alone(folder_of: Any, opened: Any, deterministic: bool) -> None:
    weights = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    model = opened(folder_of(network, TENSOR_TO_TENSOR, deterministic=deterministic))
    requests = [asked(*np.random.default_rng(i).normal(size=16)) for i in range(33)]
    together = [values_of(item) for item in model.comprehend(requests)]
    alone = [values_of(model.comprehend([request])[0]) for request in requests]
    # To the last bit where that is promised; a batch may round otherwise.
    assert together == alone if deterministic else np.allclose(together, alone, rtol=1e-5)


def test_a_bad_request_fails_alone_in_its_place(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing([2]), TENSOR_TO_TENSOR))
    broken = Request(Call.COMPREHEND, parts=(Tensor(b"123", "float32", (2,)),))
    missing = Request(Call.COMPREHEND, parts=(Text("no tensor"),))
    other = replace(asked(1, 2), call=Call.GENERATE)
    nan = asked(np.nan, 1)
    returned = model.comprehend([asked(1, 2), broken, missing, other, nan, asked(1, 2, 3), asked(3, 4)])
    assert kinds_of(returned) == [
        Answer,
        InvalidInputError,
        InvalidInputError,
        UnsupportedError,
        OutputInvalidError,
        InvalidInputError,
        Answer,
    ]
    assert values_of(returned[-1]) == [3, 4]
    assert "the call has no tensor part" in str(returned[2])


def test_a_request_that_makes_the_network_fail_fails_alone(folder_of: Any, opened: Any) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [10.0, 20.0, 30.0])],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    model = opened(folder_of(network, TENSOR_TO_TENSOR))
    parts = [Tensor.from_array(np.array([index])) for index in (0, 7, 2)]
    returned = model.comprehend([Request(Call.COMPREHEND, parts=(part,)) for part in parts])
    assert kinds_of(returned) == [Answer, BackendError, Answer]
    assert values_of(returned[2]) == [30]


def test_inputs_of_other_shapes_run_in_batches_of_their_own(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing(["length"]), TENSOR_TO_TENSOR))
    returned = model.comprehend([asked(1), asked(1, 2), asked(3)])
    assert [values_of(item) for item in returned] == [[1], [1, 2], [3]]


def test_a_network_for_one_item_runs_item_by_item(folder_of: Any, opened: Any) -> None:
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    model = opened(folder_of(network, TENSOR_TO_TENSOR))
    assert [values_of(item) for item in model.comprehend([asked(1, 2), asked(3, 4)])] == [[-1, -2], [-3, -4]]


ROUTES = (
    {"inputs": {"x": {"part": "tensor", "name": "second"}}, "output": {"kind": "tensor", "from": ["y"]}},
    {"inputs": {"x": {"part": "number", "steps": [{"reshape": [1]}]}}, "output": {"kind": "number", "from": ["y"]}},
    {"inputs": {"x": {"part": "tensor"}}, "output": {"kind": "number", "from": ["y"], "scale": 10}},
    {"call": "generate", "inputs": {"x": {"part": "tensor"}}, "output": {"kind": "image", "from": ["y"]}},
)


def test_the_first_route_that_fits_call_parts_and_kind_answers(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing([1]), *ROUTES))
    tensor = Tensor.from_array(np.array([2], np.float32))
    named = replace(tensor, name="second")
    requests = [
        Request(Call.COMPREHEND, parts=(tensor, named)),
        Request(Call.COMPREHEND, parts=(tensor,)),
        Request(Call.COMPREHEND, parts=(tensor, Number(7))),
        Request(Call.COMPREHEND, parts=(tensor, named), output_kinds=(Kind.NUMBER,)),
    ]
    answers = [answer.parts[0] for answer in model.comprehend(requests)]
    assert answers == [Tensor.from_array(np.array([2], np.float32)), Number(20), Number(7), Number(20)]


def test_a_wanted_kind_without_a_route_is_unsupported(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing([1]), *ROUTES))
    (refused,) = model.comprehend([asked(1, output_kinds=(Kind.MASK, Kind.BOXES))])
    assert isinstance(refused, UnsupportedError)
    assert "does not answer comprehend with mask or boxes" in str(refused)


def test_the_card_says_what_the_folder_and_the_runtime_say(passing: Any, folder_of: Any, opened: Any) -> None:
    folder = folder_of(
        passing([1]), *ROUTES, description="Gives back.", composition="single", deterministic=True, precision="float32"
    )
    card = opened(folder).card()
    assert card.calls == (
        CallSupport(Call.COMPREHEND, (Kind.NUMBER, Kind.TENSOR), (Kind.NUMBER, Kind.TENSOR)),
        CallSupport(Call.GENERATE, (Kind.TENSOR,), (Kind.IMAGE,)),
    )
    assert card.composition is Composition.SINGLE
    assert (card.deterministic, card.precision, card.description) == (True, "float32", "Gives back.")
    assert (card.engine, card.device) == (f"onnxruntime {onnxruntime.__version__}", "cpu")
    assert card.weights_digest == f"sha256:{Folder(folder).digest()}"


def test_an_undeclared_composition_is_unverified(passing: Any, folder_of: Any, opened: Any) -> None:
    assert opened(folder_of(passing([1]), *ROUTES)).card().composition is Composition.UNVERIFIED


def test_the_digest_changes_with_any_file_and_its_name(passing: Any, folder_of: Any) -> None:
    folder = folder_of(passing([1]), *ROUTES)
    digests = [Folder(folder).digest()]
    (folder / "notes.txt").write_text("new")
    digests.append(Folder(folder).digest())
    (folder / "notes.txt").rename(folder / "notice.txt")
    digests.append(Folder(folder).digest())
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("part", "steps", "item"),
    [
        ("tensor", [], [3, 4]),
        ("image", [], [8, 8]),
        ("image", [{"resize": [5, 7]}, {"channels": 3}, {"layout": "chw"}], [3, 5, 7]),
        ("image", [{"layout": "chw"}], [3, "height", "width"]),
        ("video", [{"frames": 6}, {"channels": 1}, {"layout": "cfhw"}], [1, 6, 9, 9]),
        ("video", [], [4, 8, 9]),
        ("audio", [{"resample": 8000}, {"mono": True}, {"length": 100}], [100]),
        ("audio", [{"mono": True}, {"reshape": [10, 16]}], [10, 16]),
        ("audio", [], ["samples", 2]),
        ("point_cloud", [], [128, 6]),
        ("point_cloud", [{"points": 20}], [20, 3]),
        ("mask", [], [6, 5]),
        ("boxes", [], [3, 4]),
        ("number", [], []),
        ("text", [{"tokenize": {"by": "byte", "length": 9}}], [9]),
        ("instruction", [{"tokenize": {"by": "byte", "length": 9}}], [9]),
    ],
)
def test_a_probe_fits_the_route(
    passing: Any, folder_of: Any, opened: Any, part: str, steps: list[Any], item: list[Any]
) -> None:
    data_type = TensorProto.INT64 if "tokenize" in str(steps) else TensorProto.FLOAT
    route = {**TENSOR_TO_TENSOR, "inputs": {"x": {"part": part, "steps": steps}}}
    model = opened(folder_of(passing(item, data_type=data_type), route))
    probe = model.probe(Call.COMPREHEND)
    assert kinds_of(model.comprehend([probe])) == [Answer]
    assert model.probe(Call.LANGUAGE) is None


def test_closing_gives_the_model_back(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing([1]), *ROUTES))
    model.close()
    with pytest.raises(AttributeError):
        model.card()


def test_a_missing_provider_is_noted_and_the_next_one_used(
    passing: Any, folder_of: Any, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "echelon.adapters.onnx"):
        model = opened(folder_of(passing([1]), *ROUTES), providers=("CUDAExecutionProvider", "CPUExecutionProvider"))
    assert model.card().device == "cpu"
    assert "runs on CPUExecutionProvider; this onnxruntime has no CUDAExecutionProvider" in caplog.text


@pytest.mark.parametrize("providers", [("NoSuchProvider",), ()])
def test_no_provider_at_all_is_an_error_that_lists_them(
    passing: Any, folder_of: Any, opened: Any, providers: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError, match=r"this onnxruntime has .*CPUExecutionProvider"):
        opened(folder_of(passing([1]), *ROUTES), providers=providers)


def test_io_binding_gives_what_a_plain_run_gives(passing: Any, folder_of: Any) -> None:
    folder = folder_of(passing([2], [3]), {"inputs": {}, "output": {}})
    session = Session(Folder(folder), "network.onnx", Runtime(), deterministic=True)
    feeds = {"x0": np.ones((4, 2), np.float32), "x1": np.full((4, 3), 5, np.float32)}
    plain, bound = session.run(("y1", "y0"), feeds), session.run_bound(("y1", "y0"), feeds)
    assert [values.tolist() for values in bound] == [values.tolist() for values in plain]
    assert plain[0].shape == (4, 3)


def test_settings_are_read_beside_their_file(tmp_path: Path) -> None:
    settings = load(OnnxSettings, {"folder": "model", "intra_op_threads": 2}, folder=tmp_path)
    assert settings == OnnxSettings(folder=tmp_path / "model", intra_op_threads=2)


def test_two_onnxruntimes_at_once_are_refused(
    passing: Any, folder_of: Any, opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site" / "onnxruntime_gpu-1.20.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.20\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ConfigurationError, match="onnxruntime and onnxruntime-gpu are both installed"):
        opened(folder_of(passing([1]), *ROUTES))


def test_errors_have_reasons_that_the_contract_knows(passing: Any, folder_of: Any, opened: Any) -> None:
    model = opened(folder_of(passing([2]), TENSOR_TO_TENSOR))
    (failed,) = model.comprehend([asked(np.nan, 0)])
    assert isinstance(failed, EchelonError)
    assert failed.reason == "OUTPUT_INVALID"


def test_an_image_goes_the_whole_way(passing: Any, folder_of: Any, opened: Any) -> None:
    route = {
        "call": "generate",
        "inputs": {"x": {"part": "image", "steps": [{"channels": 3}, {"scale": 1 / 255}, {"layout": "chw"}]}},
        "output": {"kind": "image", "from": ["y"]},
    }
    image = Image.from_array(np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8))
    model = opened(folder_of(passing([3, "h", "w"]), route))
    (answer,) = model.generate([Request(Call.GENERATE, parts=(image,))])
    assert (answer.parts[0].array() == image.array()).all()


GREEDY = [
    helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
    helper.make_node("Pow", ["n", "exponent"], ["size"]),
    helper.make_node("Expand", ["one", "size"], ["heap"]),
    helper.make_node("ReduceMax", ["heap"], ["most"], keepdims=1),
    helper.make_node("Mul", ["x", "most"], ["y"]),
]
"""Fills n**42 floats for a batch of n: one for a single item, 16 TiB for two."""


async def test_a_batch_that_memory_does_not_hold_runs_in_halves(serving: Any, folder_of: Any) -> None:
    weights = {"exponent": np.array([42]), "one": np.ones(1, np.float32)}
    graph = helper.make_graph(
        GREEDY,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    network = model.SerializeToString()
    route = {"inputs": {"x": {"part": "number"}}, "output": {"kind": "number", "from": ["y"]}}
    settings = {"folder": str(folder_of(network, route))}
    models = [{"name": "greedy", "adapter": "onnx", "max_batch_size": 2, "max_delay_ms": 500, "settings": settings}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        numbers = [Request(Call.COMPREHEND, parts=(Number(value),)) for value in (3.0, 5.0)]
        outcomes = await asyncio.gather(*(client.ask("greedy", request) for request in numbers))
        card = (await client.model("greedy")).card
    assert [outcome.parts for outcome in outcomes if isinstance(outcome, Answer)] == [(Number(3.0),), (Number(5.0),)]
    assert card.max_batch_size == 1


def test_a_limit_of_a_gpus_memory_needs_a_gpu(passing: Any, folder_of: Any) -> None:
    folder = folder_of(passing([2]), {"inputs": {"x": {"part": "tensor"}}, "output": {"kind": "tensor", "from": ["y"]}})
    with pytest.raises(SettingsError, match="'memory_gib' is for GPUs, and none can be used"):
        Onnx().open(OnnxSettings(folder=folder, providers=("CPUExecutionProvider",), memory_gib=1.0))
