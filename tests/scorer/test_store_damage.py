"""Damage to the journal of a real run and of its reference run: it is named, or it changes nothing.

The journal is made by the command line, against a server with a plug-in that answers, refuses and fails.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from echelon.scorer.errors import StoreError
from echelon.scorer.stability import Phase, Probe
from echelon.scorer.store import Rows, Store
from echelon.scorer.verification import verify

PLUGIN = """
from dataclasses import dataclass

from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, Refusal, Text, Usage


@dataclass(frozen=True)
class Settings:
    wrong_every: int


class Sums(BatchAdapter[Settings]):
    def open(self, settings):
        self.settings = settings

    def card(self):
        return Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), deterministic=True)

    def language(self, requests):
        return [self.answer(int(request.instruction.split()[-1])) for request in requests]

    def answer(self, number):
        if number == 5:
            raise RuntimeError("fails each time")
        if number == 7:
            return Refusal("mood", "not today", Usage(3))
        wrong = number % self.settings.wrong_every == 0
        return Answer((Text("odd" if (number % 2 == 0) == wrong else "even"),), usage=Usage(10, 2))
"""
Command = Callable[..., tuple[int, str, str]]
COMMAND = [sys.executable, "-m", "echelon.cli"]
TASK = """
  - {{id: {0}, title: {0}, modality: language, paradigm: language, skill: {0}, instruction: "Even or odd: {{number}}",
     output: text, labels: [even, odd], extractor: label, metric: accuracy, chance: 0.5, samples: numbers.jsonl}}"""
TASKS = ("first", "second")
SAMPLES = 12


@dataclass(frozen=True)
class Journal:
    """A closed store with a run and its reference run, and what is read of it."""

    folder: Path
    data: bytes
    contents: list[object]

    @property
    def file(self) -> Path:
        return self.folder / "journal.sqlite"


@dataclass(frozen=True)
class Site:
    """A folder with a plug-in, a suite and a server of two models."""

    folder: Path
    environment: dict[str, str]
    address: str

    def run(self, model: str, store: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Evaluate a model from the command line."""
        suite = str(self.folder / "suite")
        command = [
            *COMMAND,
            "run",
            suite,
            "--model",
            f"{self.address}/{model}",
            "--store",
            str(store),
            "--json",
            *options,
        ]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=60)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    environment = install(folder / "packages")
    make_suite(folder / "suite")
    models = [
        {"name": name, "adapter": "sums", "settings": {"wrong_every": every}}
        for name, every in {"model": 9, "specialist": 4}.items()
    ]
    config = folder / "server.json"
    config.write_text(json.dumps({"listener": {"listen": "127.0.0.1:0"}, "models": models}))
    served = [*COMMAND, "serve", "--trust", "sums", "--config", str(config)]
    with subprocess.Popen(
        served, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            yield Site(folder, environment, server.stdout.readline().rpartition(" on ")[2].strip())
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def intact(site: Site) -> Journal:
    runs = site.folder / "runs"
    sota: list[str] = []
    for name in ("specialist", "model"):
        ended = site.run(name, runs, *sota)
        assert ended.returncode == 3, ended.stderr
        sota = ["--sota", json.loads(ended.stdout)["run"]]
    with Store(runs, write=True) as store:
        for record in store.runs():
            # As a longer run has them.
            found = [Probe(task, "0001", phase, "00" * 32) for task in TASKS for phase in Phase]
            store.commit(record.run, Rows(probes=found))
    return Journal(runs, (runs / "journal.sqlite").read_bytes(), contents(runs))


def install(site: Path) -> dict[str, str]:
    """An environment in which the plug-in is installed."""
    info = site / "sums-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "sums.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sums\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[echelon.adapters]\nsums = sums:Sums\n")
    return {**os.environ, "PYTHONPATH": str(site)}


def make_suite(folder: Path) -> Path:
    folder.mkdir()
    head = 'name: sums\nversion: "1"\nclosed: true\ntasks:'
    (folder / "suite.yaml").write_text(head + "".join(map(TASK.format, TASKS)))
    lines = [
        {"id": f"{n:04}", "fields": {"number": str(n)}, "parts": [], "reference": {"kind": "choice", "labels": [word]}}
        for n in range(1, SAMPLES + 1)
        for word in ["even" if n % 2 == 0 else "odd"]
    ]
    (folder / "numbers.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def contents(folder: Path) -> list[object]:
    """All that the last run's result is a function of, beside its suite."""
    with Store(folder) as store:
        record = store.run("last")
        assert record.sota is not None
        runs = (record.run, *{each["run"] for each in record.sota.values()})
        ids = [f"{n:04}" for n in range(1, SAMPLES + 1)]
        outcomes = [list(store.outcomes(run, task, ids)) for run in runs for task in TASKS]
        tried = [store.tried(record.run, task) for task in TASKS]
        return [record, outcomes, tried, store.usage(record.run), store.probes(record.run)]


def test_the_journal_holds_every_kind_of_row(intact: Journal) -> None:
    with Store(intact.folder) as store:
        found = {
            run.card.name: (sum(store.counts(run.run).values(), Counter()), len(store.attempts(run.run)))
            for run in store.runs()
        }
        record = store.run("last")
    assert found.keys() == {"model", "specialist"}
    assert found["model"][0] == {"answered": 20, "refused": 2, "crashed": 2}
    assert found["model"][1] > 0
    assert record.sota
    assert all(sota["run"] for sota in record.sota.values())
    assert record.suite["attempt"] == 1


@pytest.fixture
def journal(intact: Journal, tmp_path: Path) -> Journal:
    """A copy to harm."""
    copy = Journal(tmp_path / "runs", intact.data, intact.contents)
    copy.folder.mkdir()
    copy.file.write_bytes(copy.data)
    return copy


def consequence(journal: Journal) -> str:
    """What comes of a harmed journal; the harm is undone."""
    try:
        return "none" if contents(journal.folder) == journal.contents else "another result without a word"
    except StoreError:
        return "named"
    finally:
        for file in journal.folder.iterdir():
            file.unlink()
        journal.file.write_bytes(journal.data)


def edit(journal: Journal, *statements: str) -> None:
    with sqlite3.connect(journal.file) as database:
        database.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            database.execute(statement)
    database.close()


def rows(journal: Journal, query: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(journal.file)
    found = database.execute(query).fetchall()
    database.close()
    return found


@pytest.mark.parametrize("part", range(4))
def test_a_flipped_byte_is_named_or_changes_nothing(journal: Journal, part: int) -> None:
    found: Counter[str] = Counter()
    for place in range(97 * part, len(journal.data), 97 * 4):
        data = bytearray(journal.data)
        data[place] ^= 0x04 if place % 2 else 0xFF
        journal.file.write_bytes(data)
        found[consequence(journal)] += 1
    assert set(found) == {"none", "named"}
    assert found["named"] > 25


TABLES = ("runs", "digests", "outcomes", "attempts", "usage", "probes")
KEYS = {
    "runs": ("run",),
    "digests": ("run", "task", "relation"),
    "outcomes": ("run", "task", "sample"),
    "attempts": ("number",),
    "usage": ("number",),
    "probes": ("number",),
}
OTHER = {
    int: "{0} + 1",
    float: "{0} + 1",
    str: "{0} || 'x'",
    bytes: "CAST({0} || x'00' AS BLOB)",
    type(None): "'x'",
}
"""Another value than one of this type."""


def keys(journal: Journal, table: str) -> list[str]:
    """A condition for each row."""
    names = KEYS[table]
    found = rows(journal, f"SELECT {', '.join(names)} FROM {table}")
    return [" AND ".join(f"{name} = {value!r}" for name, value in zip(names, row, strict=True)) for row in found]


def columns(journal: Journal, table: str) -> list[str]:
    """Its columns but the numbers of rows, which are the file's own."""
    return [row[1] for row in rows(journal, f"PRAGMA table_info({table})") if row[1] != "number"]


def problems(journal: Journal) -> list[str]:
    """What the check of the whole store names."""
    found = verify(journal.folder)
    return [*found.problems, *(problem for run in found.runs for problem in run.problems)]


def named(journal: Journal, *statements: str) -> bool:
    """Whether an edit is named by the check of the whole store, and makes no other result without a word."""
    edit(journal, *statements)
    told = bool(problems(journal))
    assert consequence(journal) in ("named", "none"), statements
    return told


def test_nothing_is_wrong_with_the_journal_as_it_was_written(journal: Journal) -> None:
    assert problems(journal) == []
    assert consequence(journal) == "none"


@pytest.mark.parametrize("table", TABLES)
def test_an_edited_value_of_any_row_is_named(journal: Journal, table: str) -> None:
    # Of outcomes and usage every fifth row will do.
    for where in keys(journal, table)[:: 5 if table in ("outcomes", "usage") else 1]:
        for column in columns(journal, table):
            ((value,),) = rows(journal, f"SELECT {column} FROM {table} WHERE {where}")
            assert named(journal, f"UPDATE {table} SET {column} = {OTHER[type(value)].format(column)} WHERE {where}")


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_was_deleted_is_named(journal: Journal, table: str) -> None:
    for where in keys(journal, table)[:: 3 if table in ("outcomes", "usage") else 1]:
        assert named(journal, f"DELETE FROM {table} WHERE {where}")


@pytest.mark.parametrize("table", ["outcomes", "attempts", "usage", "probes"])
def test_deleting_the_digests_with_the_rows_is_named(journal: Journal, table: str) -> None:
    for run, task in rows(journal, "SELECT DISTINCT run, task FROM digests"):
        where = f"run = '{run}' AND task = '{task}'"
        assert named(
            journal, f"DELETE FROM {table} WHERE {where}", f"DELETE FROM digests WHERE {where} AND relation = '{table}'"
        )


def test_deleting_a_run_without_its_rows_is_named_whichever_run_is_last_then(journal: Journal) -> None:
    for (run,) in rows(journal, "SELECT run FROM runs"):
        edit(journal, f"DELETE FROM runs WHERE run = '{run}'")
        with Store(journal.folder) as store, pytest.raises(StoreError, match=f"the row of run {run[:12]} is missing"):
            store.run("last")
        assert consequence(journal) == "named"


@pytest.mark.parametrize("key", ["run", "task", "sample"])
def test_outcomes_that_changed_places_are_named(journal: Journal, key: str) -> None:
    (one, other, *_) = [value for (value,) in rows(journal, f"SELECT DISTINCT {key} FROM outcomes ORDER BY 1")]
    # One of each task, so that the rows of both places are there.
    where = "sample = '0001'" if key != "sample" else "task = 'first'"
    assert named(
        journal,
        f"UPDATE outcomes SET {key} = 'aside' WHERE {key} = '{one}' AND {where}",
        f"UPDATE outcomes SET {key} = '{one}' WHERE {key} = '{other}' AND {where}",
        f"UPDATE outcomes SET {key} = '{other}' WHERE {key} = 'aside' AND {where}",
    )


@pytest.mark.parametrize("key", ["run", "task", "relation"])
def test_digests_that_changed_places_are_named(journal: Journal, key: str) -> None:
    (one, other, *_) = [value for (value,) in rows(journal, f"SELECT DISTINCT {key} FROM digests ORDER BY 1")]
    assert named(
        journal,
        f"UPDATE digests SET {key} = 'aside' WHERE {key} = '{one}'",
        f"UPDATE digests SET {key} = '{one}' WHERE {key} = '{other}'",
        f"UPDATE digests SET {key} = '{other}' WHERE {key} = 'aside'",
    )


def test_an_older_version_is_not_taken_for_a_reason_to_check_less(journal: Journal) -> None:
    for version in (2, 3):
        edit(journal, f"PRAGMA user_version = {version}")
        with pytest.raises(StoreError, match=f"its tables are not those of its version, {version}"):
            Store(journal.folder)
        journal.file.write_bytes(journal.data)
        assert named(journal, f"UPDATE runs SET store_version = {version}")


@pytest.fixture
def echelon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process: its exit code, and what it wrote to both streams."""
    from echelon.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["echelon", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("UPDATE runs SET seed = seed + 1", "the row of run"),
        ("DELETE FROM outcomes WHERE sample = '0003'", "12 outcomes of task first"),
        ("UPDATE outcomes SET state = 'refused' WHERE sample = '0003'", "the outcome of task first, sample 0003"),
        ("DELETE FROM attempts", "failed attempts of task first"),
        ("UPDATE usage SET cost_nano_usd = 1 WHERE sample = '0003'", "the usage of a call of task first, sample 0003"),
        ("DELETE FROM digests WHERE task = 'second'", "of task second"),
    ],
)
def test_a_damaged_run_is_neither_reported_nor_resumed(
    site: Site, journal: Journal, echelon: Command, harm: str, words: str
) -> None:
    edit(journal, harm)
    before = list(dump(journal))
    store = ("--json", "--store", journal.folder)
    for command in (("report",), ("run", site.folder / "suite", "--model", f"{site.address}/model")):
        code, printed, told = echelon(*command, *store)
        assert (code, printed) == (1, ""), told
        assert words in told
        assert "put a copy back" in told
    code, printed, _ = echelon("runs", "verify", "--store", journal.folder)
    assert code == 1
    assert words in printed
    assert "DAMAGED" in printed
    assert list(dump(journal)) == before


def dump(journal: Journal) -> Iterator[str]:
    database = sqlite3.connect(journal.file)
    yield from database.iterdump()
    database.close()


def test_an_intact_store_is_verified_run_by_run(journal: Journal, echelon: Command) -> None:
    for runs, arguments in ((2, ()), (1, ("last",))):
        code, printed, _ = echelon("runs", "verify", *arguments, "--store", journal.folder)
        assert code == 0, printed
        assert printed.count("  24 outcomes  intact\n") == runs
        shown = json.loads(echelon("runs", "verify", *arguments, "--json", "--store", journal.folder)[1])
        assert shown["intact"]
        assert [run["outcomes"] for run in shown["runs"]] == [24] * runs
    code, _, told = echelon("runs", "verify", "none", "--store", journal.folder)
    assert code == 1
    assert "no run 'none'" in told
