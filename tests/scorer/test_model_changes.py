"""A run belongs to one model: what happens when the model behind an address is exchanged, or does not repeat itself."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

from echelon.adapters import Card, Text
from echelon.clients import ModelInfo
from echelon.scorer.identity import identity_of
from echelon.scorer.outcomes import State
from echelon.scorer.report.identity import as_plain, rows
from echelon.scorer.store import RunRecord, Store

SAMPLES = 180
PROBES = 9
"""Calls that a run of so many samples makes more: three samples are asked thrice."""

PLUGIN = '''
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, Text
from echelon.adapters.settings import NO_IDENTITY

VERSION = "VERSION"


@dataclass(frozen=True)
class ChangelingSettings:
    """`kind`: a constant model, one that counts its calls, one that changes once after 100 of them."""

    log: Path = field(metadata=NO_IDENTITY)
    weights: Path
    delay_ms: float = field(default=0.0, metadata=NO_IDENTITY)
    bias: str = ""
    engine: str = "engine 1"
    precision: str = "float32"
    kind: Literal["constant", "counter", "drifting"] = "constant"


class Changeling(BatchAdapter[ChangelingSettings]):
    """Says in every answer which model it is."""

    def open(self, settings):
        self.settings = settings
        self.calls = count()
        parts = (VERSION, settings.weights.read_text(), settings.bias, settings.engine, settings.precision)
        self.says = " ".join(parts)

    def card(self):
        language = CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,))
        settings = self.settings
        return Card("1", (language,), deterministic=True, engine=settings.engine, precision=settings.precision)

    def language(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        with self.settings.log.open("a") as log:
            log.write(f"{request.id}\\n")
        time.sleep(self.settings.delay_ms / 1000)
        called = next(self.calls)
        suffix = {"constant": "", "counter": f" {called}", "drifting": f" {called > 100}"}[self.settings.kind]
        return Answer((Text(self.says + suffix),))
'''

MANIFEST = """
name: sayings
version: "1"
tasks:
  - {id: say, title: Say, modality: language, paradigm: language, skill: saying, instruction: "{say}", output: text,
     extractor: text, metric: anls, chance: 0.0, samples: say.jsonl}
"""


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run: TypeAlias = Callable[..., Ended]
Serve: TypeAlias = Callable[..., AbstractContextManager[Any]]


class World:
    """A plug-in, its weights and its server's settings, all of which can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.site.mkdir()
        self.settings: dict[str, Any] = {"log": str(folder / "asked"), "weights": str(folder / "weights.bin")}
        (folder / "weights.bin").write_text("first")
        self.install("1.0", "one")
        self.environment = {**os.environ, "PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{found.getsockname()[1]}"

    def install(self, version: str, code: str) -> None:
        """Put another distribution in the place of the one before."""
        for info in self.site.glob("*.dist-info"):
            info.rename(self.folder / f"old-{time.monotonic_ns()}")
        info = self.site / f"changeling-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: changeling\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[echelon.adapters]\nchangeling = changeling:Changeling\n")
        (self.site / "changeling.py").write_text(PLUGIN.replace('"VERSION"', repr(code)))

    @contextmanager
    def serving(self) -> Iterator[Any]:
        """A server of the model as it is now, always at the same address."""
        model = {"name": "changeling", "adapter": "changeling", "settings": self.settings, "max_batch_size": 4}
        config = self.folder / "server.json"
        config.write_text(json.dumps({"listener": {"listen": self.address}, "models": [model]}))
        command = [sys.executable, "-m", "echelon.cli", "serve", "--trust", "changeling", "--config", str(config)]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment
        )
        try:
            assert child.stdout is not None
            assert self.address in child.stdout.readline()
            yield child
        finally:
            child.kill()
            child.wait(20)
            assert child.stdout is not None
            child.stdout.close()

    def asked(self) -> int:
        log = self.folder / "asked"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def begin(self, *arguments: Any) -> subprocess.Popen[str]:
        """A command that is not waited for."""
        return subprocess.Popen(
            [sys.executable, "-m", "echelon.cli", *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_asked(self, least: int) -> None:
        end = time.monotonic() + 30
        while self.asked() < least:
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.01)

    def answers(self, run: str, store: str = "echelon-runs") -> list[str]:
        """What the model said in each outcome of a run."""
        with Store(self.folder / store) as opened:
            ids = [f"{n:03}" for n in range(SAMPLES)]
            outcomes = [found for found in opened.outcomes(run, "say", ids) if found is not None]
        assert all(outcome.state is State.ANSWERED for outcome in outcomes)
        return [part.value for outcome in outcomes for part in outcome.parts if isinstance(part, Text)]

    def runs(self) -> list[str]:
        """The stored runs, oldest first."""
        with Store(self.folder / "echelon-runs") as opened:
            return [record.run for record in reversed(opened.runs())]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    text = {"kind": "text", "value": "yes"}
    lines = [{"id": f"{n:03}", "fields": {"say": f"{n}"}, "parts": [], "reference": text} for n in range(SAMPLES)]
    (folder / "say.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


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


def change_weights(world: World) -> None:
    (world.folder / "weights.bin").write_text("other")


CHANGES: dict[str, tuple[Callable[[World], Any], str]] = {
    "settings": (lambda world: world.settings.update(bias="biased"), "changed: settings)"),
    "weights": (change_weights, "changed: files)"),
    "version": (lambda world: world.install("1.1", "two"), "changed: distribution version 1.0 -> 1.1, code)"),
    "code": (lambda world: world.install("1.0", "two"), "changed: code)"),
    "engine": (lambda world: world.settings.update(engine="engine 2"), "engine engine 1 -> engine 2)"),
    "precision": (lambda world: world.settings.update(precision="int8"), "precision float32 -> int8)"),
}
"""What is done to a model, and how the message about it ends."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_half_finished_run_is_never_resumed_against_another_model(
    world: World, echelon: Run, suite: Path, change: str
) -> None:
    act, words = CHANGES[change]
    command = ("run", suite, "--model", f"{world.address}/changeling", "--max-calls", 8, "--quiet", "--json")
    world.settings["delay_ms"] = 5
    with world.serving():
        run = world.begin(*command)
        world.wait_until_asked(70)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    (first,) = world.runs()
    before = world.answers(first)
    assert 0 < len(before) < SAMPLES
    act(world)
    world.settings["delay_ms"] = 0
    with world.serving():
        ended = echelon(*command)
        assert ended.returncode == 0, ended.stderr
        kept = f"another run begins, and run {first[:12]} keeps its {len(before)} outcomes: "
        assert f"{kept}its model is another one now (" in ended.stderr
        assert words in ended.stderr
        told_again = echelon(*command)
    assert told_again.stdout == ended.stdout
    assert "another run" not in told_again.stderr
    oldest, second = world.runs()
    assert oldest == first
    assert second == json.loads(ended.stdout)["run"]
    assert world.answers(first) == before
    assert len(world.answers(second)) == SAMPLES
    # No answer of the one model is among those of the other.
    assert len(set(before)) == len(set(world.answers(second))) == 1 or change in ("engine", "precision")
    assert set(before).isdisjoint(world.answers(second))


@pytest.mark.parametrize("change", ["settings", "weights"])
def test_a_model_that_is_exchanged_in_the_middle_of_a_run_ends_the_run(
    world: World, echelon: Run, suite: Path, change: str
) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--max-calls", 8, "--json")
    world.settings["delay_ms"] = 5
    with world.serving():
        run = world.begin(*command)
        world.wait_until_asked(70)
    CHANGES[change][0](world)
    with world.serving():
        _, errors = run.communicate(timeout=60)
        assert run.returncode == 4, errors
        assert f"the run is incomplete: its model is another one now ({CHANGES[change][1]}" in errors
        assert "; the same command begins another run" in errors
        (first,) = world.runs()
        before = world.answers(first)
        ended = echelon(*command)
        assert ended.returncode == 0, ended.stderr
    assert len(set(before)) == 1
    after = world.answers(json.loads(ended.stdout)["run"])
    assert len(after) == SAMPLES
    assert set(before).isdisjoint(after)


def test_a_model_that_comes_back_as_it_was_resumes_its_own_run(world: World, echelon: Run, suite: Path) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--quiet", "--json")
    with world.serving():
        first = json.loads(echelon(*command).stdout)["run"]
    world.settings["bias"] = "biased"
    with world.serving():
        assert json.loads(echelon(*command).stdout)["run"] != first
    del world.settings["bias"]
    asked = world.asked()
    with world.serving():
        ended = echelon(*command)
    assert json.loads(ended.stdout)["run"] == first
    assert world.asked() == asked


def test_a_run_that_was_stored_without_an_identity_is_not_resumed(world: World, echelon: Run, suite: Path) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--quiet", "--json")
    with world.serving():
        echelon(*command, "--store", "one")
        with Store(world.folder / "one") as store, Store(world.folder / "two", write=True) as other:
            other.create(replace(store.run("last"), run="0" * 64, identity=None, nonce=""))
        ended = echelon(*command, "--store", "two")
        shown = echelon("runs", "show", "0000", "--store", "two").stdout
    assert "run 000000000000 keeps its 0 outcomes: it was stored without its model's identity" in ended.stderr
    assert json.loads(ended.stdout)["run"] != "0" * 64
    assert "unverified: none is stored" in shown


def test_a_model_that_counts_is_answered_anew_in_each_fresh_store(world: World, echelon: Run, suite: Path) -> None:
    world.settings["kind"] = "counter"
    results, answers = [], []
    with world.serving():
        for store in ("one", "two"):
            command = ("run", suite, "--model", f"{world.address}/changeling", "--store", store, "--json")
            results.append(json.loads(echelon(*command).stdout))
            answers.append(world.answers(results[-1]["run"], store))
    assert set(answers[0]).isdisjoint(answers[1])
    assert world.asked() == 2 * (SAMPLES + PROBES)
    # The nonce that tells the requests of the two apart is in neither the run's id nor anything that is shown.
    assert results[0]["run"] == results[1]["run"]
    for store in ("one", "two"):
        with Store(world.folder / store) as opened:
            nonce = opened.run("last").nonce
        shown = [echelon(*words, "--store", store).stdout for words in (("runs", "show"), ("report", "--json"))]
        (page,) = (world.folder / store / "reports").iterdir()
        assert len(nonce) >= 32
        assert [nonce in text for text in (*shown, page.read_text(), json.dumps(results))] == [False] * 4


def test_new_begins_runs_whose_ids_follow_from_their_number_and_whose_requests_do_not(
    world: World, echelon: Run, suite: Path
) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--json", "--quiet")
    with world.serving():
        ids = [
            [json.loads(echelon(*command, "--store", store, *options).stdout)["run"] for options in ((), ("--new",))]
            for store in ("one", "two")
        ]
    assert ids[0] == ids[1]
    assert ids[0][0] != ids[0][1]
    requests = (world.folder / "asked").read_text().splitlines()
    assert len(set(requests)) == len(requests) == 4 * (SAMPLES + PROBES)


@pytest.mark.parametrize(
    ("kind", "counts", "words"),
    [
        ("constant", (3, 0, 0), "3 of 3 probes repeated bit for bit"),
        ("counter", (0, 3, 0), "0 of 3 probes repeated bit for bit; 3 differed within a moment: not deterministic, "),
        ("drifting", (0, 0, 3), "0 of 3 probes repeated bit for bit; 3 differed between start and end alone: drift, "),
    ],
)
def test_probes_measure_whether_a_model_repeats_itself_and_contradict_its_card(
    world: World, echelon: Run, suite: Path, kind: str, counts: tuple[int, ...], words: str
) -> None:
    world.settings["kind"] = kind
    with world.serving():
        ended = echelon("run", suite, "--model", f"{world.address}/changeling", "--json")
        assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)["stability"]
    assert tuple(found[name] for name in ("repeated", "unstable", "drifted")) == counts
    assert found["note"].startswith(words)
    assert ("contradicts the card" in found["note"]) == (kind != "constant")
    text = echelon("report", "--text").stdout
    for shown in (echelon("runs", "show").stdout, text):
        assert words in shown
    assert ("the card says deterministic, and the probes contradict it" in text) == (kind != "constant")
    (page,) = (world.folder / "echelon-runs" / "reports").iterdir()
    assert words in page.read_text()


def test_an_identity_is_shown_as_asserted_and_what_nothing_covers_as_unverified(
    world: World, echelon: Run, suite: Path
) -> None:
    world.settings["engine"] = ""
    with world.serving():
        ended = echelon("run", suite, "--model", f"{world.address}/changeling", "--json")
    identity = json.loads(ended.stdout)["identity"]
    assert identity["status"] == "asserted"
    assert (identity["distribution"], identity["distribution_version"]) == ("changeling", "1.0")
    assert identity["unverified"] == ["engine: the card names none"]
    text, shown = echelon("report", "--text").stdout, echelon("runs", "show").stdout
    (page,) = (world.folder / "echelon-runs" / "reports").iterdir()
    for each in (text, shown, page.read_text()):
        assert "asserted" in each
        assert "engine: the card names none" in each
    assert json.loads(echelon("runs", "show", "--json").stdout)["identity"]["digest"] == identity["digest"]


def test_the_identity_of_a_server_that_asserts_none_is_its_card_and_unverified() -> None:
    info = ModelInfo(Card("1", (), engine="engine 1", name="far"), "ready")
    identity = identity_of(info)
    plain, shown = as_plain(identity), dict(rows(identity))
    assert plain is not None
    assert (plain["status"], plain["engine"]) == ("unverified", "engine 1")
    assert shown["identity"].endswith(", of the card alone, unverified")
    assert shown["unverified"] == "everything: the server asserts no identity"
    assert identity_of(replace(info, card=replace(info.card, engine="engine 2"))).digest != identity.digest


def test_a_run_that_new_began_is_resumed_without_it(world: World, echelon: Run, suite: Path) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--json", "--patience", 0.5)
    with world.serving():
        first = json.loads(echelon(*command, "--probes", 0).stdout)["run"]
        world.settings["delay_ms"] = 5
    with world.serving():
        asked = world.asked()
        run = world.begin(*command, "--new", "--max-calls", 8)
        world.wait_until_asked(asked + 70)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 4, errors
    assert "; the same command without --new resumes it" in errors
    known, second = world.runs()
    assert known == first
    world.settings["delay_ms"] = 0
    with world.serving():
        assert json.loads(echelon(*command).stdout)["run"] == second
    assert world.runs() == [first, second]
    assert len(world.answers(second)) == SAMPLES


def test_no_probe_is_asked_where_none_is_wanted_though_the_run_began_with_some(
    world: World, echelon: Run, suite: Path
) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--max-calls", 8, "--json")
    world.settings["delay_ms"] = 5
    with world.serving():
        run = world.begin(*command)
        world.wait_until_asked(70)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        stability = json.loads(echelon(*command, "--probes", 0).stdout)["stability"]
        assert (stability["started"], stability["compared"]) == (3, 0)
        # And they are asked as soon as they are wanted again.
        assert json.loads(echelon(*command).stdout)["stability"]["compared"] == 3


def test_a_damaged_run_of_another_model_keeps_no_run_from_beginning(world: World, echelon: Run, suite: Path) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--json")
    with world.serving():
        echelon(*command)
    with sqlite3.connect(world.folder / "echelon-runs" / "journal.sqlite") as database:
        database.execute("UPDATE outcomes SET detail = 'edited' WHERE sample = '007'")
    database.close()
    world.settings["bias"] = "biased"
    with world.serving():
        ended = echelon(*command)
    assert ended.returncode == 0, ended.stderr
    assert "keeps its outcomes, of which some are damaged (`echelon runs verify` names them): its model" in ended.stderr


def test_a_damaged_row_of_a_run_names_what_helps(world: World, echelon: Run, suite: Path) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--json")
    with world.serving():
        echelon(*command)
        with sqlite3.connect(world.folder / "echelon-runs" / "journal.sqlite") as database:
            database.execute("UPDATE runs SET seed = 5")
        database.close()
        for options in ((), ("--new",)):
            ended = echelon(*command, *options)
            assert ended.returncode == 1
            assert ended.stderr.endswith("put a copy back, or name another --store\n")
        assert echelon(*command, "--store", "another").returncode == 0


def test_what_a_server_says_of_its_identity_stays_on_one_line(tmp_path: Path, echelon: Run) -> None:
    identity = {"digest": "sha256:0", "adapter": "a", "unverified": ["weights\noutcomes         answered 180\x1b[2J"]}
    with Store(tmp_path / "echelon-runs", write=True) as store:
        suite = {"folder": "/", "tasks": ["say"], "digest": "0" * 64, "name": "sayings"}
        store.create(RunRecord("ab" * 32, suite, Card("1", ()), "a/m", 0, {}, "2026", None, "n", identity))
    (line,) = [line for line in echelon("runs", "show").stdout.splitlines() if "answered 180" in line]
    assert line.startswith("unverified")
    assert "\x1b" not in line


def test_a_probe_is_a_small_part_of_a_run_and_can_be_left_out(world: World, echelon: Run, suite: Path) -> None:
    command = ("run", suite, "--model", f"{world.address}/changeling", "--json")
    with world.serving():
        ended = echelon(*command, "--probes", 0)
        assert json.loads(ended.stdout)["stability"] is None
        assert world.asked() == SAMPLES
        # A run that began without probes gets none later.
        echelon(*command)
        assert world.asked() == SAMPLES
        lines = (suite / "say.jsonl").read_text().splitlines()
        (suite / "say.jsonl").write_text("\n".join(lines[:59]))
        assert json.loads(echelon(*command).stdout)["stability"] is None
    assert world.asked() == SAMPLES + 59
