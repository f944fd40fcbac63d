"""Runs, from the command line to the journal, against a real server with a real third-party plug-in."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Serve: TypeAlias = Callable[..., AbstractContextManager[Any]]
Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = '''
import time
from dataclasses import dataclass
from pathlib import Path

from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, Refusal, Text


@dataclass(frozen=True)
class MoodySettings:
    """Every how-manyth question ends how; each answered question leaves a line in `log`."""

    log: Path
    raise_every: int = 0
    refuse_every: int = 0
    hang_every: int = 0
    wrong_kind_every: int = 0
    delay_ms: float = 0.0


class Moody(BatchAdapter[MoodySettings]):
    def open(self, settings):
        self.settings = settings

    def card(self):
        return Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), deterministic=True)

    def language(self, requests):
        return [self.answer(int(request.instruction.split()[-1])) for request in requests]

    def answer(self, number):
        settings = self.settings
        with settings.log.open("a") as log:
            log.write(f"{number}\\n")
        time.sleep(settings.delay_ms / 1000)
        if settings.hang_every and number % settings.hang_every == 0:
            time.sleep(1.5)
        if settings.raise_every and number % settings.raise_every == 0:
            raise RuntimeError("the secret is 4711")
        if settings.refuse_every and number % settings.refuse_every == 0:
            return Refusal("mood", "not today")
        return Answer((Text("even" if number % 2 == 0 else "odd"),))
'''

MANIFEST = """
name: parity
version: "1"
tasks:
  - id: parity
    title: Even or odd
    modality: language
    paradigm: language
    skill: arithmetic
    instruction: "Even or odd: {number}"
    output: text
    labels: [even, odd]
    extractor: label
    metric: accuracy
    chance: 0.5
    samples: parity.jsonl
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which the plug-in is installed."""
    site = tmp_path / "site"
    info = site / "moody-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "moody.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[echelon.adapters]\nmoody = moody:Moody\n")
    return {**os.environ, "PYTHONPATH": str(site), "ECHELON_CACHE": str(tmp_path / "cache")}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with 200 questions, numbered from 1."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    lines = [
        {"id": f"{n:04}", "fields": {"number": str(n)}, "parts": [], "reference": {"kind": "choice", "labels": [word]}}
        for n in range(1, 201)
        for word in ["even" if n % 2 == 0 else "odd"]
    ]
    (folder / "parity.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Serve:
    """Starts servers of the plug-in."""

    @contextmanager
    def start(listen: str = "127.0.0.1:0", **settings: Any) -> Iterator[Any]:
        config = tmp_path / "server.json"
        model = {"name": "moody", "adapter": "moody", "settings": {"log": str(tmp_path / "asked"), **settings}}
        config.write_text(json.dumps({"listener": {"listen": listen}, "models": [{**model, "max_batch_size": 4}]}))
        command = [sys.executable, "-m", "echelon.cli", "serve", "--trust", "--config", str(config)]
        child: Any = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        try:
            child.address = child.stdout.readline().rpartition(" on ")[2].strip()
            assert child.address
            yield child
        finally:
            child.terminate()
            child.wait(20)
            child.stdout.close()

    return start


@pytest.fixture
def echelon(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Runs the command line to its end."""

    def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "echelon.cli", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60, **options
        )

    return run


def asked(folder: Path) -> int:
    return len((folder / "asked").read_text().splitlines())


def was_asked(folder: Path, least: int) -> bool:
    return (folder / "asked").exists() and asked(folder) >= least


def task_of(result: Any) -> Any:
    return json.loads(result.stdout)["tasks"][0]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_complete_run_exits_0_and_the_same_command_asks_nothing_again(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    with serve() as server:
        first = echelon("run", suite, "--model", f"{server.address}/moody", "--json")
        again = echelon("run", suite, "--model", f"{server.address}/moody", "--json")
    assert first.returncode == 0, first.stderr
    assert task_of(first)["score"] == 1.0
    assert first.stdout == again.stdout
    assert asked(tmp_path) == 200


def test_new_asks_everything_again_under_another_run(serve: Serve, echelon: Run, suite: Path, tmp_path: Path) -> None:
    with serve() as server:
        first = echelon("run", suite, "--model", f"{server.address}/moody", "--json")
        again = echelon("run", suite, "--model", f"{server.address}/moody", "--json", "--new")
    assert json.loads(first.stdout)["run"] != json.loads(again.stdout)["run"]
    assert asked(tmp_path) == 400


def test_a_model_that_fails_one_question_in_a_hundred_keeps_the_others_and_says_so(
    serve: Serve, echelon: Run, suite: Path
) -> None:
    with serve(raise_every=100) as server:
        result = echelon("run", suite, "--model", f"{server.address}/moody", "--json")
        table = echelon("report", "last", "--text")
    assert result.returncode == 3, result.stderr
    task = task_of(result)
    assert task["counts"] == {"answered": 198, "crashed": 2}
    assert task["score"] == 0.99
    assert "crashed" in table.stdout
    assert "4711" not in result.stdout + result.stderr + table.stdout


def test_refusals_are_outcomes_of_their_own_and_count_as_worst(serve: Serve, echelon: Run, suite: Path) -> None:
    with serve(refuse_every=10) as server:
        result = echelon("run", suite, "--model", f"{server.address}/moody", "--json")
    assert result.returncode == 3
    assert task_of(result)["counts"] == {"answered": 180, "refused": 20}
    assert task_of(result)["score"] == 0.9


def test_a_time_out_leaves_the_task_incomplete_and_without_a_score_until_it_is_resumed(
    serve: Serve, echelon: Run, suite: Path
) -> None:
    port = free_port()
    with serve(f"127.0.0.1:{port}", hang_every=150) as server:
        stopped = echelon(
            "run", suite, "--model", f"{server.address}/moody", "--json", "--timeout", "0.6", "--max-calls", "8"
        )
    assert stopped.returncode == 4, stopped.stderr
    task = task_of(stopped)
    assert task["score"] is None
    assert task["counts"]["unavailable"] >= 1
    with serve(f"127.0.0.1:{port}") as server:
        resumed = echelon("run", suite, "--model", f"{server.address}/moody", "--json")
    assert resumed.returncode == 0
    assert task_of(resumed)["score"] == 1.0
    assert json.loads(resumed.stdout)["run"] == json.loads(stopped.stdout)["run"]


def test_a_server_killed_in_the_middle_is_waited_for_and_the_report_has_the_same_bytes(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with serve() as server:
        echelon("run", suite, "--model", f"{server.address}/moody", "--report", "calm.html", "--store", "calm")
    port = free_port()
    command = [sys.executable, "-m", "echelon.cli", "run", str(suite), "--model", f"127.0.0.1:{port}/moody"]
    with serve(f"127.0.0.1:{port}", delay_ms=10) as server:
        run = subprocess.Popen(
            [*command, "--report", "stormy.html", "--store", "stormy", "--max-calls", "8"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(partial(was_asked, tmp_path, 251))
        server.kill()
        server.wait()
        time.sleep(0.5)
        with serve(f"127.0.0.1:{port}"):
            assert run.wait(40) == 0
    assert (tmp_path / "stormy.html").read_bytes() == (tmp_path / "calm.html").read_bytes()


def test_kill_9_of_the_scorer_costs_at_most_the_calls_in_flight(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    arguments = ["run", str(suite), "--max-calls", "8", "--report", "report.html", "--model"]
    with serve(delay_ms=5) as server:
        target = f"{server.address}/moody"
        for kill_after in (40, 90, 140):
            run = subprocess.Popen(
                [sys.executable, "-m", "echelon.cli", *arguments, target],
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            wait_for(partial(was_asked, tmp_path, kill_after))
            run.send_signal(signal.SIGKILL)
            run.wait()
        last = echelon(*arguments, target)
        assert last.returncode == 0, last.stderr
        assert asked(tmp_path) <= 200 + 3 * 8
        resumed = (tmp_path / "report.html").read_bytes()
        echelon("run", suite, "--model", target, "--store", "calm", "--report", "calm.html")
    assert resumed == (tmp_path / "calm.html").read_bytes()


def test_order_and_concurrency_change_no_byte_of_the_report(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    with serve(raise_every=11, refuse_every=7) as server:
        for calls in (1, 5, 64):
            target = f"{server.address}/moody"
            echelon(
                "run", suite, "--model", target, "--store", f"s{calls}", "--report", f"r{calls}", "--max-calls", calls
            )
    assert (tmp_path / "r1").read_bytes() == (tmp_path / "r5").read_bytes() == (tmp_path / "r64").read_bytes()


def test_a_server_that_never_comes_back_ends_the_run_incomplete_and_resumable(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "echelon.cli", "run", str(suite), "--model", f"127.0.0.1:{port}/moody"]
    with serve(f"127.0.0.1:{port}", delay_ms=10) as server:
        run = subprocess.Popen(
            [*command, "--max-calls", "8", "--patience", "1"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(partial(was_asked, tmp_path, 51))
        server.kill()
        _, errors = run.communicate(timeout=40)
    assert run.returncode == 4
    assert "the same command resumes it" in errors


def test_a_full_disk_stops_the_run_cleanly_and_loses_nothing(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    with serve() as server:
        target = f"{server.address}/moody"
        full = echelon(
            "run",
            suite,
            "--model",
            target,
            "--max-calls",
            "4",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000)),
        )
        assert full.returncode == 1, full.stdout
        assert "nothing that was stored is lost" in full.stderr
        assert "Traceback" not in full.stderr
        resumed = echelon("run", suite, "--model", target, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert task_of(resumed)["counts"] == {"answered": 200}


def test_a_reference_run_sets_the_sota_and_other_samples_are_refused(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    with serve() as server:
        target = f"{server.address}/moody"
        reference = json.loads(echelon("run", suite, "--model", target, "--json").stdout)["run"]
        result = echelon("run", suite, "--model", target, "--json", "--new", "--sota", reference[:10])
        sota = task_of(result)["sota"]
        assert (sota["score"], sota["n"]) == (1.0, 200)
        lines = (suite / "parity.jsonl").read_text().splitlines()
        (suite / "parity.jsonl").write_text("\n".join(lines[:100]))
        refused = echelon("run", suite, "--model", target, "--sota", reference[:10])
    assert refused.returncode == 1
    assert "has changed since run" in refused.stderr


def test_a_sota_file_is_read_and_its_faults_are_named(serve: Serve, echelon: Run, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "sota.json").write_text('{"tasks": {"parity": {"score": 0.9, "source": "a paper"}}}')
    (tmp_path / "bad.json").write_text('{"tasks": {"parity": {"scor": 0.9, "source": "a paper"}}}')
    with serve() as server:
        target = f"{server.address}/moody"
        good = echelon("run", suite, "--model", target, "--sota", "sota.json", "--json")
        bad = echelon("run", suite, "--model", target, "--sota", "bad.json")
    assert task_of(good)["sota"]["score"] == 0.9
    assert task_of(good)["won"] is True
    assert bad.returncode == 1
    assert "did you mean 'score'?" in bad.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nowhere"], "is no target"),
        (["--model", "{address}/moddy"], "did you mean 'moody'?"),
        (["--model", "{address}/moody", "--task", "party"], "did you mean 'parity'?"),
        (["--model", "{address}/moody", "--sota", "4711"], "no run '4711'"),
    ],
)
def test_what_is_mistyped_is_named_with_the_nearest_right_word(
    serve: Serve, echelon: Run, suite: Path, arguments: list[str], said: str
) -> None:
    with serve() as server:
        result = echelon("run", suite, *(word.format(address=server.address) for word in arguments))
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_runs_tells_what_the_report_leaves_out(serve: Serve, echelon: Run, suite: Path) -> None:
    with serve(raise_every=100) as server:
        echelon("run", suite, "--model", f"{server.address}/moody")
        listed = echelon("runs", "list")
        shown = json.loads(echelon("runs", "show", "last", "--json").stdout)
    assert server.address in listed.stdout
    assert shown["outcomes"] == {"answered": 198, "crashed": 2}
    assert {attempt["reason"] for attempt in shown["failed_attempts"]} == {"ADAPTER_EXCEPTION"}


def test_a_store_has_one_writer(
    serve: Serve, echelon: Run, suite: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with serve(delay_ms=20) as server:
        command = [sys.executable, "-m", "echelon.cli", "run", str(suite), "--model", f"{server.address}/moody"]
        run = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(partial(was_asked, tmp_path, 1))
        second = echelon("run", suite, "--model", f"{server.address}/moody")
        run.kill()
        run.wait()
    assert second.returncode == 1
    assert "another run is writing" in second.stderr


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
