"""`echelon adapters`, as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from echelon.adapters.commands import adapters
from echelon.adapters.errors import AdapterLoadError, AdapterNotFoundError

GIZMO = """
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from echelon.adapters import BatchAdapter, Card

@dataclass(frozen=True)
class Settings:
    weights: Path
    mode: Literal["fast", "good"] = "fast"
    size: int | None = None
    words: list[str] = field(default_factory=list, metadata={"key": "from"})

class Gizmo(BatchAdapter[Settings]):
    "Serves Gizmo's model."
    def card(self):
        return Card("1", ())
    def language(self, requests):
        return []
"""


@pytest.fixture
def gizmo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third party's distribution with one adapter that works and one that does not."""
    installed = tmp_path / "gizmo_model-2.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: gizmo-model\nVersion: 2.0\nSummary: A model.\n"
        'Requires-Dist: echelon>=0.1\nRequires-Dist: ruff; extra == "dev"\n'
    )
    (installed / "entry_points.txt").write_text("[echelon.adapters]\ngizmo = gizmo:Gizmo\nlost = gone_module:Gizmo\n")
    (tmp_path / "gizmo.py").write_text(GIZMO)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gizmo", raising=False)
    return tmp_path


def output_of(*arguments: str) -> str:
    result = CliRunner().invoke(adapters, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_list_shows_every_adapter_and_what_is_wrong_with_a_broken_one(gizmo: Path) -> None:
    lines = output_of("list").splitlines()
    assert lines[0].split() == ["NAME", "DISTRIBUTION", "VERSION", "ENTRY", "POINT", "STATE"]
    assert any(line.split() == ["gizmo", "gizmo-model", "2.0", "gizmo:Gizmo", "ok"] for line in lines)
    (lost,) = [line for line in lines if line.startswith("lost")]
    assert lost.endswith("broken: its module 'gone_module' is not installed")
    assert "gizmo" not in sys.modules


def test_list_as_json_says_the_same(gizmo: Path) -> None:
    listed = {entry["name"]: entry for entry in json.loads(output_of("list", "--json"))}
    assert listed["gizmo"] == {
        "name": "gizmo",
        "distribution": "gizmo-model",
        "version": "2.0",
        "entry_point": "gizmo:Gizmo",
        "problem": "",
    }
    assert "gone_module" in listed["lost"]["problem"]


def test_show_imports_nothing_of_a_third_party_unless_trusted(gizmo: Path) -> None:
    output = output_of("show", "gizmo")
    assert "gizmo-model 2.0" in output
    assert "A model." in output
    assert "echelon>=0.1" in output
    assert "ruff" not in output
    assert "--trust" in output
    assert "weights" not in output
    assert "gizmo" not in sys.modules


def test_show_with_trust_tells_calls_and_settings(gizmo: Path) -> None:
    output = output_of("show", "gizmo", "--trust")
    assert "Serves Gizmo's model." in output
    assert "Calls: language" in output
    assert ["weights", "Path", "required"] in [line.split() for line in output.splitlines()]
    shown = json.loads(output_of("show", "gizmo", "--trust", "--json"))
    assert shown["calls"] == ["language"]
    assert shown["settings"] == [
        {"key": "weights", "type": "Path", "required": True, "default": None},
        {"key": "mode", "type": "'fast' | 'good'", "required": False, "default": "fast"},
        {"key": "size", "type": "int | null", "required": False, "default": None},
        {"key": "from", "type": "list[str]", "required": False, "default": []},
    ]


def test_show_of_ours_needs_no_trust() -> None:
    shown = json.loads(output_of("show", "null", "--json"))
    assert shown["calls"] == ["comprehend", "generate", "language"]
    assert shown["settings"] == [{"key": "text", "type": "str", "required": False, "default": "-"}]


def test_show_of_a_broken_or_unknown_adapter_is_an_error(gizmo: Path) -> None:
    with pytest.raises(AdapterLoadError, match="gone_module"):
        output_of("show", "lost")
    with pytest.raises(AdapterNotFoundError, match="did you mean 'gizmo'"):
        output_of("show", "gizmos")


def test_the_real_command_lists_without_numpy() -> None:
    script = (
        "import sys; from echelon.cli import echelon; echelon(['adapters', 'list'], standalone_mode=False); "
        "sys.exit('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "baseline" in done.stdout
