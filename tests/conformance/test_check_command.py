"""`echelon adapters check` and `new`, as a person or a build server runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FEW = ("--only", "card", "--only", "golden", "--only", "usage", "--only", "broken")


def adapters(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "echelon.cli", "adapters", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=cwd)


def test_an_adapter_that_conforms_ends_with_0_and_a_line_for_each_check(shoddy: None, tmp_path: Path) -> None:
    settings = tmp_path / "sound.yaml"
    settings.write_text("greeting: 'Hear, hear: '\n")
    told = adapters("check", "sound", "--settings", settings, *FEW)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "sound, version 1"
    assert lines[1] == "comprehend text -> text"
    assert [line.split()[:2] for line in lines[3:-1]] == [
        ["ok", "card"],
        ["ok", "golden"],
        ["skip", "broken"],
        ["ok", "usage"],
    ]
    assert lines[5].endswith("no kind that the card lists has broken media")
    assert lines[-1].startswith("3 passed, 0 failed, 1 skipped in ")


def test_a_fault_ends_with_1_and_says_what_happened_and_what_to_do(shoddy: None, tmp_path: Path) -> None:
    junit, found = tmp_path / "junit.xml", tmp_path / "new" / "folder" / "found.json"
    told = adapters("check", "shoddy-broken", *FEW, "--junit", junit, "--json", found)
    assert told.returncode == 1
    (failure, fix) = (line for line in told.stdout.splitlines() if line.startswith("FAIL") or "fix: " in line)
    assert (
        "an image of random bytes got ADAPTER_EXCEPTION: ValueError: bad magic number (in read, models.py:" in failure
    )
    assert "decode with part.array()" in fix
    expect_the_same_in_json(json.loads(found.read_text()))
    expect_the_same_in_xml(ET.parse(junit).getroot())


def expect_the_same_in_json(found: dict[str, Any]) -> None:
    seconds = [check.pop("seconds") for check in found["checks"]]
    assert all(isinstance(each, float) for each in seconds)
    card, golden, broken, usage = found.pop("checks")
    assert set(card) == {"check", "about", "state", "said", "fix"}
    assert [check["state"] for check in (card, golden, broken, usage)] == ["passed", "passed", "failed", "passed"]
    assert broken["check"] == "broken"
    assert "bad magic number" in broken["said"]
    assert found.pop("echelon")
    assert found == {
        "schema": "echelon.conformance/1",
        "target": "shoddy-broken",
        "adapter": {"name": "shoddy-broken", "distribution": "shoddy-models", "version": "0.3"},
        "model": {"version": "1", "calls": ["comprehend"], "deterministic": True, "weights_digest": ""},
        "conforms": False,
        "passed": 3,
        "failed": 1,
        "skipped": 0,
    }


def expect_the_same_in_xml(root: ET.Element) -> None:
    (suite,) = root
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "0", "skipped": "0"}
    assert [case.get("name") for case in suite] == ["card", "golden", "broken", "usage"]
    (failure,) = suite.iter("failure")
    assert "bad magic number" in failure.get("message", "")
    assert failure.text is not None
    assert failure.text.startswith("decode with part.array()")


def descendants(pid: int) -> list[int]:
    """What any thread of a process has started, and what that has."""
    told = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return [each for child in map(int, " ".join(told).split()) for each in (child, *descendants(child))]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("isolation", ["inproc", "subprocess"])
def test_a_check_that_is_killed_leaves_no_server_behind(shoddy: None, isolation: str) -> None:
    command = [sys.executable, "-m", "echelon.cli", "adapters", "check", "sound", "--isolation", isolation]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as check:
        assert check.stdout is not None
        # The server is up as soon as there is a card to tell of.
        assert check.stdout.readline() == "sound, version 1\n"
        left = descendants(check.pid)
        check.kill()
    # A guardian and the server, and for an adapter of its own process another two.
    assert len(left) == (2 if isolation == "inproc" else 4)
    until = time.monotonic() + 20
    while any(map(is_running, left)) and time.monotonic() < until:
        time.sleep(0.02)
    assert [pid for pid in left if is_running(pid)] == []


def test_a_model_on_a_server_is_checked_over_its_address(shoddy: None, processes: Callable[..., Any]) -> None:
    _, address = processes("--model", "null=null")
    told = adapters("check", f"{address}/null", "--only", "card", "--only", "drain", "--json", "/dev/stdout")
    assert told.returncode == 0, told.stderr
    assert (
        "skip  drain         Told to stop, the server answers what it took and ends: only for adapters" in told.stdout
    )
    assert '"adapter": null' in told.stdout
    # The server goes on.
    assert adapters("check", f"{address}/null", "--only", "golden").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nul",), "no adapter 'nul' is installed (did you mean 'null'?)"),
        (
            ("shoddy-unloaded",),
            "did not load: FileNotFoundError: no weights in /models (in open, models.py:",
        ),
        (("127.0.0.1:9/null",), "error: "),
        (("null", "--only", "gold"), "there is no check 'gold' (did you mean 'golden'?)"),
        (("127.0.0.1:9",), "'127.0.0.1:9' is an address without a model; write 127.0.0.1:9/MODEL"),
        (("null", "--only", "card", "--skip", "card"), "--only and --skip leave no check to carry out"),
        (
            ("null", "--only", "card", "--json", "/dev/null/x.json"),
            "cannot make the folder of /dev/null/x.json",
        ),
        (("127.0.0.1:9/null", "--settings", __file__), "--settings and --isolation are an adapter's"),
        (("null", "--requests", __file__), "line 1: not JSON"),
        (("null", "--tolerance", "-1"), "Invalid value for '--tolerance'"),
        (("null", "--settings", "nowhere.yaml"), "does not exist"),
    ],
)
def test_what_cannot_be_checked_ends_with_2_and_a_line(shoddy: None, arguments: tuple[str, ...], said: str) -> None:
    told = adapters("check", *arguments)
    assert told.returncode == 2
    assert said in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(("target", "extra"), [("127.0.0.1:9/null", "client,media"), ("null", "server")])
@pytest.mark.parametrize("module", ["grpc", "PIL"])
def test_what_the_kit_lacks_is_told_before_the_model_is_blamed(module: str, target: str, extra: str) -> None:
    program = f"import sys; sys.modules['{module}'] = None; sys.argv[1:] = ['adapters', 'check', '{target}']\n"
    program += "from echelon.cli import main; main()"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr == f"error: {module} is not installed; get it with: pip install 'echelon[{extra}]'\n"


def test_settings_that_do_not_fit_are_told_as_they_are_when_serving(shoddy: None, tmp_path: Path) -> None:
    settings = tmp_path / "sound.yaml"
    settings.write_text("greting: Hello\n")
    told = adapters("check", "sound", "--settings", settings)
    assert told.returncode == 2
    assert "unknown key 'greting' (did you mean 'greeting'?)" in told.stderr


def test_a_tolerance_lets_rounding_pass_and_other_words_not(shoddy: None) -> None:
    told = adapters("check", "shoddy-batching", "--only", "batching", "--tolerance", "0.5")
    assert told.returncode == 1
    assert "got another answer than alone" in told.stdout


def test_new_writes_what_it_says_and_never_writes_over_anything(tmp_path: Path) -> None:
    told = adapters("new", "blue-whale", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        Path(line.removeprefix("wrote ")) for line in told.stdout.splitlines() if line.startswith("wrote")
    } == written
    assert "pip install -e 'blue-whale[dev]'" in told.stdout
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = adapters("new", "blue-whale", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr == "error: blue-whale is there already; nothing was written, choose another --folder\n"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Whale", "'Whale' is no name for an adapter"),
        ("blue--whale", "is no name for an adapter"),
        ("../whale", "is no name for an adapter"),
        ("w" * 25, "up to 24 lower case letters"),
        ("class", "a module cannot be called 'class'"),
        ("json", "a module cannot be called 'json'"),
        ("echelon", "a module cannot be called 'echelon'"),
        ("numpy", "a module 'numpy' is installed already"),
        ("null", "echelon brings an adapter 'null' already"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused_with_its_reason(tmp_path: Path, name: str, said: str) -> None:
    told = adapters("new", name, cwd=tmp_path)
    assert told.returncode == 1
    assert said in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("image", ()),
        ("none", ("--async",)),
        ("no", ("--call", "generate")),
        ("twenty-four-letters-long", ("--call", "language", "--call", "generate")),
    ],
)
def test_any_name_and_any_calls_make_code_without_a_fault(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    assert adapters("new", name, *options, cwd=tmp_path).returncode == 0
    for tool in (("ruff", "check"), ("ruff", "format", "--check")):
        told = subprocess.run(
            [sys.executable, "-m", *tool, "."], cwd=tmp_path / name, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout
    tests = [sys.executable, "-m", "pytest", "-q", "tests/test_adapter.py", "-p", "no:cacheprovider"]
    told = subprocess.run(
        [*tests, "-o", "pythonpath=src"], cwd=tmp_path / name, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout
