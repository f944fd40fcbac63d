"""The store of runs: SQLite with one writer, durable at every commit; large outcomes lie beside it by digest.

Outcomes are written once under (run, task, sample, repeat) and never changed. What failed for a passing reason is no
outcome: it stands in `attempts` and is asked again when the run is resumed. What a call took stands in `usage`, a row
for each call of which it is known, whether an outcome came of it or not. All rows are checked whenever they are read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import sqlalchemy as sql
from google.protobuf.message import DecodeError

from echelon.adapters import Answer, Card, Usage
from echelon.scorer import checked, schema
from echelon.scorer.blobs import Blobs
from echelon.scorer.checked import CheckedReader
from echelon.scorer.database import Database
from echelon.scorer.errors import StoreError, UnknownNameError
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.stability import Phase, Probe
from echelon.scorer.usage import Spent, TotalUsage
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.calls import outcome_from_proto, outcome_to_proto
from echelon.wire.cards import card_from_proto, card_to_proto

INLINE_BYTES = 64 * 1024
"""Larger outcomes go to a file of their own."""
_CHUNK = 256
"""Outcomes that one query reads."""
_JSON = ("suite", "settings", "sota", "identity")
"""Columns of `runs` that hold JSON."""


@dataclass(frozen=True)
class RunRecord:
    """What a run is; `suite` says how to open the suite again, `sota` where its specialists' scores come from.

    `nonce` is a random token, made once by whoever creates the run. `identity` is the model's, as its server stated it.
    Neither is changed by a second `Store.create`. `store_version` is the version of the store that it was created in.
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
    store_version: int = schema.VERSION

    @property
    def tied(self) -> bool:
        """Whether the store can tell every row of the run that was changed, moved or taken away."""
        return self.store_version not in schema.UNTIED


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
    probes: list[Probe] = field(default_factory=list)


class Store:
    """A folder of runs. Open it to read, or with `write=True` to be its one writer.

    Whatever is read is checked first: StoreError names the run, the task and the sample of what was changed, moved or
    taken away.
    """

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self.folder = folder
        self._database = Database(folder, write=write)
        self._blobs = Blobs(folder / "blobs")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the files back."""
        self._database.close()

    @contextmanager
    def _reader(self, report: Callable[[str], None] | None = None) -> Iterator[CheckedReader]:
        with self._database.transaction() as connection:
            yield CheckedReader(connection, self._database.version, report or self._refuse)

    def _refuse(self, problem: str) -> NoReturn:
        raise StoreError(f"{problem} in {self._database.file}; put a copy back, or run again with --new")

    def _refuse_all(self, problem: str) -> NoReturn:
        # Every run needs the list of runs.
        raise StoreError(f"{problem} in {self._database.file}; put a copy back, or name another --store")

    def _run(self, reader: CheckedReader, run: str) -> Any:
        row = reader.run(run)
        if row is None:
            raise UnknownNameError(f"no run {run!r} in {self.folder}; `echelon runs list` shows what there is")
        return row

    def create(self, record: RunRecord) -> None:
        """Store a run, once; a second time changes only where its suite lies and, if given, its sota.

        Raises StoreError where the run is there already and anything of it is damaged.
        """
        row = _run_row(record)
        with self._reader() as reader:
            known = reader.run(record.run)
            if known is None:
                checked.insert_run(reader, row)
                reader.check(reader.run(record.run))
            else:
                reader.check(known)
                changes = {name: row[name] for name in ("suite", "sota") if row[name] is not None}
                checked.update_run(reader, known, changes)

    def commit(self, run: str, rows: Rows) -> None:
        """Write outcomes, attempts and usage; when this returns, they survive a power cut.

        An outcome that is stored already stays as it is.
        """
        outcomes: dict[tuple[str, str], dict[str, Any]] = {}
        for outcome, milliseconds in rows.outcomes:
            outcomes.setdefault((outcome.task, outcome.sample), self._outcome_row(run, outcome, milliseconds))
        attempts = [{"run": run, **asdict(attempt)} for attempt in rows.attempts]
        spent = [_usage_row(run, each) for each in rows.spent]
        probes = [{"run": run, **asdict(probe)} for probe in rows.probes]
        with self._reader() as reader:
            row = self._run(reader, run)
            new = {
                schema.outcomes: list(outcomes.values()),
                schema.attempts: attempts,
                schema.usage: spent,
                schema.probes: probes,
            }
            checked.append(reader, row, new)

    def _outcome_row(self, run: str, outcome: SampleOutcome, milliseconds: float) -> dict[str, Any]:
        answer: bytes | None = None
        blob = ""
        if outcome.state is State.ANSWERED:
            answer = outcome_to_proto(Answer(outcome.parts)).SerializeToString(deterministic=True)
            if len(answer) > INLINE_BYTES:
                blob, answer = self._blobs.put(answer), None
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
            # SQLite keeps no sign of a zero, and an integer here as a float.
            "milliseconds": float(milliseconds) + 0.0,
        }

    def run(self, prefix: str) -> RunRecord:
        """Return the one run whose id begins with `prefix`; "last" is the newest."""
        with self._reader(self._refuse_all) as reader:
            found = reader.runs("" if prefix == "last" else prefix)
            if not found:
                # Perhaps the run is there under a damaged id, or its row is missing.
                reader.runs()
        if not found:
            raise UnknownNameError(f"no run {prefix!r} in {self.folder}; `echelon runs list` shows what there is")
        if len(found) > 1 and prefix != "last":
            raise UnknownNameError(f"more than one run begins with {prefix!r}; give more digits")
        return self._record(found[0])

    def runs(self) -> list[RunRecord]:
        """Return all runs, newest first."""
        with self._reader(self._refuse_all) as reader:
            found = reader.runs()
        return [self._record(row) for row in found]

    def _record(self, row: Any) -> RunRecord:
        try:
            card = card_from_proto(pb.Card.FromString(row.card))
            plain = {name: None if row._mapping[name] is None else json.loads(row._mapping[name]) for name in _JSON}
        except (DecodeError, TypeError, ValueError):
            # Rows of runs have checksums only since version 4.
            self._refuse_all(f"the row of run {row.run[:12]} is damaged")
        values = {name: row._mapping[name] for name in schema.covered(schema.runs)}
        return RunRecord(**{**values, **plain, "card": card})

    def done(self, run: str, task: str) -> set[str]:
        """Return the samples of `task` that have their outcome."""
        return self._samples(schema.outcomes, run, task)

    def tried(self, run: str, task: str) -> set[str]:
        """Return the samples of `task` of which some try failed."""
        return self._samples(schema.attempts, run, task)

    def _samples(self, table: sql.Table, run: str, task: str) -> set[str]:
        with self._reader() as reader:
            return {row.sample for row in reader.rows(table, self._run(reader, run), task)}

    def counts(self, run: str) -> dict[str, Counter[State]]:
        """Return how many samples of each task ended in each state."""
        found: dict[str, Counter[State]] = {}
        with self._reader() as reader:
            for row in reader.rows(schema.outcomes, self._run(reader, run)):
                found.setdefault(row.task, Counter())[State(row.state)] += 1
        return found

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        """Yield the outcome of each of these samples of `task`, in their order; None where there is none yet."""
        # All of the task's rows first: that one is missing can only be told from all of them.
        present = self.done(run, task)
        for start in range(0, len(samples), _CHUNK):
            chunk = samples[start : start + _CHUNK]
            with self._reader() as reader:
                rows = reader.look_up(run, task, [sample for sample in chunk if sample in present])
            for sample in chunk:
                if sample in present and sample not in rows:
                    self._refuse(
                        f"the outcome of task {task}, sample {sample}, in run {run[:12]} is not found by its key"
                    )
                # A large answer is read only when it is its turn.
                yield self._outcome(rows[sample]) if sample in rows else None

    def _outcome(self, row: Any) -> SampleOutcome:
        try:
            answer = self._blobs.get(row.blob) if row.blob else row.answer
        except StoreError as error:
            where = f"the outcome of task {row.task}, sample {row.sample}, in run {row.run[:12]}"
            raise StoreError(f"{where} cannot be read: {error}; put a copy back, or run again with --new") from error
        outcome = None if answer is None else outcome_from_proto(pb.Outcome.FromString(answer))
        parts = outcome.parts if isinstance(outcome, Answer) else ()
        return SampleOutcome(row.task, row.sample, State(row.state), parts, row.reason, row.detail)

    def attempts(self, run: str) -> list[Attempt]:
        """Return the tries that failed, oldest first."""
        with self._reader() as reader:
            rows = reader.rows(schema.attempts, self._run(reader, run))
            return [Attempt(row.task, row.sample, row.reason, row.detail, row.at) for row in rows]

    def probes(self, run: str) -> list[Probe]:
        """Return the run's probes, in the order in which they were answered."""
        if self._database.version in schema.UNTIED:
            return []
        with self._reader() as reader:
            rows = reader.rows(schema.probes, self._run(reader, run))
            return [Probe(row.task, row.sample, Phase(row.phase), row.digest) for row in rows]

    def usage(self, run: str) -> dict[str, TotalUsage]:
        """Return what the calls of each task took, for the tasks of which anything is known."""
        if self._database.version == schema.WITHOUT_USAGE:
            return {}
        found: dict[str, list[Any]] = {}
        with self._reader() as reader:
            for row in reader.rows(schema.usage, self._run(reader, run)):
                found.setdefault(row.task, []).append(row)
        try:
            return {task: _total(rows) for task, rows in sorted(found.items())}
        except TypeError:
            # Rows of usage have checksums only since version 4.
            self._refuse(f"the usage of run {run[:12]} is damaged")

    def milliseconds(self, run: str) -> list[float]:
        """Return how long the model took for each outcome, sorted."""
        with self._reader() as reader:
            return sorted(row.milliseconds for row in reader.rows(schema.outcomes, self._run(reader, run)))


_USAGE = tuple(field.name for field in fields(Usage))


def _run_row(record: RunRecord) -> dict[str, Any]:
    row = {each.name: getattr(record, each.name) for each in fields(record)}
    row |= {name: None if row[name] is None else json.dumps(row[name]) for name in _JSON}
    return {**row, "card": card_to_proto(record.card).SerializeToString(deterministic=True)}


def _total(rows: Sequence[Any]) -> TotalUsage:
    sums = (sum(getattr(row, name) for row in rows) for name in _USAGE)
    return TotalUsage(len(rows), len({row.sample for row in rows}), Usage(*sums))


def _usage_row(run: str, spent: Spent) -> dict[str, Any]:
    counts = {name: getattr(spent.usage, name) for name in _USAGE}
    return {"run": run, "task": spent.task, "sample": spent.sample, **counts}
