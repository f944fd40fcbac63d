"""Which adapters are installed, and what a broken one does to the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from echelon.adapters.controls.null import Null
from echelon.adapters.errors import AdapterLoadError, AdapterNotFoundError, MissingExtraError
from echelon.adapters.registry import GROUP, Registry

GOOD = """
from echelon.adapters import BatchAdapter, Card

class Good(BatchAdapter):
    def card(self):
        return Card("1", ())

class Abstract(BatchAdapter):
    pass

number = 3
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with entry points, and a module if it has one, on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def add(distribution: str, points: dict[str, str], **modules: str) -> None:
        folder = tmp_path / f"{distribution.replace('-', '_')}-2.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, name, raising=False)

    return add


def test_ours_are_listed_and_load_without_trust() -> None:
    registry = Registry.installed()
    names = {entry.name for entry in registry.entries() if entry.own}
    engines = {"baseline", "onnx", "torch", "transformers", "triton"}
    controls = {"chance", "dispatcher", "null", "oracle"}
    assert names == engines | controls | {"anthropic", "openai"}
    assert [entry.problem for entry in registry.entries()] == [""] * len(registry.entries())
    assert all(registry.load(name) for name in names)


def test_an_unknown_name_proposes_the_nearest() -> None:
    with pytest.raises(AdapterNotFoundError, match=r"no adapter 'onxn' is installed \(did you mean 'onnx'\?\)"):
        Registry.installed().load("onxn")


def test_a_third_partys_code_runs_only_where_it_is_trusted(install: Install) -> None:
    install("acme-model", {"acme": "acme_one:Good"}, acme_one=GOOD + "print('imported')")
    registry = Registry.installed()
    entry = registry.get("acme")
    assert (entry.distribution, entry.version, entry.own, entry.problem) == ("acme-model", "2.0", False, "")
    with pytest.raises(AdapterLoadError, match=r"comes from acme-model 2\.0, .* allow that with --trust"):
        registry.load("acme")
    assert "acme_one" not in sys.modules
    assert registry.load("acme", trust=True).__name__ == "Good"


def test_two_distributions_with_one_name_are_both_refused_and_stop_no_other(install: Install) -> None:
    install("acme-one", {"acme": "acme_two:Good", "fine": "acme_two:Good"}, acme_two=GOOD)
    install("acme-other", {"acme": "acme_two:Good"})
    registry = Registry.installed()
    with pytest.raises(AdapterLoadError, match="is declared 2 times, by acme-one, acme-other; uninstall all but one"):
        registry.load("acme", trust=True)
    problems = [entry.problem for entry in registry.entries() if entry.name == "acme"]
    assert len(problems) == 2
    assert all("acme-one, acme-other" in problem for problem in problems)
    assert registry.load("fine", trust=True).__name__ == "Good"


def test_nobody_can_take_the_name_of_one_of_ours(install: Install) -> None:
    install("acme-model", {"null": "acme_three:Good"}, acme_three=GOOD)
    with pytest.raises(AdapterLoadError, match="by acme-model, echelon"):
        Registry.installed().load("null")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:Good", "its module 'no_such_module' is not installed"),
        ("acme_four", "names no class; it must be 'module:Class'"),
        ("acme four:!", "is not of the form 'module:Class'"),
        (".hidden:Good", "is not of the form 'module:Class'"),
    ],
)
def test_a_broken_entry_point_is_listed_with_its_reason(install: Install, value: str, said: str) -> None:
    install("acme-model", {"acme": value}, acme_four=GOOD)
    registry = Registry.installed()
    (entry,) = [entry for entry in registry.entries() if entry.name == "acme"]
    assert said in entry.problem
    with pytest.raises(AdapterLoadError, match="adapter 'acme' of acme-model cannot be used"):
        registry.load("acme", trust=True)
    assert registry.load("null") is Null


def test_a_module_that_is_loaded_and_has_no_spec_stops_nobody_else(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `__main__` is for whoever runs a script."""
    monkeypatch.setitem(sys.modules, "acme_main", ModuleType("acme_main"))
    install("acme-model", {"acme": "acme_main:Good"})
    registry = Registry.installed()
    (entry,) = [entry for entry in registry.entries() if entry.name == "acme"]
    assert entry.problem == "its module 'acme_main' is not installed"
    assert registry.load("null") is Null


@pytest.mark.parametrize(
    ("value", "source", "said"),
    [
        ("acme_five:Good", "raise RuntimeError('no licence')", "failed to import: RuntimeError: no licence"),
        ("acme_five:Good", "import sys; sys.exit(3)", "failed to import: SystemExit: 3"),
        ("acme_five:Good", "def (", "failed to import: SyntaxError"),
        ("acme_five:Missing", GOOD, "failed to import: AttributeError"),
        ("acme_five.sub:Good", GOOD, "failed to import: ModuleNotFoundError"),
        ("acme_five:number", GOOD, "is no class but int"),
        ("acme_five:Card", GOOD, "is a class that is derived neither from BatchAdapter nor from AsyncAdapter"),
        ("acme_five:Abstract", GOOD, "does not define card"),
    ],
)
def test_a_plug_in_that_does_not_load_is_told_with_its_entry_point(
    install: Install, value: str, source: str, said: str
) -> None:
    install("acme-model", {"acme": value}, acme_five=source)
    with pytest.raises(AdapterLoadError) as raised:
        Registry.installed().load("acme", trust=True)
    assert f"adapter 'acme' of acme-model ({value})" in str(raised.value)
    assert said in str(raised.value)


def test_a_missing_extra_is_told_as_such(install: Install) -> None:
    source = "from echelon.adapters import MissingExtraError\nraise MissingExtraError('torch', 'torch')"
    install("acme-model", {"acme": "acme_six:Good"}, acme_six=source)
    with pytest.raises(MissingExtraError, match="pip install 'echelon\\[torch\\]'"):
        Registry.installed().load("acme", trust=True)


def test_an_entry_point_without_a_distribution_is_from_nowhere_known() -> None:
    registry = Registry([EntryPoint("null", "echelon.adapters.controls.null:Null", GROUP)])
    entry = registry.get("null")
    assert (entry.distribution, entry.version, entry.own) == ("unknown", "", False)
    with pytest.raises(AdapterLoadError, match="comes from unknown"):
        registry.load("null")


def test_a_distribution_with_damaged_metadata_stops_nobody(install: Install, tmp_path: Path) -> None:
    install("acme-model", {"acme": "acme_seven:Good"}, acme_seven=GOOD)
    (tmp_path / "acme_model-2.0.dist-info" / "METADATA").write_text("")
    registry = Registry.installed()
    assert registry.get("acme").distribution == "unknown"
    assert registry.load("null") is Null
