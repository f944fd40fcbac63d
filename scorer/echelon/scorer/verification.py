"""The check of a whole store: every row, every digest and every large answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from echelon.scorer import schema
from echelon.scorer.blobs import Blobs
from echelon.scorer.checked import CheckedReader, tied
from echelon.scorer.database import Database
from echelon.scorer.errors import StoreError, UnknownNameError


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """What was found of a run; without `problems` all that can be checked is right.

    `tied` is False for a run of an older store, whose missing and moved rows cannot be told.
    """

    run: str
    store_version: int
    tied: bool
    outcomes: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedStore:
    """What was found of a store; `problems` belong to no run that is there."""

    runs: tuple[VerifiedRun, ...]
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(run.problems for run in self.runs)


def verify(folder: Path, prefix: str = "") -> VerifiedStore:
    """Check all runs in `folder`, or those whose id begins with `prefix`; "last" is the newest.

    Raises StoreError where the journal cannot be opened, UnknownNameError where no run has that id.
    """
    database, blobs = Database(folder, write=False), Blobs(folder / "blobs")
    try:
        problems = list(_file_problems(database))
        with database.transaction() as connection:
            reader = CheckedReader(connection, database.version, problems.append)
            rows = reader.runs("" if prefix == "last" else prefix)
            problems += _stray_rows(connection, database.version)
        rows = rows[:1] if prefix == "last" else rows
        if prefix and not rows:
            raise UnknownNameError(f"no run {prefix!r} in {folder}; `echelon runs list` shows what there is")
        runs = tuple(_verified(database, blobs, row) for row in rows)
        told = {problem for run in runs for problem in run.problems}
        return VerifiedStore(runs, tuple(problem for problem in problems if problem not in told))
    finally:
        database.close()


def _file_problems(database: Database) -> Iterator[str]:
    with database.transaction() as connection:
        for line in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if line != "ok":
                yield f"{database.file}: {line}"


def _verified(database: Database, blobs: Blobs, run: Any) -> VerifiedRun:
    problems: list[str] = []
    outcomes = 0
    try:
        with database.transaction() as connection:
            reader = CheckedReader(connection, database.version, problems.append)
            reader.check_run_row(run)
            for table in reader.tables():
                for row in reader.rows(table, run):
                    if table is schema.outcomes:
                        outcomes += 1
                        problems += _blob_problems(blobs, row)
    except StoreError as error:
        problems.append(str(error))
    return VerifiedRun(str(run.run), run.store_version, tied(run), outcomes, tuple(problems))


def _blob_problems(blobs: Blobs, row: Any) -> Iterator[str]:
    if row.blob:
        try:
            blobs.get(row.blob)
        except StoreError as error:
            yield f"the outcome of task {row.task}, sample {row.sample}, in run {row.run[:12]} cannot be read: {error}"


def _stray_rows(connection: sql.Connection, version: int) -> Iterator[str]:
    """Rows of runs that are not there."""
    known = sql.select(schema.runs.c.run)
    for table in schema.task_tables(version):
        query = sql.select(table.c.run, sql.func.count()).where(table.c.run.not_in(known)).group_by(table.c.run)
        for run, count in connection.execute(query):
            yield f"rows without a run: {count} in {table.name}, of run {str(run)[:12]}"
