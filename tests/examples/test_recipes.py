"""examples/recipes: a settings file for every system of the tutorial, and facts that hold."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import transformers

from echelon.adapters import Call, CallSupport
from echelon.adapters.hosted.settings import Offer
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load, read_yaml

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "recipes"

SYSTEMS = {
    "level-1": "DINO, PolyFormer, SegCLIP",
    "level-2": "MiniGPT-4, NExT-Chat",
    "level-3": "GPT-4V, GPT-4o, LLaVA-1.5-7B, Qwen-VL-Plus, InternVL, MoE-LLaVA-1.8B-4e, Yi-VL, SEED-LLaMA-14B-SFT, "
    "Osprey, GLaMM",
    "level-4": "Mini-Gemini-7B, Emu2-37B, Vitron, NExT-GPT, LaVIT-V2-7B, Show-o, Claude 3.5, Chameleon, PaliGemma, "
    "Transfusion",
    "language": "FLAN-T5-XL",
    "mmt-bench": "InternVL-Chat-v1.2-34B, Qwen-VL-Max, Gemini Pro Vision, LLaVA-NeXT-34B, InternLM-XComposer2, BLIP-2",
}
"""As General-Level's tutorial names and groups them."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    package: str
    why: str
    adapter: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    system: str
    group: Literal["level-1", "level-2", "level-3", "level-4", "language", "mmt-bench", "relatives"]
    instead_of: str = ""
    settings: Path
    adapter: Literal["anthropic", "openai", "transformers"] | None
    server: str = ""
    weights: str
    architecture: str | None = None
    supports: dict[str, Offer]
    status: Literal["executed", "never executed"]
    test: str = ""
    missing: Missing | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.supports or not set(self.supports) <= set(Call):
            raise ValueError("'supports' must name calls")

    @property
    def is_hosted(self) -> bool:
        return self.adapter in ("anthropic", "openai")

    @property
    def header(self) -> str:
        """What the settings file says of itself."""
        lines = self.settings.read_text().splitlines()
        return "\n".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


@dataclass(frozen=True, kw_only=True)
class Facts:
    recipes: tuple[Recipe, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class UnwrittenSettings:
    """What an adapter that is not written yet would be told."""

    weights: str
    device: str


FACTS = load(Facts, read_yaml(RECIPES / "recipes.yaml"), folder=RECIPES, where="recipes.yaml").recipes
NAMED = {recipe.settings.stem: recipe for recipe in FACTS}


def recipes(chosen: Callable[[Recipe], bool] = lambda recipe: True) -> pytest.MarkDecorator:
    """For each recipe that is chosen."""
    return pytest.mark.parametrize("name", [name for name, recipe in NAMED.items() if chosen(recipe)])


def settings_of(recipe: Recipe) -> Any:
    kind: Any = Registry.installed().load(recipe.adapter).settings_type if recipe.adapter else UnwrittenSettings
    return load(kind, read_yaml(recipe.settings), folder=recipe.settings.parent, where=recipe.settings.name)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asks the network fails."""

    def refuse(*_: Any) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_every_system_of_the_tutorial_has_one_recipe_in_its_group() -> None:
    assert {
        group: ", ".join(recipe.system for recipe in FACTS if recipe.group == group) for group in SYSTEMS
    } == SYSTEMS
    assert len({recipe.system for recipe in FACTS}) == len(FACTS) == len(NAMED)


def test_every_file_is_the_settings_of_one_recipe_in_the_folder_of_its_group() -> None:
    assert sorted(recipe.settings for recipe in FACTS) == sorted(RECIPES.glob("*/*.yaml"))
    assert [recipe.settings.parent.name for recipe in FACTS] == [recipe.group for recipe in FACTS]


def test_a_relative_stands_in_for_a_system_that_nothing_here_serves() -> None:
    unserved = {recipe.system for recipe in FACTS if recipe.adapter is None}
    for recipe in FACTS:
        assert (recipe.group == "relatives") == (recipe.instead_of in unserved), recipe.system


@recipes()
def test_the_settings_are_those_of_the_adapter_and_the_weights(name: str) -> None:
    recipe = NAMED[name]
    settings = settings_of(recipe)
    if recipe.adapter is None:
        assert recipe.weights.startswith(settings.weights)
    else:
        assert recipe.weights == (settings.model if recipe.is_hosted else settings.hub)
        assert recipe.header.startswith(f"{recipe.adapter}: ")


@recipes(lambda recipe: recipe.is_hosted)
def test_a_hosted_model_opens_without_asking_and_has_the_card_that_is_promised(
    name: str, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = NAMED[name]
    settings = settings_of(recipe)
    if settings.api_key_env is not None:
        monkeypatch.setenv(settings.api_key_env, "sk-anything")
    adapter: Any = Registry.installed().load(str(recipe.adapter))()
    adapter.open(settings)
    card = adapter.card()
    adapter.close()
    promised = [CallSupport(Call(call), offer.takes, offer.gives) for call, offer in recipe.supports.items()]
    assert list(card.calls) == promised


@recipes(lambda recipe: bool(recipe.server))
def test_the_command_of_another_server_is_for_the_address_and_the_weights(name: str) -> None:
    recipe = NAMED[name]
    settings = settings_of(recipe)
    assert recipe.server in recipe.header
    port = urlsplit(settings.base_url).port
    assert f"api_server {recipe.weights} --server-port {port}" in recipe.server


@recipes(lambda recipe: recipe.architecture is not None)
def test_transformers_has_the_architectures_that_its_adapter_serves_and_no_others(name: str) -> None:
    recipe = NAMED[name]
    assert hasattr(transformers, str(recipe.architecture)) == (recipe.adapter == "transformers")


@recipes(lambda recipe: recipe.adapter is None)
def test_without_an_adapter_the_file_says_how_to_begin_one_and_the_facts_what_is_missing(name: str) -> None:
    recipe = NAMED[name]
    assert recipe.missing is not None
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", recipe.missing.package)
    command = re.search(r"echelon adapters new ([a-z0-9-]+)((?: --call [a-z]+)*)$", recipe.header)
    assert command is not None, recipe.header
    assert (command.group(2).split()[1::2] or ["comprehend"]) == list(recipe.supports)


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """The tests that exist, of the files that recipes name."""
    files = sorted({recipe.test.partition("::")[0] for recipe in FACTS if recipe.test})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    return {line for line in run.stdout.splitlines() if "::" in line}


def test_what_was_executed_was_in_a_test_that_exists(collected: set[str]) -> None:
    for recipe in FACTS:
        assert (recipe.status == "executed") == (recipe.test in collected) == bool(recipe.test), recipe.system
        assert (recipe.status == "executed") == (recipe.adapter == "transformers"), recipe.system


def test_the_readme_lists_the_facts(tmp_path: Path) -> None:
    page = (RECIPES / "README.md").read_text()
    copied = tmp_path / "recipes"
    copied.mkdir()
    for name in ("recipes.yaml", "table.py", "README.md"):
        (copied / name).write_text((RECIPES / name).read_text())
    (copied / "README.md").write_text(page.replace("| [", "| stale "))
    subprocess.run([sys.executable, copied / "table.py"], check=True, timeout=60)
    assert (copied / "README.md").read_text() == page
    assert all(f"[{recipe.system}]({recipe.group}/{recipe.settings.name})" in page for recipe in FACTS)


def test_files_are_served_as_they_are(processes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    hosted = {name: recipe for name, recipe in NAMED.items() if recipe.is_hosted}
    for recipe in hosted.values():
        monkeypatch.setenv(settings_of(recipe).api_key_env or "UNUSED", "sk-anything")
    options = [("--model", f"{name}={recipe.adapter}:{recipe.settings}") for name, recipe in hosted.items()]
    _, address = processes(*(word for option in options for word in option))
    listed = subprocess.run(
        [sys.executable, "-m", "echelon.cli", "models", address], capture_output=True, text=True, check=True, timeout=60
    )
    assert {line.split()[0] for line in listed.stdout.splitlines()} >= set(hosted)
