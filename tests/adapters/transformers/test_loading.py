"""What is loaded, what is refused, and what the card says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from echelon.adapters import Answer, Call, CallSupport, Composition, Image, Kind, Request, Sampling
from echelon.adapters.errors import MissingExtraError, SettingsError
from echelon.adapters.networks.files import Folder
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load
from echelon.adapters.transformers import Transformers, TransformersSettings

# PaliGemma's processor hands numpy a tensor in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Checkpoint = Callable[[str], Path]


@pytest.fixture
def copied(checkpoint: Checkpoint, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a checkpoint, with other values in one of its JSON files."""

    def copy(name: str, file: str = "config.json", **changed: Any) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(checkpoint(name), folder)
        values = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**values, **changed}))
        return folder

    return copy


def opened(**settings: Any) -> Transformers:
    adapter = Transformers()
    adapter.open(TransformersSettings(**settings))
    return adapter


def test_it_is_installed_under_its_name() -> None:
    assert Registry.installed().load("transformers") is Transformers


def test_nothing_heavy_is_imported_before_a_checkpoint_opens() -> None:
    script = (
        "import sys; from echelon.adapters.registry import Registry; Registry.installed().load('transformers'); "
        "print(*{'torch', 'transformers', 'PIL', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_a_package_that_is_missing_is_named_with_its_extra(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    folder = checkpoint("llama")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{module} is not installed; get it with: .*echelon\[transformers\]"):
        opened(folder=folder)


def test_the_card_says_where_it_runs_and_what_its_files_are(checkpoint: Checkpoint) -> None:
    folder = checkpoint("llama")
    card = opened(folder=folder, version="7", description="Talks.", dtype="bfloat16", attention="eager").card()
    assert (card.version, card.description, card.precision, card.device) == ("7", "Talks.", "bfloat16", "cpu")
    assert card.weights_digest == f"sha256:{Folder(folder).digest()}"
    assert card.composition is Composition.SINGLE
    assert opened(folder=folder).card().description == "LlamaForCausalLM"


def test_settings_come_from_yaml_as_any_other(checkpoint: Checkpoint) -> None:
    values = {
        "folder": str(checkpoint("llama")),
        "chat": {"system": "Be brief."},
        "generation": {"max_token_count": 3, "top_k": 5},
        "coordinates": {"scale": None},
        "output_kinds": ["text", "choice"],
    }
    adapter = Transformers()
    adapter.open(load(TransformersSettings, values))
    assert adapter.card().calls[0].output_kinds == (Kind.TEXT, Kind.CHOICE)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "either 'folder' or 'hub'"),
        ({"folder": "x", "hub": "a/b"}, "either 'folder' or 'hub'"),
        ({"folder": "x", "revision": "v1"}, "'revision' goes with 'hub'"),
        ({"hub": "a/b", "version": "of the twenty-fourth of May"}, "'version' may have 23 characters"),
        ({"folder": "x", "video_frames": 0}, "video_frames"),
        ({"folder": "x", "generation": {"max_token_count": 0}}, "max_token_count"),
        ({"folder": "x", "drawing": {"guidance": 1.0}}, "guidance"),
        ({"folder": "x", "coordinates": {"scale": 0}}, "scale"),
        ({"folder": "x", "chat": {"template": "", "template_file": "y"}}, "not both"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(TransformersSettings, settings)


def test_an_architecture_that_the_library_lacks_is_named(copied: Callable[..., Path]) -> None:
    with pytest.raises(SettingsError, match=r"of LlavaLlamaForCausalLM, which transformers .* does not have; convert"):
        opened(folder=copied("llama", architectures=["LlavaLlamaForCausalLM"]))


def test_code_that_comes_with_a_checkpoint_never_runs_by_itself(copied: Callable[..., Path], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    folder = copied(
        "llama",
        architectures=["OwnForCausalLM"],
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"},
    )
    (folder / "own.py").write_text(
        f"open({str(ran)!r}, 'w').close()\n"
        "from transformers import LlamaConfig as OwnConfig, LlamaForCausalLM as OwnForCausalLM\n"
    )
    with pytest.raises(SettingsError, match="trust_remote_code"):
        opened(folder=folder)
    assert not ran.exists()


def test_weights_that_are_pickled_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(checkpoint("llama"), folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(SettingsError, match="safetensors"):
        opened(folder=folder)


def test_links_that_lead_out_of_the_folder_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    shutil.copytree(checkpoint("llama"), folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(checkpoint("llama") / "model.safetensors")
    with pytest.raises(SettingsError, match="leads out of the folder"):
        opened(folder=folder)


@pytest.mark.parametrize("settings", [{"device": "cuda:9"}, {"device": "toaster"}])
def test_a_device_that_is_not_there_is_named(checkpoint: Checkpoint, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=settings["device"]):
        opened(folder=checkpoint("llama"), **settings)


def test_kinds_can_be_left_out_and_not_made_up(checkpoint: Checkpoint) -> None:
    model = opened(folder=checkpoint("llava"), input_kinds=(Kind.IMAGE, Kind.TEXT), output_kinds=(Kind.CHOICE,))
    assert [(support.call, support.input_kinds, support.output_kinds) for support in model.card().calls] == [
        (Call.COMPREHEND, (Kind.TEXT, Kind.IMAGE), (Kind.CHOICE,)),
        (Call.LANGUAGE, (Kind.TEXT,), (Kind.CHOICE,)),
    ]
    colour = Request(Call.COMPREHEND, "?", (Image.from_array(np.zeros((9, 9, 3), np.uint8)),), labels=("red", "blue"))
    (returned,) = model.comprehend([colour])
    assert isinstance(returned, Answer)
    assert returned.parts[0].kind is Kind.CHOICE
    (probed,) = model.comprehend([model.probe(Call.COMPREHEND)])  # type: ignore[list-item]
    assert isinstance(probed, Answer)
    with pytest.raises(SettingsError, match="'input_kinds' lists audio, which the checkpoint"):
        opened(folder=checkpoint("llava"), input_kinds=(Kind.AUDIO,))
    with pytest.raises(SettingsError, match="'output_kinds' lists boxes"):
        opened(folder=checkpoint("llava"), output_kinds=(Kind.BOXES,))
    with pytest.raises(SettingsError, match="leave the checkpoint no call"):
        opened(folder=checkpoint("clip"), output_kinds=())


def test_what_draws_can_be_kept_from_writing(checkpoint: Checkpoint) -> None:
    model = opened(folder=checkpoint("janus"), output_kinds=(Kind.IMAGE,))
    assert model.card().calls == (CallSupport(Call.GENERATE, (Kind.TEXT,), (Kind.IMAGE,)),)


def test_a_processor_can_be_set_otherwise(checkpoint: Checkpoint) -> None:
    image = Image.from_array(np.zeros((84, 84, 3), np.uint8))
    question = Request(Call.COMPREHEND, "?", (image,), sampling=Sampling(max_token_count=1))
    few, many = (
        opened(
            folder=checkpoint("qwen2_5_vl"), processor={"size": {"shortest_edge": 784, "longest_edge": pixels}}
        ).comprehend([question])[0]
        for pixels in (28 * 28, 84 * 84)
    )
    assert isinstance(few, Answer)
    assert isinstance(many, Answer)
    assert many.usage.input_token_count - few.usage.input_token_count == 9 - 1


def test_the_hub_s_cache_is_enough_where_the_network_is_off(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo, commit = tmp_path / "models--acme--tiny", "a" * 40
    snapshot = repo / "snapshots" / commit
    for folder in (repo / "blobs", snapshot, repo / "refs"):
        folder.mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    for place, file in enumerate(sorted(checkpoint("llama").iterdir())):
        shutil.copy(file, repo / "blobs" / str(place))
        (snapshot / file.name).symlink_to(os.path.relpath(repo / "blobs" / str(place), snapshot))
    card = opened(hub="acme/tiny").card()
    assert card.version == commit
    assert card.weights_digest == f"sha256:{Folder(checkpoint('llama')).digest()}"
    with pytest.raises(
        SettingsError, match="'acme/other' at 'main' is not whole in the hub's cache, and HF_HUB_OFFLINE"
    ):
        opened(hub="acme/other")


def test_what_answers_no_call_is_refused(copied: Callable[..., Path]) -> None:
    with pytest.raises(SettingsError, match="no call is answered by a LlamaModel"):
        opened(folder=copied("llama", architectures=["LlamaModel"]))


def test_a_damaged_checkpoint_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint("llama"), folder)
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(SettingsError, match="damaged cannot be loaded"):
        opened(folder=folder)
    with pytest.raises(SettingsError, match="no model folder"):
        opened(folder=tmp_path / "nowhere")


def test_a_probe_is_answered_for_every_call(checkpoint: Checkpoint) -> None:
    for name in ("llama", "llava", "qwen2_audio", "paligemma", "clip", "janus"):
        model = opened(folder=checkpoint(name))
        for support in model.card().calls:
            probe = model.probe(support.call)
            assert probe is not None
            assert {part.kind for part in probe.parts} <= set(support.input_kinds)
            (returned,) = getattr(model, support.call)([probe])
            assert isinstance(returned, Answer)
            assert returned.parts[0].kind in support.output_kinds
