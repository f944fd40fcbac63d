"""PyTorch modules behind the routes of a model folder; on a machine with a GPU, there as well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from echelon.adapters import Answer, Call, Choice, Request, Tensor, errors
from echelon.adapters.torch import Torch, TorchSettings
from echelon.clients import AsyncClient, Options, Retry

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))
DEVICES = ["cpu", *(["cuda:0"] if torch.cuda.is_available() else [])]
INPUT = {"pixels": {"data_type": "float32", "shape": [4, 4]}}
LABELS = ["red", "green", "blue"]


def trunk(width: int = 8) -> nn.Module:
    """As the vendor's, whose state it shares."""
    torch.manual_seed(0)
    return nn.ModuleDict({"hidden": nn.Linear(16, width), "head": nn.Linear(width, 3)})


def expected(module: Any, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        given = torch.from_numpy(pixels).flatten(1)
        logits: np.ndarray[Any, Any] = module["head"](torch.relu(module["hidden"](given))).numpy()
        return logits


def route(**output: Any) -> dict[str, Any]:
    return {"call": "comprehend", "network": "trunk", "inputs": {"pixels": {"part": "tensor"}}, "output": output}


TENSOR = route(kind="tensor", **{"from": ["logits"]})
CHOICE = route(kind="choice", **{"from": ["logits"]}, labels=LABELS)


def folder_of(
    tmp_path: Path, state: dict[str, Any] | None = None, routes: Sequence[Any] = (CHOICE, TENSOR), **network: Any
) -> Path:
    """A model folder around the vendor's trunk."""
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    save_file(trunk().state_dict() if state is None else state, folder / "trunk.safetensors")
    said = {"module": "acme.nets:Trunk", "weights": "trunk.safetensors", "inputs": INPUT, **network}
    said.setdefault("outputs", ["logits", "features"])
    manifest = {"version": "1", "networks": {"trunk": said}, "routes": list(routes)}
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def opened(folder: Path, **settings: Any) -> Torch:
    adapter = Torch()
    adapter.open(TorchSettings(folder=folder, **settings))
    return adapter


def asked(pixels: np.ndarray[Any, Any], kind: Any = Tensor) -> Request:
    return Request(Call.COMPREHEND, parts=(Tensor.from_array(pixels),), output_kinds=(kind.kind,))


def tensors(adapter: Torch, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    outcomes = adapter.comprehend([asked(item) for item in pixels])
    parts = [outcome.parts[0] for outcome in outcomes if isinstance(outcome, Answer)]
    return np.stack([part.array() for part in parts if isinstance(part, Tensor)])


@pytest.fixture
def pixels() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal((5, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
async def test_a_module_answers_through_a_server(
    serving: Serving, tmp_path: Path, pixels: np.ndarray[Any, Any], device: str
) -> None:
    settings = {"folder": str(folder_of(tmp_path)), "device": device}
    async with (
        serving([{"name": "trunk", "adapter": "torch", "settings": settings}]) as server,
        AsyncClient(server.listener.address) as client,
    ):
        outcomes = await asyncio.gather(*(client.ask("trunk", asked(item, Choice)) for item in pixels))
        card = (await client.model("trunk")).card
    best = [outcome.parts[0].labels[0].label for outcome in outcomes]  # type: ignore[union-attr]
    assert best == [LABELS[place] for place in expected(trunk(), pixels).argmax(1)]
    assert (card.engine, card.device) == (f"torch {torch.__version__}", device)
    assert card.weights_digest.startswith("sha256:")


@pytest.mark.parametrize(
    ("device", "settings", "tolerance"),
    [
        *((device, {}, 1e-5) for device in DEVICES),
        *((device, {"dtype": "bfloat16"}, 5e-2) for device in DEVICES),
        *((device, {"compile": "aot_eager"}, 1e-5) for device in DEVICES),
        *((device, {"compile": "inductor"}, 1e-4) for device in DEVICES if device != "cpu"),
        *((device, {"cuda_graphs": True}, 1e-4) for device in DEVICES if device != "cpu"),
    ],
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch.compile's own
@pytest.mark.usefixtures("vendor")
def test_every_way_to_run_gives_the_same_numbers(
    tmp_path: Path, pixels: np.ndarray[Any, Any], device: str, settings: dict[str, Any], tolerance: float
) -> None:
    adapter = opened(folder_of(tmp_path), device=device, **settings)
    for count in (1, 5, 3, 5):
        np.testing.assert_allclose(
            tensors(adapter, pixels[:count]), expected(trunk(), pixels[:count]), rtol=tolerance, atol=tolerance
        )


@pytest.mark.usefixtures("vendor")
def test_outputs_may_have_names_and_modules_arguments(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    wide = trunk(12)
    folder = folder_of(tmp_path, wide.state_dict(), arguments={"width": 12, "names": True})
    np.testing.assert_allclose(tensors(opened(folder), pixels), expected(wide, pixels), rtol=1e-5, atol=1e-5)


async def test_a_device_without_memory_for_a_batch_gets_smaller_ones(
    serving: Serving, tmp_path: Path, pixels: np.ndarray[Any, Any]
) -> None:
    greedy = {"module": "acme.nets:Greedy", "arguments": {"room": 2}, "outputs": ["logits"]}
    folder = folder_of(tmp_path, {"scale": torch.ones(1)}, [TENSOR], **greedy)
    settings = {"folder": str(folder), "device": "cpu"}
    models = [{"name": "greedy", "adapter": "torch", "max_batch_size": 4, "max_delay_ms": 200, "settings": settings}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        outcomes = await asyncio.gather(*(client.ask("greedy", asked(item)) for item in pixels[:4]))
        card = (await client.model("greedy")).card
    assert [outcome.parts[0].array().tolist() for outcome in outcomes] == pixels[:4].tolist()  # type: ignore[union-attr]
    assert card.max_batch_size == 2


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"module": "acme.nets"}, "'module' is package.module:Class"),
        ({"module": "acme.absent:Trunk"}, "cannot import 'acme.absent', which 'module' names: No module"),
        ({"module": "acme.nets:Trunc"}, r"acme.nets has no 'Trunc' \(did you mean 'Trunk'\?\)"),
        ({"module": "acme.nets:not_a_module"}, "makes a str, not an nn.Module"),
        ({"arguments": {"size": 1}}, "cannot be made with these 'arguments'.*size"),
        ({"arguments": {"width": 9}}, "the weights in 'trunk.safetensors' are another module's"),
        ({"weights": "model.yaml"}, "'model.yaml' is no safetensors file"),
        ({"weights": "absent.safetensors"}, "cannot read 'absent.safetensors'"),
        ({"inputs": {"pixels": {"data_type": "text", "shape": [4]}}}, "data_type"),
        ({"outputs": []}, "'inputs' and 'outputs' name at least one each"),
    ],
)
@pytest.mark.usefixtures("vendor")
def test_a_module_that_cannot_be_served_is_told_with_its_place(
    tmp_path: Path, network: dict[str, Any], said: str
) -> None:
    with pytest.raises(errors.SettingsError, match=rf"networks\.trunk.*{said}|{said}"):
        opened(folder_of(tmp_path, **network))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "cuda:99"}, "'device' is 'cuda:99', which this PyTorch cannot use"),
        ({"device": "cpu", "cuda_graphs": True}, "'cuda_graphs' is for GPUs, and the device is cpu"),
        ({"compile": "inducter"}, r"'compile' is 'inducter' \(did you mean 'inductor'\?\)"),
        ({"device": "cpu", "memory_gib": 1.0}, "'memory_gib' is for GPUs, and the device is cpu"),
    ],
)
@pytest.mark.usefixtures("vendor")
def test_settings_that_the_machine_cannot_follow_are_refused(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(errors.SettingsError, match=said):
        opened(folder_of(tmp_path), **settings)
