"""Stores that older versions wrote, built from the statements those versions used."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from echelon.adapters import Answer, Call, CallSupport, Card, Kind, Text, Usage
from echelon.scorer.errors import StoreError
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.store import Attempt, Rows, RunRecord, Store
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.usage import Spent, TotalUsage
from echelon.scorer.verification import verify
from echelon.wire.calls import outcome_to_proto
from echelon.wire.cards import card_to_proto

VERSION_2 = """
CREATE TABLE runs (run VARCHAR NOT NULL, suite JSON NOT NULL, card BLOB NOT NULL, target VARCHAR NOT NULL,
  seed INTEGER NOT NULL, settings JSON NOT NULL, sota JSON, created VARCHAR NOT NULL, PRIMARY KEY (run));
CREATE TABLE outcomes (run VARCHAR NOT NULL, task VARCHAR NOT NULL, sample VARCHAR NOT NULL, repeat INTEGER NOT NULL,
  state VARCHAR NOT NULL, reason VARCHAR NOT NULL, detail VARCHAR NOT NULL, answer BLOB, blob VARCHAR NOT NULL,
  milliseconds FLOAT NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (run, task, sample, repeat)) WITHOUT ROWID;
CREATE TABLE attempts (number INTEGER NOT NULL, run VARCHAR NOT NULL, task VARCHAR NOT NULL, sample VARCHAR NOT NULL,
  reason VARCHAR NOT NULL, detail VARCHAR NOT NULL, at VARCHAR NOT NULL, PRIMARY KEY (number));
CREATE INDEX ix_attempts_run ON attempts (run);
PRAGMA application_id = 1164142693;
PRAGMA user_version = 2;
"""
VERSION_3 = """
CREATE TABLE usage (number INTEGER NOT NULL, run VARCHAR NOT NULL, task VARCHAR NOT NULL, sample VARCHAR NOT NULL,
  input_token_count INTEGER NOT NULL, output_token_count INTEGER NOT NULL, cost_nano_usd INTEGER NOT NULL,
  queue_us INTEGER NOT NULL, compute_us INTEGER NOT NULL, PRIMARY KEY (number));
CREATE INDEX ix_usage_run ON usage (run);
PRAGMA user_version = 3;
"""
CARD = Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),), name="parrot")
SUITE = {"folder": "/suites/mine", "tasks": ["t"], "name": "mine", "digest": "d" * 64}
RUN = "ab" * 32
RECORD = RunRecord(RUN, SUITE, CARD, "here:1/parrot", 0, {"temperature": "0"}, "2026-01-01T00:00:00")
OUTCOME = SampleOutcome("t", "a", State.ANSWERED, (Text("yes"),))
ATTEMPT = Attempt("t", "b", "UNREACHABLE", "gone", "now")


@pytest.fixture(params=[2, 3])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def folder(tmp_path: Path, version: int) -> Path:
    """A store as `version` left it: a run, an outcome, a failed attempt and, from version 3 on, a usage."""
    database = sqlite3.connect(tmp_path / "journal.sqlite")
    database.executescript(VERSION_2 + (VERSION_3 if version == 3 else ""))
    card = card_to_proto(CARD).SerializeToString(deterministic=True)
    suite, settings = json.dumps(SUITE), json.dumps(dict(RECORD.settings))
    database.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, 'null', ?)",
        (RUN, suite, card, RECORD.target, 0, settings, RECORD.created),
    )
    answer = outcome_to_proto(Answer((Text("yes"),))).SerializeToString(deterministic=True)
    checksum = hashlib.blake2b(
        b"\0".join([RUN.encode(), b"t", b"a", b"answered", b"", b"", b"", answer]), digest_size=16
    )
    database.execute(
        "INSERT INTO outcomes VALUES (?, 't', 'a', 0, 'answered', '', '', ?, '', 1.5, ?)",
        (RUN, answer, checksum.digest()),
    )
    database.execute("INSERT INTO attempts VALUES (1, ?, 't', 'b', 'UNREACHABLE', 'gone', 'now')", (RUN,))
    if version == 3:
        database.execute("INSERT INTO usage VALUES (1, ?, 't', 'a', 7, 3, 0, 0, 0)", (RUN,))
    database.commit()
    database.close()
    return tmp_path


def read(store: Store, *samples: str) -> list[SampleOutcome | None]:
    return list(store.outcomes(RUN, "t", samples))


def test_an_older_store_is_read_as_it_is(folder: Path, version: int) -> None:
    record = replace(RECORD, store_version=version)
    before = (folder / "journal.sqlite").read_bytes()
    with Store(folder) as store:
        assert store.run("last") == record
        assert store.runs() == [record]
        assert read(store, "a", "b") == [OUTCOME, None]
        assert store.attempts(RUN) == [ATTEMPT]
        assert store.usage(RUN) == ({} if version == 2 else {"t": TotalUsage(1, 1, Usage(7, 3))})
    assert (folder / "journal.sqlite").read_bytes() == before


def test_an_older_store_is_migrated_when_it_is_written_to(folder: Path, version: int) -> None:
    later = replace(RECORD, run="cd" * 32, created="2027", nonce="n", identity={"adapter": "parrot"})
    record = replace(RECORD, store_version=version)
    with Store(folder, write=True) as store:
        assert store.run("last") == record
        store.create(later)
        store.commit(RUN, Rows([(replace(OUTCOME, sample="b"), 1.0)], spent=[Spent("t", "b", Usage(1, 1))]))
    with Store(folder) as store:
        assert store.runs() == [later, record]
        assert read(store, "a", "b") == [OUTCOME, replace(OUTCOME, sample="b")]
        assert store.attempts(RUN) == [ATTEMPT]
        calls = 1 if version == 2 else 2
        assert store.usage(RUN)["t"].calls == calls


@pytest.mark.parametrize("write", [False, True])
def test_a_wrong_version_is_named_and_nothing_is_migrated(folder: Path, version: int, write: bool) -> None:
    file = folder / "journal.sqlite"
    for wrong in {0, 2, 3} - {version}:
        with sqlite3.connect(file) as database:
            database.execute(f"PRAGMA user_version = {wrong}")
        database.close()
        before = tables(file)
        with pytest.raises(StoreError, match=rf"its tables are not those of its version, {wrong}; put a copy back"):
            Store(folder, write=write)
        assert tables(file) == before


def test_another_programs_tables_get_none_of_ours_beside_them(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE runs (distance REAL)")
    database.close()
    before = tables(file)
    with pytest.raises(StoreError, match="belongs to another program"):
        Store(tmp_path, write=True)
    assert tables(file) == before


def test_a_migration_that_fails_leaves_the_older_store_as_it_was(folder: Path) -> None:
    file = folder / "journal.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("ALTER TABLE runs ADD COLUMN identity JSON")
    database.close()
    before = tables(file)
    with pytest.raises(StoreError, match="duplicate column name: identity"):
        Store(folder, write=True)
    assert tables(file) == before


def tables(file: Path) -> list[object]:
    database = sqlite3.connect(file)
    found = database.execute("SELECT sql FROM sqlite_master").fetchall()
    found += database.execute("PRAGMA user_version").fetchall()
    database.close()
    return found


def test_a_store_of_another_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute("PRAGMA application_id = 1164142693")
        database.execute("PRAGMA user_version = 1")
    database.close()
    for write in (True, False):
        with pytest.raises(StoreError, match="has version 1 and this Echelon uses version 4"):
            Store(tmp_path, write=write)


MANIFEST = """
name: mine
version: "1"
tasks:
  - {id: t, title: T, modality: language, paradigm: language, skill: s, instruction: "Yes?", output: text,
     extractor: text, metric: anls, chance: 0.0, samples: samples.jsonl}
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def echelon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line, and gives its exit code and what it printed."""
    from echelon.cli import main

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["echelon", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    return run


def put_suite(folder: Path) -> None:
    """Make the suite of the stored run, so that its result can be computed."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "suite.yaml").write_text(MANIFEST)
    lines = [{"id": name, "parts": [], "reference": {"kind": "text", "value": "yes"}} for name in "ab"]
    (suite / "samples.jsonl").write_text("\n".join(map(json.dumps, lines)))
    about = {"folder": str(suite), "tasks": ["t"], **asdict(FolderSuite(suite).info)}
    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute("UPDATE runs SET suite = ?", (json.dumps(about),))
    database.close()


@pytest.mark.parametrize("migrated", [False, True])
def test_what_an_older_version_wrote_is_told_wherever_its_result_is(
    folder: Path, version: int, migrated: bool, echelon: Run
) -> None:
    put_suite(folder)
    if migrated:
        with Store(folder, write=True) as store:
            store.create(store.run("last"))
    note = f"written by store version {version}: rows not tied together"
    store_option = ("--store", folder)
    assert f"run {RUN[:12]} was {note}" in echelon("report", "--text", *store_option)[1]
    assert json.loads(echelon("report", "--json", *store_option)[1])["untied"] == [
        {"run": RUN, "store_version": version}
    ]
    page = folder / "report.html"
    assert echelon("report", "--out", page, *store_option)[0] == 0
    assert f"run {RUN[:12]} was {note}" in page.read_text()
    assert note in echelon("runs", "show", *store_option)[1]
    code, shown = echelon("runs", "verify", *store_option)
    assert code == 0, shown
    assert f"{RUN[:12]}  1 outcomes  intact ({note}" in shown


@pytest.mark.parametrize("migrated", [False, True])
def test_a_damaged_outcome_of_an_older_version_is_named(folder: Path, migrated: bool, echelon: Run) -> None:
    if migrated:
        Store(folder, write=True).close()
    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute("UPDATE outcomes SET detail = 'x'")
    database.close()
    code, shown = echelon("runs", "verify", "--store", folder)
    assert code == 1
    assert f"the outcome of task t, sample a, in run {RUN[:12]} is damaged" in shown
    with Store(folder) as store, pytest.raises(StoreError, match="the outcome of task t, sample a, in run"):
        read(store, "a")


def test_a_run_that_is_created_today_is_tied_in_a_migrated_store_too(folder: Path, version: int) -> None:
    later = replace(RECORD, run="cd" * 32, created="2027")
    with Store(folder, write=True) as store:
        store.create(later)
        store.commit(later.run, Rows([(OUTCOME, 1.0)]))
        assert [run.store_version for run in store.runs()] == [4, version]
    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute("DELETE FROM outcomes WHERE run = ?", (later.run,))
    database.close()
    checked = verify(folder)
    assert {run.run: (run.tied, len(run.problems)) for run in checked.runs} == {RUN: (False, 0), later.run: (True, 1)}
