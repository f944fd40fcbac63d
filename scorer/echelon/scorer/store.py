"""The store of runs: SQLite with one writer, durable at every commit; large outcomes lie beside it by digest.

Outcomes are written once under (run, task, sample, repeat) and never changed. What failed for a passing reason is no
outcome: it stands in `attempts` and is asked again when the run is resumed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import sqlalchemy as sql
from sqlalchemy.dialects.sqlite import insert

from echelon.adapters import Answer, Card
from echelon.scorer.errors import StoreError, UnknownNameError
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import outcome_from_proto, outcome_to_proto
from echelon.wire.cards import card_from_proto, card_to_proto

APPLICATION_ID = 0x45636865  # "Eche"
SCHEMA_VERSION = 1
INLINE_BYTES = 64 * 1024
"""Larger outcomes go to a file of their own."""

_metadata = sql.MetaData()
_runs = sql.Table(
    "runs",
    _metadata,
    sql.Column("run", sql.String, primary_key=True),
    sql.Column("suite", sql.JSON, nullable=False),
    sql.Column("card", sql.LargeBinary, nullable=False),
    sql.Column("target", sql.String, nullable=False),
    sql.Column("seed", sql.Integer, nullable=False),
    sql.Column("settings", sql.JSON, nullable=False),
    sql.Column("sota", sql.JSON),
    sql.Column("created", sql.String, nullable=False),
)
_outcomes = sql.Table(
    "outcomes",
    _metadata,
    sql.Column("run", sql.String, primary_key=True),
    sql.Column("task", sql.String, primary_key=True),
    sql.Column("sample", sql.String, primary_key=True),
    sql.Column("repeat", sql.Integer, primary_key=True),
    sql.Column("state", sql.String, nullable=False),
    sql.Column("reason", sql.String, nullable=False),
    sql.Column("detail", sql.String, nullable=False),
    sql.Column("answer", sql.LargeBinary),
    sql.Column("blob", sql.String, nullable=False),
    sql.Column("milliseconds", sql.Float, nullable=False),
    sqlite_with_rowid=False,
)
_attempts = sql.Table(
    "attempts",
    _metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("run", sql.String, nullable=False, index=True),
    sql.Column("task", sql.String, nullable=False),
    sql.Column("sample", sql.String, nullable=False),
    sql.Column("reason", sql.String, nullable=False),
    sql.Column("detail", sql.String, nullable=False),
    sql.Column("at", sql.String, nullable=False),
)


@dataclass(frozen=True)
class RunRecord:
    """What a run is; `suite` says how to open the suite again, `sota` where its specialists' scores come from."""

    run: str
    suite: Mapping[str, Any]
    card: Card
    target: str
    seed: int
    settings: Mapping[str, str]
    created: str
    sota: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that failed."""

    task: str
    sample: str
    reason: str
    detail: str
    at: str


@dataclass
class Rows:
    """What is to be committed together."""

    outcomes: list[tuple[SampleOutcome, float]] = field(default_factory=list)
    """Each with the milliseconds it took."""
    attempts: list[Attempt] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.outcomes or self.attempts)


class Store:
    """A folder of runs. Open it to read, or with `write=True` to be its one writer."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self._blobs = folder / "blobs"
        self._lock: IO[str] | None = None
        if write:
            self._lock = _take_lock(folder)
        elif not (folder / "journal.sqlite").is_file():
            raise StoreError(f"there are no runs in {folder}; evaluate something first, or name another with --store")
        self._engine = _engine(folder / "journal.sqlite", write)
        try:
            self._check(write)
        except sql.exc.DatabaseError as error:
            raise StoreError(f"{folder / 'journal.sqlite'} is no usable journal: {error.orig}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the files back."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    def _check(self, write: bool) -> None:
        with self._engine.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if found not in (0, SCHEMA_VERSION):
                raise StoreError(
                    f"the journal in {self.folder} has version {found}, this Echelon writes "
                    f"{SCHEMA_VERSION}; use another --store"
                )
            if write and found == 0:
                _metadata.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def create(self, record: RunRecord) -> None:
        """Store a run, once; a second time changes nothing but where its sota comes from."""
        row = {**asdict(record), "card": card_to_proto(record.card).SerializeToString(deterministic=True)}
        with self._engine.begin() as connection:
            connection.execute(insert(_runs).on_conflict_do_nothing(), row)
            if record.sota is not None:
                connection.execute(sql.update(_runs).where(_runs.c.run == record.run).values(sota=record.sota))

    def commit(self, run: str, rows: Rows) -> None:
        """Write outcomes and attempts; when this returns, they survive a power cut."""
        outcomes = [self._row(run, outcome, milliseconds) for outcome, milliseconds in rows.outcomes]
        attempts = [{"run": run, **asdict(attempt)} for attempt in rows.attempts]
        try:
            with self._engine.begin() as connection:
                if outcomes:
                    connection.execute(insert(_outcomes).on_conflict_do_nothing(), outcomes)
                if attempts:
                    connection.execute(sql.insert(_attempts), attempts)
        except sql.exc.OperationalError as error:
            raise StoreError(f"cannot write to {self.folder}: {error.orig}; nothing that was stored is lost") from error

    def _row(self, run: str, outcome: SampleOutcome, milliseconds: float) -> dict[str, Any]:
        answer: bytes | None = None
        blob = ""
        if outcome.state is State.ANSWERED:
            answer = outcome_to_proto(Answer(outcome.parts)).SerializeToString(deterministic=True)
            if len(answer) > INLINE_BYTES:
                blob = self._put_blob(answer)
                answer = None
        return {
            "run": run,
            "task": outcome.task,
            "sample": outcome.sample,
            "repeat": 0,
            "state": outcome.state.value,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "answer": answer,
            "blob": blob,
            "milliseconds": milliseconds,
        }

    def _put_blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self._blob(digest)
        if path.exists():
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        with temporary.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
        _sync_folder(path.parent)
        return digest

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest

    def run(self, prefix: str) -> RunRecord:
        """The one run whose id begins with `prefix`; "last" is the newest."""
        query = sql.select(_runs).order_by(_runs.c.created.desc())
        if prefix != "last":
            query = query.where(_runs.c.run.startswith(prefix, autoescape=True))
        with self._engine.begin() as connection:
            found = connection.execute(query.limit(2)).all()
        if not found:
            raise UnknownNameError(f"no run {prefix!r} in {self.folder}; `echelon runs list` shows what there is")
        if len(found) > 1 and prefix != "last":
            raise UnknownNameError(f"more than one run begins with {prefix!r}; give more digits")
        return _record(found[0])

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        with self._engine.begin() as connection:
            return [_record(row) for row in connection.execute(sql.select(_runs).order_by(_runs.c.created.desc()))]

    def done(self, run: str, task: str) -> set[str]:
        """The samples of `task` that have their outcome."""
        query = sql.select(_outcomes.c.sample).where(_outcomes.c.run == run, _outcomes.c.task == task)
        with self._engine.begin() as connection:
            return set(connection.execute(query).scalars())

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> dict[str, SampleOutcome]:
        """The outcomes there are for these samples of `task`, by sample."""
        query = sql.select(_outcomes).where(
            _outcomes.c.run == run, _outcomes.c.task == task, _outcomes.c.sample.in_(samples)
        )
        with self._engine.begin() as connection:
            return {row.sample: self._outcome(row) for row in connection.execute(query)}

    def _outcome(self, row: Any) -> SampleOutcome:
        answer = self._get_blob(row.blob) if row.blob else row.answer
        outcome = None if answer is None else outcome_from_proto(pb.Outcome.FromString(answer))
        parts = outcome.parts if isinstance(outcome, Answer) else ()
        return SampleOutcome(row.task, row.sample, State(row.state), parts, row.reason, row.detail)

    def _get_blob(self, digest: str) -> bytes:
        try:
            data = self._blob(digest).read_bytes()
        except OSError as error:
            raise StoreError(f"an answer of this run is missing: {self._blob(digest)}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"an answer of this run is damaged: {self._blob(digest)}")
        return data

    def attempts(self, run: str) -> list[Attempt]:
        """The tries that failed, oldest first."""
        query = sql.select(_attempts).where(_attempts.c.run == run).order_by(_attempts.c.number)
        with self._engine.begin() as connection:
            return [Attempt(row.task, row.sample, row.reason, row.detail, row.at) for row in connection.execute(query)]

    def tried(self, run: str, task: str) -> set[str]:
        """The samples of `task` of which some try failed."""
        query = sql.select(_attempts.c.sample).where(_attempts.c.run == run, _attempts.c.task == task)
        with self._engine.begin() as connection:
            return set(connection.execute(query).scalars())

    def milliseconds(self, run: str) -> list[float]:
        """How long each outcome took, sorted."""
        query = sql.select(_outcomes.c.milliseconds).where(_outcomes.c.run == run).order_by(_outcomes.c.milliseconds)
        with self._engine.begin() as connection:
            return list(connection.execute(query).scalars())


def _take_lock(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise StoreError(f"cannot use {folder} as a store: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise StoreError(
            f"another run is writing to {folder}; wait for it, or give this one its own --store"
        ) from error
    return lock


def _engine(path: Path, write: bool) -> sql.Engine:
    # A second connection must never checkpoint: SQLite before 3.51.3 can lose pages when two do at once.
    location = f"file:{path.resolve()}?mode={'rwc' if write else 'ro'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(location, uri=True, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA busy_timeout = 30000")
        if write:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        return connection

    return sql.create_engine("sqlite://", creator=connect, poolclass=sql.StaticPool)


def _record(row: Any) -> RunRecord:
    card = card_from_proto(pb.Card.FromString(row.card))
    return RunRecord(row.run, row.suite, card, row.target, row.seed, row.settings, row.created, row.sota)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def run_id(identity: Mapping[str, Any]) -> str:
    """The id of the run that `identity` (plain values) describes."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
