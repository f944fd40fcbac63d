"""Rows of the journal, checked as they are read and digested as they are written.

Every row of a tied run has a checksum over all its values, keys included. The rows of a task in one table have a
digest, which changes in the transaction that adds to them, and each of a run's tasks has its digests from the start.
So a row that was changed, moved, added or taken away is found, and so is a digest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sql

from echelon.scorer import schema
from echelon.scorer.errors import StoreError
from echelon.scorer.integrity import SetDigest, checksum, checksum_before_4

_FETCHED = 256
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


_INSERT = {table: sql.insert(table) for table in schema.TASK_TABLES}
_UPDATE_DIGESTS = (
    sql.update(schema.digests)
    .where(*(schema.digests.c[name] == sql.bindparam(f"of_{name}") for name in ("run", "task", "relation")))
    .values({name: sql.bindparam(f"of_{name}") for name in ("row_count", "digest", "checksum")})
)


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
        row = next(self._fetch(schema.runs, run=run), None)
        if row is None:
            self._check_orphans(schema.digests.c.run == run)
        else:
            self.check_run_row(row)
        return row

    def runs(self, prefix: str = "") -> list[Any]:
        """Return the rows of the runs whose id begins with `prefix`, newest first; of all runs, none may be missing."""
        query = schema.select(schema.runs, self.version).order_by(schema.runs.c.created.desc())
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
        checksum_of = checksums(table, run)
        found: defaultdict[str, list[bytes]] = defaultdict(list)
        for row in self._fetch(table, **_keys(run, task)):
            computed = checksum_of(row[:-1])
            if computed != row[-1]:
                self.report(f"{_ROW[table.name]} of task {row.task}, sample {row.sample}, {_in(run)} is damaged")
            if computed is not None:
                found[row.task].append(computed)
            yield row
        if tied(run):
            self._compare(table, run, found, self.digests(table, run, task))

    def look_up(self, run: str, task: str, samples: Sequence[str]) -> dict[str, Any]:
        """Return those of these outcomes that are stored, by sample, and unchecked: `rows` has checked them."""
        query = schema.select(schema.outcomes, self.version, "run", "task")
        query = query.where(schema.outcomes.c.sample.in_(samples))
        return {row.sample: row for row in self.connection.execute(query, {"run": run, "task": task})}

    def digests(self, table: sql.Table, run: Any, task: str | None = None) -> dict[str, SetDigest | None]:
        """Return the stored digests of a tied run's rows in `table`, by task: of all its tasks, or of one.

        None stands for a digest that is damaged.
        """
        found: dict[str, SetDigest | None] = {}
        for row in self._fetch(schema.digests, relation=str(table.name), **_keys(run, task)):
            intact = checksum(str(schema.digests.name), row[:-1]) == row.checksum
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
            intact = checksum(str(schema.runs.name), row[:-1]) == row.checksum
        else:
            intact = row.store_version in schema.UNTIED and row.checksum is None and not self._has_digests(row.run)
        if not intact:
            self.report(f"the row of run {str(row.run)[:12]} is damaged")

    def _fetch(self, table: sql.Table, **keys: str) -> Iterator[Any]:
        result = self.connection.execute(schema.select(table, self.version, *keys), keys)
        # Many rows at a time: one by one, fetching them costs as much as checking them.
        for rows in result.partitions(_FETCHED):
            yield from rows

    def _has_digests(self, run: str) -> bool:
        """Whether a run has digests, which only tied ones get."""
        if self.version in schema.UNTIED:
            return False
        return bool(self.connection.execute(sql.select(sql.exists().where(schema.digests.c.run == run))).scalar())

    def _check_orphans(self, where: sql.ColumnElement[bool]) -> None:
        if self.version not in schema.UNTIED:
            query = sql.select(schema.digests.c.run).where(where).distinct()
            for run in self.connection.execute(query).scalars():
                self.report(f"the row of run {str(run)[:12]} is missing")

    def _compare(
        self, table: sql.Table, run: Any, found: Mapping[str, list[bytes]], stored: Mapping[str, SetDigest | None]
    ) -> None:
        for task in {**stored, **found}:
            here, written = SetDigest().add(found.get(task, ())), stored.get(task, SetDigest())
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


def checksums(table: sql.Table, run: Any) -> Callable[[Sequence[Any]], bytes | None]:
    """Return the function from a row's covered values to its checksum; to None where rows of such a run have none."""
    if tied(run):
        return partial(checksum, str(table.name))
    return _outcome_checksum_before_4 if table is schema.outcomes else lambda _: None


def _outcome_checksum_before_4(values: Sequence[Any]) -> bytes:
    run, task, sample, _, state, reason, detail, answer, blob, _ = values
    return checksum_before_4(run, task, sample, (state, reason, detail, blob), answer)


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


def append(reader: CheckedReader, run: Any, rows: Mapping[sql.Table, Sequence[dict[str, Any]]]) -> None:
    """Add rows to a run and to the digests of their tasks; an outcome that is there already stays as it is."""
    added: defaultdict[tuple[sql.Table, str], list[bytes]] = defaultdict(list)
    for table, each in rows.items():
        for row in _insert(reader, run, table, each):
            added[table, row["task"]].append(row["checksum"])
    if not tied(run) or not added:
        return
    digests = []
    for (table, task), checksums in added.items():
        digest = reader.digests(table, run, task).get(task)
        if digest is None:
            raise StoreError(f"run {run.run[:12]} has no task {task}")
        digests.append(_digest_row(run.run, task, table, digest.add(checksums)))
    reader.connection.execute(
        _UPDATE_DIGESTS, [{f"of_{name}": value for name, value in row.items()} for row in digests]
    )


def _insert(
    reader: CheckedReader, run: Any, table: sql.Table, rows: Sequence[dict[str, Any]]
) -> Sequence[dict[str, Any]]:
    """Insert rows with their checksums, and return those that were not there."""
    names, checksum_of = schema.covered(table), checksums(table, run)
    stamped = [{**row, "checksum": checksum_of([row[name] for name in names])} for row in rows]
    if not stamped:
        return ()
    if table is not schema.outcomes:
        reader.connection.execute(_INSERT[table], stamped)
        return stamped
    try:
        with reader.connection.begin_nested():
            reader.connection.execute(_INSERT[table], stamped)
    except sql.exc.IntegrityError:
        # Rarely is an outcome there already; to look for them each time would double the cost of a commit.
        stamped = [row for row in stamped if not reader.look_up(run.run, row["task"], [row["sample"]])]
        for row in stamped:
            reader.connection.execute(_INSERT[table], row)
    return stamped


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
    return {**values, "checksum": checksum(str(table.name), tuple(values.values()))}


def _keys(run: Any, task: str | None) -> dict[str, str]:
    return {"run": run.run} if task is None else {"run": run.run, "task": task}


def _in(run: Any) -> str:
    return f"in run {str(run.run)[:12]}"


def _digest(table: sql.Table, run: Any, task: str) -> str:
    return f"the digest of the {_ROWS[table.name]} of task {task}, {_in(run)},"
