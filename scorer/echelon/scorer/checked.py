"""Rows of the journal, checked as they are read and digested as they are written.

Every row of a tied run has a checksum over all its values, keys included. The rows of a task in one table have a
digest, which changes in the transaction that adds to them, and each of a run's tasks has its digests from the start.
So a row that was changed, moved, added or taken away is found, and so is a digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from echelon.scorer import schema
from echelon.scorer.errors import StoreError
from echelon.scorer.integrity import SetDigest, checksum, checksum_before_4

_ROW = {
    schema.outcomes.name: "the outcome",
    schema.attempts.name: "a failed attempt",
    schema.usage.name: "the usage of a call",
    schema.probes.name: "a probe",
}
_ROWS = {
    schema.outcomes.name: "outcomes",
    schema.attempts.name: "failed attempts",
    schema.usage.name: "usages of calls",
    schema.probes.name: "probes",
}


@dataclass(frozen=True, slots=True)
class CheckedReader:
    """Reads in one transaction; `report` gets a sentence without its end for everything that is wrong.

    `version` is the file's. A `report` that raises makes every row that is returned one that was checked.
    """

    connection: sql.Connection
    version: int
    report: Callable[[str], None]

    def run(self, run: str) -> Any:
        """Return the row of the run with this id, None where there is none."""
        row = self.connection.execute(self._select(schema.runs).where(schema.runs.c.run == run)).first()
        if row is None:
            self._check_orphans(schema.digests.c.run == run)
        else:
            self.check_run_row(row)
        return row

    def runs(self, prefix: str = "") -> list[Any]:
        """Return the rows of the runs whose id begins with `prefix`, newest first; of all runs, none may be missing."""
        query = self._select(schema.runs).order_by(schema.runs.c.created.desc())
        if prefix:
            query = query.where(schema.runs.c.run.startswith(prefix, autoescape=True))
        rows = list(self.connection.execute(query))
        for row in rows:
            self.check_run_row(row)
        if not prefix:
            self._check_orphans(schema.digests.c.run.not_in(sql.select(schema.runs.c.run)))
        return rows

    def rows(self, table: sql.Table, run: Any, task: str | None = None) -> Iterator[Any]:
        """Yield a run's rows in `table`, or those of one task; that some are missing is reported after the last."""
        query = self._select(table).where(table.c.run == run.run)
        if task is not None:
            query = query.where(table.c.task == task)
        if "number" in table.c:
            query = query.order_by(table.c.number)
        found: dict[str, SetDigest] = {}
        for row in self.connection.execute(query):
            computed = computed_checksum(table, run, row[:-1])
            if computed != row.checksum:
                self.report(f"{_ROW[table.name]} of task {row.task}, sample {row.sample}, {_in(run)} is damaged")
            if computed is not None:
                found[row.task] = found.get(row.task, SetDigest()).add(computed)
            yield row
        if tied(run):
            self._compare(table, run, found, self.digests(table, run, task))

    def look_up(self, run: str, task: str, samples: Sequence[str]) -> dict[str, Any]:
        """Return those of these outcomes that are stored, by sample, and unchecked: `rows` has checked them."""
        columns = schema.outcomes.c
        query = self._select(schema.outcomes).where(
            columns.run == run, columns.task == task, columns.sample.in_(samples)
        )
        return {row.sample: row for row in self.connection.execute(query)}

    def digests(self, table: sql.Table, run: Any, task: str | None = None) -> dict[str, SetDigest | None]:
        """Return the stored digests of a tied run's rows in `table`, by task: of all its tasks, or of one.

        None stands for a digest that is damaged.
        """
        columns = schema.digests.c
        query = self._select(schema.digests).where(columns.run == run.run, columns.relation == table.name)
        if task is not None:
            query = query.where(columns.task == task)
        found: dict[str, SetDigest | None] = {}
        for row in self.connection.execute(query):
            intact = checksum(schema.digests.name, row[:-1]) == row.checksum
            found[row.task] = SetDigest.of(row.row_count, row.digest) if intact else None
            if not intact:
                self.report(f"{_digest(table, run, row.task)} is damaged")
        # What is written with the run itself cannot be missing.
        if task is None or task not in found:
            wanted = tasks(run)
            for name in wanted if task is None else {task}.intersection(wanted):
                if name not in found:
                    self.report(f"{_digest(table, run, name)} is missing")
        return found

    def check(self, run: Any) -> None:
        """Report all that is wrong with the rows of a run."""
        for table in self.tables():
            for _ in self.rows(table, run):
                pass

    def tables(self) -> tuple[sql.Table, ...]:
        """Return the tables of the file that hold rows of tasks."""
        return schema.task_tables(self.version)

    def check_run_row(self, row: Any) -> None:
        """Report a run's row that is damaged."""
        if row.store_version == schema.VERSION:
            intact = checksum(schema.runs.name, row[:-1]) == row.checksum
        else:
            intact = row.store_version in schema.UNTIED and row.checksum is None
        if not intact:
            self.report(f"the row of run {str(row.run)[:12]} is damaged")

    def _select(self, table: sql.Table) -> sql.Select[Any]:
        return schema.select(table, self.version)

    def _check_orphans(self, where: sql.ColumnElement[bool]) -> None:
        if self.version not in schema.UNTIED:
            query = sql.select(schema.digests.c.run).where(where).distinct()
            for run in self.connection.execute(query).scalars():
                self.report(f"the row of run {str(run)[:12]} is missing")

    def _compare(
        self, table: sql.Table, run: Any, found: Mapping[str, SetDigest], stored: Mapping[str, SetDigest | None]
    ) -> None:
        for task in {**stored, **found}:
            here, written = found.get(task, SetDigest()), stored.get(task, SetDigest())
            what = f"{_ROWS[table.name]} of task {task}, {_in(run)}"
            if written is None:
                continue
            if here.count != written.count:
                self.report(f"{written.count} {what}, were written and {here.count} are found")
            elif here != written:
                self.report(f"the {what}, are not those that were written: they are damaged")


def tied(run: Any) -> bool:
    """Whether a run's rows have checksums of all their values, and digests."""
    return run.store_version not in schema.UNTIED


def tasks(run: Any) -> list[str]:
    """Return the ids of a run's tasks; of a damaged row, none."""
    try:
        return list(json.loads(run.suite)["tasks"])
    except (KeyError, TypeError, ValueError):
        return []


def computed_checksum(table: sql.Table, run: Any, values: Sequence[Any]) -> bytes | None:
    """Return the checksum that a run's row of these covered values has, None for a row that has none."""
    if tied(run):
        return checksum(table.name, values)
    if table is not schema.outcomes:
        return None
    name, task, sample, _, state, reason, detail, answer, blob, _ = values
    return checksum_before_4(name, task, sample, (state, reason, detail, blob), answer)


def insert_run(reader: CheckedReader, row: Mapping[str, Any]) -> None:
    """Add a run, with a digest of no rows for each of its tasks."""
    reader.connection.execute(sql.insert(schema.runs), _stamped(schema.runs, row))
    _insert_digests(reader, row["run"], json.loads(row["suite"])["tasks"])


def update_run(reader: CheckedReader, run: Any, changes: Mapping[str, Any]) -> None:
    """Change values in the row of a run; tasks that are new in it get their digests."""
    row = {**run._mapping, **changes}
    if tied(run):
        row = _stamped(schema.runs, row)
        known = set(tasks(run))
        _insert_digests(reader, run.run, [task for task in json.loads(row["suite"])["tasks"] if task not in known])
    reader.connection.execute(sql.update(schema.runs).where(schema.runs.c.run == run.run), row)


def append(reader: CheckedReader, run: Any, table: sql.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to a run and to the digests of their tasks."""
    names = schema.covered(table)
    stamped = [{**row, "checksum": computed_checksum(table, run, [row[name] for name in names])} for row in rows]
    if stamped:
        reader.connection.execute(sql.insert(table), stamped)
    if not tied(run):
        return
    by_task: dict[str, list[bytes]] = {}
    for row in stamped:
        by_task.setdefault(row["task"], []).append(row["checksum"])
    for task, checksums in by_task.items():
        _extend(reader, run, table, task, checksums)


def _extend(reader: CheckedReader, run: Any, table: sql.Table, task: str, checksums: Iterable[bytes]) -> None:
    digest = reader.digests(table, run, task).get(task)
    if digest is None:
        raise StoreError(f"run {run.run[:12]} has no task {task}")
    for each in checksums:
        digest = digest.add(each)
    columns = schema.digests.c
    where = (columns.run == run.run, columns.task == task, columns.relation == table.name)
    row = _digest_row(run.run, task, table, digest)
    reader.connection.execute(sql.update(schema.digests).where(*where), row)


def _insert_digests(reader: CheckedReader, run: str, names: Sequence[str]) -> None:
    rows = [_digest_row(run, task, table, SetDigest()) for task in names for table in schema.TASK_TABLES]
    if rows:
        reader.connection.execute(sql.insert(schema.digests), rows)


def _digest_row(run: str, task: str, table: sql.Table, digest: SetDigest) -> dict[str, Any]:
    row = {
        "run": run,
        "task": task,
        "relation": str(table.name),
        "row_count": digest.count,
        "digest": digest.to_bytes(),
    }
    return _stamped(schema.digests, row)


def _stamped(table: sql.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in schema.covered(table)}
    return {**values, "checksum": checksum(table.name, tuple(values.values()))}


def _in(run: Any) -> str:
    return f"in run {str(run.run)[:12]}"


def _digest(table: sql.Table, run: Any, task: str) -> str:
    return f"the digest of the {_ROWS[table.name]} of task {task}, {_in(run)},"
