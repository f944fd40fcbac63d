"""Runs, from the command line to the journal, against a real server with a real third-party plug-in."""

import json
import os
import re
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
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

import pytest

Serve: TypeAlias = Callable[..., AbstractContextManager[Any]]
Begin: TypeAlias = Callable[..., subprocess.Popen[str]]
Shared: TypeAlias = tuple[str, Path]


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run: TypeAlias = Callable[..., Ended]

PLUGIN = '''
import time
from dataclasses import dataclass, field
from pathlib import Path

from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, Number, Refusal, Text, Usage
from echelon.adapters.settings import NO_IDENTITY

USAGE = Usage(10, 2, cost_nano_usd=1_500_000)


@dataclass(frozen=True)
class MoodySettings:
    """Every how-manyth question ends how; each answered question leaves a line in `log`.

    How long it takes is the machine's affair, and makes no other model.
    """

    log: Path = field(metadata=NO_IDENTITY)
    raise_every: int = 0
    refuse_every: int = 0
    hang_every: int = field(default=0, metadata=NO_IDENTITY)
    wrong_kind_every: int = 0
    delay_ms: float = field(default=0.0, metadata=NO_IDENTITY)


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
            return Refusal("mood", "not today", USAGE)
        if settings.wrong_kind_every and number % settings.wrong_kind_every == 0:
            return Answer((Number(number),), usage=USAGE)
        return Answer((Text("even" if number % 2 == 0 else "odd"),), usage=USAGE)
'''

PROBES = 9
"""Calls that a run of 200 questions makes more: three samples are asked thrice."""

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


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the plug-in is installed."""
    folder = tmp_path_factory.mktemp("environment")
    site = folder / "site"
    info = site / "moody-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "moody.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[echelon.adapters]\nmoody = moody:Moody\n")
    return {**os.environ, "PYTHONPATH": str(site), "ECHELON_CACHE": str(folder / "cache")}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with 200 questions, numbered from 1."""
    return make_suite(tmp_path / "suite", 200)


def make_suite(folder: Path, count: int) -> Path:
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    lines = [
        {"id": f"{n:04}", "fields": {"number": str(n)}, "parts": [], "reference": {"kind": "choice", "labels": [word]}}
        for n in range(1, count + 1)
        for word in ["even" if n % 2 == 0 else "odd"]
    ]
    (folder / "parity.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@contextmanager
def serving(
    folder: Path, environment: dict[str, str], models: dict[str, dict[str, Any]], listen: str = "127.0.0.1:0"
) -> Iterator[Any]:
    """A server of the plug-in under several names; model NAME notes what it is asked in `folder/asked-NAME`."""
    config = folder / f"server-{uuid4().hex}.json"
    served = [
        {
            "name": name,
            "adapter": "moody",
            "settings": {"log": str(folder / f"asked-{name}"), **settings},
            "max_batch_size": 4,
        }
        for name, settings in models.items()
    ]
    config.write_text(json.dumps({"listener": {"listen": listen}, "models": served}))
    command = [sys.executable, "-m", "echelon.cli", "serve", "--trust", "moody", "--config", str(config)]
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Shared]:
    """One server for all tests that leave it as it is: its address, and where its models note what they are asked."""
    folder = tmp_path_factory.mktemp("shared")
    models: dict[str, dict[str, Any]] = {
        "calm": {},
        "asked-once": {},
        "asked-twice": {},
        "raising": {"raise_every": 100},
        "refusing": {"refuse_every": 10},
        "failing": {"raise_every": 11, "refuse_every": 7},
        "wasteful": {"raise_every": 100, "refuse_every": 10, "wrong_kind_every": 5},
    }
    with serving(folder, environment, models) as server:
        yield server.address, folder


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Serve:
    """Starts servers of one model called "moody"."""

    def start(listen: str = "127.0.0.1:0", **settings: Any) -> Any:
        return serving(tmp_path, environment, {"moody": settings}, listen)

    return start


@pytest.fixture
def echelon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line to its end, in this process and therefore fast."""
    from echelon.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> Ended:
        monkeypatch.setattr(sys, "argv", ["echelon", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def begin(tmp_path: Path, environment: dict[str, str]) -> Iterator[Begin]:
    """Begins commands that are not waited for."""
    begun: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "echelon.cli", *map(str, arguments)]
        options |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, env=environment, cwd=tmp_path, **options))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def timeless(page: Path) -> str:
    """The report without the times that the model took, which are all that two runs of it may differ in."""
    times = re.compile('<td class="n time">.*?</td>')
    text = page.read_text()
    assert times.search(text)
    return times.sub("", text)


def asked(folder: Path, model: str = "moody") -> int:
    return len((folder / f"asked-{model}").read_text().splitlines())


def was_asked(folder: Path, least: int) -> bool:
    return (folder / "asked-moody").exists() and asked(folder) >= least


def task_of(result: Any) -> Any:
    return json.loads(result.stdout)["tasks"][0]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_complete_run_exits_0_and_the_same_command_asks_nothing_again(
    shared: Shared, echelon: Run, suite: Path
) -> None:
    address, folder = shared
    first = echelon("run", suite, "--model", f"{address}/asked-once", "--json")
    again = echelon("run", suite, "--model", f"{address}/asked-once", "--json")
    assert first.returncode == 0, first.stderr
    assert task_of(first)["score"] == 1.0
    assert first.stdout == again.stdout
    assert asked(folder, "asked-once") == 200 + PROBES


def test_new_asks_everything_again_under_another_run(shared: Shared, echelon: Run, suite: Path) -> None:
    address, folder = shared
    first = echelon("run", suite, "--model", f"{address}/asked-twice", "--json")
    again = echelon("run", suite, "--model", f"{address}/asked-twice", "--json", "--new")
    assert json.loads(first.stdout)["run"] != json.loads(again.stdout)["run"]
    assert asked(folder, "asked-twice") == 2 * (200 + PROBES)


def test_a_model_that_fails_one_question_in_a_hundred_keeps_the_others_and_says_so(
    shared: Shared, echelon: Run, suite: Path
) -> None:
    result = echelon("run", suite, "--model", f"{shared[0]}/raising", "--json")
    table = echelon("report", "last", "--text")
    shown = json.loads(echelon("runs", "show", "last", "--json").stdout)
    listed = echelon("runs", "list")
    assert result.returncode == 3, result.stderr
    task = task_of(result)
    assert task["counts"] == {"answered": 198, "crashed": 2}
    assert task["score"] == 0.99
    assert "crashed" in table.stdout
    assert "4711" not in result.stdout + result.stderr + table.stdout
    # What the report leaves out.
    assert shared[0] in listed.stdout
    assert shown["outcomes"] == {"answered": 198, "crashed": 2}
    assert {attempt["reason"] for attempt in shown["failed_attempts"]} == {"ADAPTER_EXCEPTION"}


def test_what_calls_took_is_summed_whatever_came_of_them(
    shared: Shared, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    command = ("run", suite, "--model", f"{shared[0]}/wasteful", "--probes", 0)
    told = echelon(*command, "--report", "report.html").stdout
    result = echelon(*command, "--json")
    task = task_of(result)
    assert task["counts"] == {"answered": 160, "refused": 18, "invalid": 20, "crashed": 2}
    # Of what raised, nobody knows.
    used = task["usage"]
    assert used == json.loads(result.stdout)["usage"] == json.loads(echelon("runs", "show", "--json").stdout)["usage"]
    assert (used["calls"], used["samples"]) == (198, 198)
    assert (used["input_token_count"], used["output_token_count"]) == (1980, 396)
    assert used["cost_usd"] == pytest.approx(0.297)
    assert used["compute_s"] > 0
    assert re.search(r"^took +calls +tokens in +tokens out +cost +in the model +a call", told, re.MULTILINE)
    assert re.search(r"^parity +198 +1,980 +396 +\$0\.2970 +[\d.]+ m?s", told, re.MULTILINE)
    assert "Known of 198 of 200 samples." in told
    page = (tmp_path / "report.html").read_text()
    assert '<td class="n">$0.2970</td>' in page
    assert "<dt>cost</dt><dd>$0.2970</dd>" in page


def test_refusals_are_outcomes_of_their_own_and_count_as_worst(shared: Shared, echelon: Run, suite: Path) -> None:
    result = echelon("run", suite, "--model", f"{shared[0]}/refusing", "--json")
    assert result.returncode == 3
    assert task_of(result)["counts"] == {"answered": 180, "refused": 20}
    assert task_of(result)["score"] == 0.9


def test_a_time_out_leaves_the_task_incomplete_and_without_a_score_until_it_is_resumed(
    serve: Serve, echelon: Run, tmp_path: Path
) -> None:
    suite = make_suite(tmp_path / "suite", 40)
    port = free_port()
    command = ("run", suite, "--model", f"127.0.0.1:{port}/moody", "--json", "--max-calls", "8")
    with serve(f"127.0.0.1:{port}", hang_every=30):
        stopped = echelon(*command, "--timeout", "0.6")
    assert stopped.returncode == 4, stopped.stderr
    assert "the run is incomplete: " in stopped.stderr
    assert "; the same command resumes it" in stopped.stderr
    task = task_of(stopped)
    assert task["score"] is None
    assert task["counts"]["unavailable"] >= 1
    with serve(f"127.0.0.1:{port}"):
        resumed = echelon(*command)
    assert resumed.returncode == 0
    assert task_of(resumed)["score"] == 1.0
    assert json.loads(resumed.stdout)["run"] == json.loads(stopped.stdout)["run"]


def test_a_server_killed_in_the_middle_is_waited_for_and_the_report_has_the_same_bytes(
    serve: Serve, echelon: Run, begin: Begin, suite: Path, tmp_path: Path
) -> None:
    port = free_port()
    with serve(f"127.0.0.1:{port}", delay_ms=5) as server:
        target = f"127.0.0.1:{port}/moody"
        run = begin("run", suite, "--model", target, "--report", "stormy.html", "--store", "stormy", "--max-calls", 8)
        wait_for(partial(was_asked, tmp_path, 51))
        server.kill()
        server.wait()
        time.sleep(0.3)
        with serve(f"127.0.0.1:{port}"):
            assert run.wait(40) == 0
            echelon("run", suite, "--model", target, "--report", "calm.html", "--store", "calm")
    assert timeless(tmp_path / "stormy.html") == timeless(tmp_path / "calm.html")


def test_kill_9_of_the_scorer_costs_at_most_the_calls_in_flight(
    serve: Serve, echelon: Run, begin: Begin, suite: Path, tmp_path: Path
) -> None:
    with serve(delay_ms=5) as server:
        target = f"{server.address}/moody"
        command = ("run", suite, "--max-calls", 8, "--report", "report.html", "--model", target)
        for kill_after in (40, 90, 140):
            run = begin(*command)
            wait_for(partial(was_asked, tmp_path, kill_after))
            run.send_signal(signal.SIGKILL)
            run.wait()
        last = echelon(*command)
        assert last.returncode == 0, last.stderr
        assert asked(tmp_path) <= 200 + PROBES + 3 * 8
        resumed = timeless(tmp_path / "report.html")
        echelon("run", suite, "--model", target, "--store", "calm", "--report", "calm.html")
    assert resumed == timeless(tmp_path / "calm.html")


def test_ctrl_c_exits_130_and_says_how_to_go_on(
    serve: Serve, echelon: Run, begin: Begin, suite: Path, tmp_path: Path
) -> None:
    with serve(delay_ms=5) as server:
        command = ("run", suite, "--max-calls", 8, "--model", f"{server.address}/moody")
        run = begin(*command)
        wait_for(partial(was_asked, tmp_path, 40))
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=20)
        assert run.returncode == 130, errors
        assert errors.splitlines()[-1] == "interrupted; what was answered is stored, and the same command resumes it"
        assert "Traceback" not in errors
        assert echelon(*command).returncode == 0
    assert asked(tmp_path) <= 200 + PROBES + 8


def test_order_and_concurrency_change_no_byte_of_the_report(shared: Shared, echelon: Run, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", 40)
    for calls in (1, 5, 64):
        target = f"{shared[0]}/failing"
        echelon("run", suite, "--model", target, "--store", f"s{calls}", "--report", f"r{calls}", "--max-calls", calls)
    assert timeless(tmp_path / "r1") == timeless(tmp_path / "r5") == timeless(tmp_path / "r64")


def test_a_server_that_never_comes_back_ends_the_run_incomplete_and_resumable(
    serve: Serve, begin: Begin, suite: Path, tmp_path: Path
) -> None:
    with serve(delay_ms=10) as server:
        run = begin("run", suite, "--model", f"{server.address}/moody", "--max-calls", 8, "--patience", 1)
        wait_for(partial(was_asked, tmp_path, 51))
        server.kill()
        _, errors = run.communicate(timeout=40)
    assert run.returncode == 4
    assert "the same command resumes it" in errors


def test_a_full_disk_stops_the_run_cleanly_and_loses_nothing(
    serve: Serve, echelon: Run, begin: Begin, suite: Path
) -> None:
    with serve() as server:
        target = f"{server.address}/moody"
        full = begin(
            *("run", suite, "--model", target, "--max-calls", 4),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000)),
        )
        _, errors = full.communicate(timeout=40)
        assert full.returncode == 1
        assert "nothing that was stored is lost" in errors
        assert "Traceback" not in errors
        resumed = echelon("run", suite, "--model", target, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert task_of(resumed)["counts"] == {"answered": 200}


def test_what_the_server_had_answered_when_its_answer_was_lost_is_not_asked_again(
    serve: Serve, echelon: Run, begin: Begin, suite: Path, tmp_path: Path
) -> None:
    with serve() as server:
        command = ("run", suite, "--model", f"{server.address}/moody", "--max-calls", 1, "--probes", 0)
        # The disk is full while an answer is on its way to the journal.
        full = begin(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000)))
        full.communicate(timeout=60)
        assert full.returncode == 1
        assert 0 < len((tmp_path / "asked-moody").read_text().splitlines()) < 200
        assert echelon(*command).returncode == 0
    assert sorted(map(int, (tmp_path / "asked-moody").read_text().split())) == list(range(1, 201))


def test_a_reference_run_sets_the_sota_and_other_samples_are_refused(shared: Shared, echelon: Run, suite: Path) -> None:
    target = f"{shared[0]}/calm"
    reference = json.loads(echelon("run", suite, "--model", target, "--json").stdout)["run"]
    result = echelon("run", suite, "--model", target, "--json", "--new", "--sota", reference[:10])
    sota = task_of(result)["sota"]
    assert (sota["score"], sota["n"]) == (1.0, 200)
    lines = (suite / "parity.jsonl").read_text().splitlines()
    (suite / "parity.jsonl").write_text("\n".join(lines[:100]))
    refused = echelon("run", suite, "--model", target, "--sota", reference[:10])
    assert refused.returncode == 1
    assert "has changed since run" in refused.stderr


def test_a_suite_that_moved_is_told_and_found_again_by_running_it(
    shared: Shared, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    target = f"{shared[0]}/calm"
    first = echelon("run", suite, "--model", target, "--json")
    suite.rename(tmp_path / "moved")
    lost = echelon("report", "--text")
    again = echelon("run", "moved", "--model", target, "--json", "--report", "/proc/none/report.html")
    found = echelon("report", "--json")
    assert lost.returncode == 1
    assert "is no longer in" in lost.stderr
    assert again.stdout == found.stdout == first.stdout
    assert "cannot write the report to /proc/none/report.html" in again.stderr


def test_a_sota_file_is_read_and_its_faults_are_named(
    shared: Shared, echelon: Run, suite: Path, tmp_path: Path
) -> None:
    (tmp_path / "sota.json").write_text('{"tasks": {"parity": {"score": 0.9, "source": "a paper"}}}')
    (tmp_path / "bad.json").write_text('{"tasks": {"parity": {"scor": 0.9, "source": "a paper"}}}')
    target = f"{shared[0]}/calm"
    good = echelon("run", suite, "--model", target, "--sota", "sota.json", "--json")
    bad = echelon("run", suite, "--model", target, "--sota", "bad.json")
    assert task_of(good)["sota"]["score"] == 0.9
    assert task_of(good)["won"] is True
    assert bad.returncode == 1
    assert "did you mean 'score'?" in bad.stderr


@pytest.mark.parametrize("score", [90, -0.1])
def test_a_published_figure_off_the_metrics_scale_is_refused(
    shared: Shared, echelon: Run, suite: Path, tmp_path: Path, score: float
) -> None:
    (tmp_path / "sota.json").write_text(f'{{"tasks": {{"parity": {{"score": {score}, "source": "a paper"}}}}}}')
    found = echelon("run", suite, "--model", f"{shared[0]}/calm", "--sota", "sota.json")
    assert found.returncode == 1
    assert f"sota.json: tasks.parity: 'score' must be from 0 to 1, the scale of accuracy, not {score}" in found.stderr
    assert "give a fraction, as 0.85 for 85 %" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "nowhere"], 1, "is no target"),
        (["--model", "{address}/clam"], 1, "did you mean 'calm'?"),
        (["--model", "{address}/calm", "--task", "party"], 1, "did you mean 'parity'?"),
        (["--model", "{address}/calm", "--sota", "4711"], 1, "no run '4711'"),
        (["--model", "{address}/calm", "--sota", "last"], 2, "--sota last would mean another run each time"),
    ],
)
def test_what_is_mistyped_is_named_with_the_nearest_right_word(
    shared: Shared, echelon: Run, suite: Path, arguments: list[str], code: int, said: str
) -> None:
    result = echelon("run", suite, *(word.format(address=shared[0]) for word in arguments))
    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_store_has_one_writer(serve: Serve, echelon: Run, begin: Begin, suite: Path, tmp_path: Path) -> None:
    with serve(delay_ms=20) as server:
        begin("run", suite, "--model", f"{server.address}/moody")
        wait_for(partial(was_asked, tmp_path, 1))
        second = echelon("run", suite, "--model", f"{server.address}/moody")
    assert second.returncode == 1
    assert "another run is writing" in second.stderr


def test_each_try_at_a_closed_suite_may_claim_half_of_what_is_left(suite: Path, shared: Shared, echelon: Run) -> None:
    (suite / "suite.yaml").write_text(f"closed: true{MANIFEST}")
    command = ("run", suite, "--model", f"{shared[0]}/calm", "--quiet", "--json")
    spent = [
        json.loads(echelon(*command, *options).stdout)["levels"][0]["alpha"]
        for options in ((), (), ("--new",), ("--new",), ())
    ]
    # The second and the last command find the latest run again, which stays what it was.
    assert spent == [0.025, 0.025, 0.0125, 0.00625, 0.00625]
    assert json.loads(echelon("runs", "show", "last", "--json").stdout)["attempt"] == 3
