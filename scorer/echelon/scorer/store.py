"""The store of runs: SQLite with one writer, durable at every commit; large outcomes lie beside it by digest.

Outcomes are written once under (run, task, sample, repeat) and never changed; each has a checksum. What failed for a
passing reason is no outcome: it stands in `attempts` and is asked again when the run is resumed. What a call took
stands in `usage`, a row for each call of which it is known, whether an outcome came of it or not.
"""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO, Any, Self

import sqlalchemy as sql
from google.protobuf.message import DecodeError
from sqlalchemy.dialects.sqlite import insert

from echelon.adapters import Answer, Card, Usage
from echelon.scorer import schema
from echelon.scorer.blobs import Blobs
from echelon.scorer.errors import StoreError, UnknownNameError
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.usage import Spent, TotalUsage
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import outcome_from_proto, outcome_to_proto
from echelon.wire.cards import card_from_proto, card_to_proto

INLINE_BYTES = 64 * 1024
"""Larger outcomes go to a file of their own."""
_CHUNK = 256
"""Outcomes that one query reads."""


@dataclass(frozen=True)
class RunRecord:
    """What a run is; `suite` says how to open the suite again, `sota` where its specialists' scores come from.

    `nonce` is a random token, made once by whoever creates the run. `identity` is the model's, as its server stated it.
    Neither is changed by a second `Store.create`.
    """

    run: str
    suite: Mapping[str, Any]
    card: Card
    target: str
    seed: int
    settings: Mapping[str, str]
    created: str
    sota: Mapping[str, Any] | None = None
    nonce: str = ""
    identity: Mapping[str, Any] | None = None


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
    spent: list[Spent] = field(default_factory=list)


class Store:
    """A folder of runs. Open it to read, or with `write=True` to be its one writer."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self._file = folder / "journal.sqlite"
        self._blobs = Blobs(folder / "blobs")
        # Threads share one connection and must not share a transaction.
        self._turn = Lock()
        self._lock = _take_lock(folder) if write else None
        if not write and not self._file.is_file():
            raise StoreError(f"there are no runs in {folder}; evaluate something first, or name another with --store")
        self._engine = _engine(self._file, write)
        try:
            with self._transaction() as connection:
                self._version = schema.prepare(connection, str(self._file), write=write)
        except BaseException:
            self.close()
            raise

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

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        try:
            with self._turn, self._engine.begin() as connection:
                yield connection
        except sql.exc.OperationalError as error:
            raise StoreError(f"cannot use {self._file}: {error.orig}; nothing that was stored is lost") from error
        except (sql.exc.DatabaseError, DecodeError, ValueError) as error:
            told = error.orig if isinstance(error, sql.exc.DatabaseError) else error
            raise StoreError(
                f"{self._file} is damaged, or no journal: {told}; put a copy back, or name another --store"
            ) from error

    def _select(self, table: sql.Table) -> sql.Select[Any]:
        return sql.select(*schema.columns(table, self._version)).select_from(table)

    def create(self, record: RunRecord) -> None:
        """Store a run, once; a second time changes only where its suite lies and, if told, its sota."""
        row = {**asdict(record), "card": card_to_proto(record.card).SerializeToString(deterministic=True)}
        new = {name: row[name] for name in ("suite", "sota") if row[name] is not None}
        with self._transaction() as connection:
            connection.execute(insert(schema.runs).on_conflict_do_update(index_elements=["run"], set_=new), row)

    def commit(self, run: str, rows: Rows) -> None:
        """Write outcomes, attempts and usage; when this returns, they survive a power cut."""
        outcomes = [self._row(run, outcome, milliseconds) for outcome, milliseconds in rows.outcomes]
        attempts = [{"run": run, **asdict(attempt)} for attempt in rows.attempts]
        spent = [_usage_row(run, each) for each in rows.spent]
        with self._transaction() as connection:
            if outcomes:
                connection.execute(insert(schema.outcomes).on_conflict_do_nothing(), outcomes)
            if attempts:
                connection.execute(sql.insert(schema.attempts), attempts)
            if spent:
                connection.execute(sql.insert(schema.usage), spent)

    def _row(self, run: str, outcome: SampleOutcome, milliseconds: float) -> dict[str, Any]:
        answer: bytes | None = None
        blob = ""
        if outcome.state is State.ANSWERED:
            answer = outcome_to_proto(Answer(outcome.parts)).SerializeToString(deterministic=True)
            if len(answer) > INLINE_BYTES:
                blob, answer = self._blobs.put(answer), None
        told = (outcome.task, outcome.sample, outcome.state.value, outcome.reason, outcome.detail, blob)
        return {
            "run": run,
            **dict(zip(("task", "sample", "state", "reason", "detail", "blob"), told, strict=True)),
            "repeat": 0,
            "answer": answer,
            "milliseconds": milliseconds,
            "checksum": _checksum(run, *told, answer=answer),
        }

    def run(self, prefix: str) -> RunRecord:
        """The one run whose id begins with `prefix`; "last" is the newest."""
        query = self._select(schema.runs).order_by(schema.runs.c.created.desc())
        if prefix != "last":
            query = query.where(schema.runs.c.run.startswith(prefix, autoescape=True))
        with self._transaction() as connection:
            found = [_record(row) for row in connection.execute(query.limit(2))]
        if not found:
            raise UnknownNameError(f"no run {prefix!r} in {self.folder}; `echelon runs list` shows what there is")
        if len(found) > 1 and prefix != "last":
            raise UnknownNameError(f"more than one run begins with {prefix!r}; give more digits")
        return found[0]

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        with self._transaction() as connection:
            query = self._select(schema.runs).order_by(schema.runs.c.created.desc())
            return [_record(row) for row in connection.execute(query)]

    def done(self, run: str, task: str) -> set[str]:
        """The samples of `task` that have their outcome."""
        return self._samples(schema.outcomes, run, task)

    def tried(self, run: str, task: str) -> set[str]:
        """The samples of `task` of which some try failed."""
        return self._samples(schema.attempts, run, task)

    def _samples(self, table: sql.Table, run: str, task: str) -> set[str]:
        query = sql.select(table.c.sample).where(table.c.run == run, table.c.task == task)
        with self._transaction() as connection:
            return set(connection.execute(query).scalars())

    def counts(self, run: str) -> dict[str, Counter[State]]:
        """How many samples of each task ended in each state."""
        columns = schema.outcomes.c
        query = sql.select(columns.task, columns.state, sql.func.count()).where(columns.run == run)
        found: dict[str, Counter[State]] = {}
        with self._transaction() as connection:
            for task, state, number in connection.execute(query.group_by(columns.task, columns.state)):
                found.setdefault(task, Counter())[State(state)] = number
        return found

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        """The outcome of each of these samples of `task`, in their order; None where there is none yet."""
        for start in range(0, len(samples), _CHUNK):
            chunk = samples[start : start + _CHUNK]
            rows = self._rows(run, task, chunk)
            # A large answer is read only when it is its turn.
            yield from (self._outcome(rows[sample]) if sample in rows else None for sample in chunk)

    def _rows(self, run: str, task: str, samples: Sequence[str]) -> dict[str, Any]:
        columns = schema.outcomes.c
        query = sql.select(schema.outcomes).where(columns.run == run, columns.task == task, columns.sample.in_(samples))
        with self._transaction() as connection:
            return {row.sample: row for row in connection.execute(query)}

    def _outcome(self, row: Any) -> SampleOutcome:
        where = f"the outcome of task {row.task}, sample {row.sample}, in run {row.run[:12]}"
        told = (row.task, row.sample, row.state, row.reason, row.detail, row.blob)
        if _checksum(row.run, *told, answer=row.answer) != row.checksum:
            raise StoreError(f"{where} is damaged in {self._file}; put a copy back, or run again with --new")
        try:
            answer = self._blobs.get(row.blob) if row.blob else row.answer
        except StoreError as error:
            raise StoreError(f"{where} cannot be read: {error}; put a copy back, or run again with --new") from error
        outcome = None if answer is None else outcome_from_proto(pb.Outcome.FromString(answer))
        parts = outcome.parts if isinstance(outcome, Answer) else ()
        return SampleOutcome(row.task, row.sample, State(row.state), parts, row.reason, row.detail)

    def attempts(self, run: str) -> list[Attempt]:
        """The tries that failed, oldest first."""
        query = sql.select(schema.attempts).where(schema.attempts.c.run == run).order_by(schema.attempts.c.number)
        with self._transaction() as connection:
            return [Attempt(row.task, row.sample, row.reason, row.detail, row.at) for row in connection.execute(query)]

    def usage(self, run: str) -> dict[str, TotalUsage]:
        """What the calls of each task took, of those tasks of which anything is known."""
        if self._version == schema.WITHOUT_USAGE:
            return {}
        columns = schema.usage.c
        # As floats: no count that a server tells, however absurd, makes the sum overflow.
        sums = [sql.func.sum(sql.cast(columns[name], sql.Float)) for name in _USAGE]
        samples = sql.func.count(sql.distinct(columns.sample))
        query = sql.select(columns.task, sql.func.count(), samples, *sums).where(columns.run == run)
        with self._transaction() as connection:
            rows = connection.execute(query.group_by(columns.task))
            return {task: TotalUsage(calls, samples, Usage(*map(int, sums))) for task, calls, samples, *sums in rows}

    def milliseconds(self, run: str) -> list[float]:
        """How long the model took for each outcome, sorted."""
        columns = schema.outcomes.c
        query = sql.select(columns.milliseconds).where(columns.run == run).order_by(columns.milliseconds)
        with self._transaction() as connection:
            return list(connection.execute(query).scalars())


_USAGE = tuple(field.name for field in fields(Usage))


def _usage_row(run: str, spent: Spent) -> dict[str, Any]:
    told = {name: getattr(spent.usage, name) for name in _USAGE}
    return {"run": run, "task": spent.task, "sample": spent.sample, **told}


def _checksum(*told: str, answer: bytes | None) -> bytes:
    return hashlib.blake2b("\0".join(told).encode() + b"\0" + (answer or b""), digest_size=16).digest()


def _take_lock(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        raise StoreError(f"cannot use {folder} as a store: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreError(
            f"another run is writing to {folder}; wait for it, or give this one its own --store"
        ) from error
    return lock


def _engine(path: Path, write: bool) -> sql.Engine:
    # A second connection must never checkpoint: SQLite before 3.51.3 can lose pages when two do at once.
    location = f"{path.resolve().as_uri()}?mode={'rwc' if write else 'ro'}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(location, uri=True, timeout=30, check_same_thread=False, isolation_level=None)
        try:
            if write:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = sql.create_engine("sqlite://", creator=connect, poolclass=sql.StaticPool)
    # Left to itself, the driver begins no transaction before the first row is written: a migration would not be one.
    sql.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _record(row: Any) -> RunRecord:
    card = card_from_proto(pb.Card.FromString(row.card))
    return RunRecord(
        row.run, row.suite, card, row.target, row.seed, row.settings, row.created, row.sota, row.nonce, row.identity
    )
