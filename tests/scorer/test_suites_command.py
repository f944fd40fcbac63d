"""`echelon suites`, as typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from echelon.scorer.commands.suites import suites

TASK = {
    "id": "words",
    "title": "Words",
    "modality": "language",
    "paradigm": "language",
    "skill": "reading aloud",
    "instruction": "Say it.",
    "output": "text",
    "extractor": "text",
    "metric": "anls",
    "chance": 0.05,
    "samples": "words.jsonl",
}
TEXT = {"kind": "text", "value": "hello"}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(suites, arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite of one task and two samples."""
    # JSON is YAML.
    (tmp_path / "suite.yaml").write_text(json.dumps({"name": "tiny", "version": "1", "title": "Tiny", "tasks": [TASK]}))
    lines = [json.dumps({"id": str(i), "parts": [TEXT], "reference": TEXT}) for i in range(2)]
    (tmp_path / "words.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_list_names_each_suite_with_its_distribution() -> None:
    lines = run("list").output.splitlines()
    assert lines[0].split() == ["NAME", "DISTRIBUTION", "VERSION", "STATE"]
    assert any(line.split()[:2] == ["starter", "echelon"] and line.endswith("ok") for line in lines)


def test_list_tells_a_broken_suite_and_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "acme-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 3\n")
    (info / "entry_points.txt").write_text("[echelon.suites]\nmine = gone_module:Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = run("list", "--json")
    assert result.exit_code == 0
    (mine,) = [entry for entry in json.loads(result.output) if entry["name"] == "mine"]
    assert (mine["distribution"], mine["version"]) == ("acme", "3")
    assert mine["problem"] == "its module 'gone_module' is not installed"


def test_list_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from echelon.scorer.commands.suites import suites\n"
        "suites(['list'], standalone_mode=False)\n"
        "heavy = {'numpy', 'pycocotools', 'scipy', 'PIL', 'echelon.scorer.suites.starter'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_show_prints_the_identity_and_an_aligned_table_of_tasks(folder: Path) -> None:
    result = run("show", str(folder))
    assert result.exit_code == 0
    header, row = result.output.splitlines()[-2:]
    assert header.split() == ["ID", "MODALITY", "PARADIGM", "SKILL", "METRIC", "CHANCE", "SAMPLES"]
    assert row.split("  ")[0] == "words"
    assert row[header.index("SKILL") :].startswith("reading aloud  ")
    assert row[header.index("CHANCE") :].split() == ["0.05", "2"]
    digest = next(line.split()[1] for line in result.output.splitlines() if line.startswith("Digest"))
    assert f"tiny@{digest[:4]}" in result.output


def test_show_gives_the_same_as_json(folder: Path) -> None:
    shown = json.loads(run("show", str(folder), "--json").output)
    assert (shown["name"], shown["title"], len(shown["digest"])) == ("tiny", "Tiny", 64)
    (task,) = shown["tasks"]
    assert (task["id"], task["output"], task["chance"], task["samples"]) == ("words", ["text"], 0.05, 2)


def test_validate_counts_what_is_in_order(folder: Path) -> None:
    result = run("validate", str(folder))
    assert (result.exit_code, result.stdout) == (0, f"{folder} is in order: 1 task, 2 samples\n")


def test_validate_prints_every_fault_and_fails(folder: Path) -> None:
    (folder / "words.jsonl").write_text("{\n[\n")
    result = run("validate", str(folder))
    assert result.exit_code == 1
    *faults, error = result.output.splitlines()
    assert [line.partition(": ")[0] for line in faults] == ["words.jsonl:1", "words.jsonl:2"]
    assert "2 faults" in error


def test_validate_tells_the_faults_of_a_manifest(folder: Path) -> None:
    (folder / "suite.yaml").write_text("name: [")
    result = run("validate", str(folder))
    assert result.exit_code == 1
    assert "is not valid YAML" in result.stdout


def test_build_writes_a_suite_that_validates(tmp_path: Path) -> None:
    built = run("build", "starter", str(tmp_path / "s"), "--samples", "2", "--seed", "1")
    assert built.exit_code == 0, built.output
    assert run("validate", str(tmp_path / "s")).output == f"{tmp_path / 's'} is in order: 16 tasks, 32 samples\n"


def test_show_builds_a_named_suite_of_the_wanted_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path))
    shown = json.loads(run("show", "starter", "--samples", "2", "--seed", "7", "--json").output)
    assert {task["samples"] for task in shown["tasks"]} == {2}
    assert [path.name.rpartition("-")[0] for path in tmp_path.iterdir()] == ["starter-2-7"]


@pytest.mark.parametrize("arguments", [("show", "starter", "--samples", "0"), ("build", "starter"), ("validate",)])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_an_unknown_name_becomes_one_line_of_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from echelon.cli import main; main()", "suites", "show", "startr"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: there is no suite 'startr' (did you mean 'starter'?); a folder needs a suite.yaml in it\n"
    )
