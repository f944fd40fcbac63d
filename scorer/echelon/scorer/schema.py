"""The tables of the store, their versions, and how older ones are read and migrated."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sql

from echelon.scorer.errors import StoreError

APPLICATION_ID = 0x45636865  # "Eche"
VERSION = 4
WITHOUT_USAGE = 2
"""The version before there was a table of usage; else it is as 3."""
UNTIED = (2, 3)
"""Versions without the table of digests and the columns of `_ADDED`: rows of their runs are not tied together."""

metadata = sql.MetaData()
runs = sql.Table(
    "runs",
    metadata,
    sql.Column("run", sql.String, primary_key=True),
    # JSON, as are settings, sota and identity. Read as text, for a checksum is over what is stored.
    sql.Column("suite", sql.Text, nullable=False),
    sql.Column("card", sql.LargeBinary, nullable=False),
    sql.Column("target", sql.String, nullable=False),
    sql.Column("seed", sql.Integer, nullable=False),
    sql.Column("settings", sql.Text, nullable=False),
    sql.Column("sota", sql.Text),
    sql.Column("created", sql.String, nullable=False),
    sql.Column("nonce", sql.String, nullable=False),
    sql.Column("identity", sql.Text),
    # The version that created the run.
    sql.Column("store_version", sql.Integer, nullable=False),
    sql.Column("checksum", sql.LargeBinary),
)
outcomes = sql.Table(
    "outcomes",
    metadata,
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
    sql.Column("checksum", sql.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
attempts = sql.Table(
    "attempts",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("run", sql.String, nullable=False, index=True),
    sql.Column("task", sql.String, nullable=False),
    sql.Column("sample", sql.String, nullable=False),
    sql.Column("reason", sql.String, nullable=False),
    sql.Column("detail", sql.String, nullable=False),
    sql.Column("at", sql.String, nullable=False),
    sql.Column("checksum", sql.LargeBinary),
)
usage = sql.Table(
    "usage",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("run", sql.String, nullable=False, index=True),
    sql.Column("task", sql.String, nullable=False),
    sql.Column("sample", sql.String, nullable=False),
    sql.Column("input_token_count", sql.Integer, nullable=False),
    sql.Column("output_token_count", sql.Integer, nullable=False),
    sql.Column("cost_nano_usd", sql.Integer, nullable=False),
    sql.Column("queue_us", sql.Integer, nullable=False),
    sql.Column("compute_us", sql.Integer, nullable=False),
    sql.Column("checksum", sql.LargeBinary),
)
probes = sql.Table(
    "probes",
    metadata,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("run", sql.String, nullable=False, index=True),
    sql.Column("task", sql.String, nullable=False),
    sql.Column("sample", sql.String, nullable=False),
    sql.Column("phase", sql.String, nullable=False),
    sql.Column("digest", sql.String, nullable=False),
    sql.Column("checksum", sql.LargeBinary),
)
digests = sql.Table(
    "digests",
    metadata,
    sql.Column("run", sql.String, primary_key=True),
    sql.Column("task", sql.String, primary_key=True),
    # The name of the table whose rows it is over.
    sql.Column("relation", sql.String, primary_key=True),
    sql.Column("row_count", sql.Integer, nullable=False),
    sql.Column("digest", sql.LargeBinary, nullable=False),
    sql.Column("checksum", sql.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
TASK_TABLES = (outcomes, attempts, usage, probes)
"""The tables that hold rows of tasks."""

_ADDED = {
    "runs": {"nonce": "''", "identity": "NULL", "store_version": "{version}", "checksum": "NULL"},
    "attempts": {"checksum": "NULL"},
    "usage": {"checksum": "NULL"},
}
"""Columns that version 4 added, and their values in rows that an older `version` wrote."""
_UNCOVERED = ("number", "checksum")
"""Numbers of rows are the file's own; a copy or a merge gives others."""


def task_tables(version: int) -> tuple[sql.Table, ...]:
    """Return the tables of a file of `version` that hold rows of tasks."""
    without = {2: (usage, probes), 3: (probes,)}.get(version, ())
    return tuple(table for table in TASK_TABLES if table not in without)


@cache
def covered(table: sql.Table) -> tuple[str, ...]:
    """Return the columns that a row's checksum is over, in their order."""
    return tuple(column.name for column in table.c if column.name not in _UNCOVERED)


@cache
def select(table: sql.Table, version: int, *keys: str) -> sql.Select[Any]:
    """Return the query for rows of `table` in a file of `version`, with a parameter for each of the columns `keys`.

    It gives the covered columns, then the checksum, as SQLite stores them: a value of a damaged row may have any type.
    """
    added = _ADDED.get(table.name, {}) if version in UNTIED else {}

    def column(name: str) -> sql.ColumnElement[Any]:
        if name in added:
            return sql.literal_column(added[name].format(version=version)).label(name)
        return sql.type_coerce(table.c[name], sql.types.NULLTYPE).label(name)

    query = sql.select(*map(column, (*covered(table), "checksum"))).select_from(table)
    query = query.where(*(table.c[key] == sql.bindparam(key) for key in keys))
    return query.order_by(table.c.number) if "number" in table.c else query


def prepare(connection: sql.Connection, where: str, *, write: bool) -> int:
    """Create or migrate the tables where writing is allowed, and return the version that the file has then.

    Raises StoreError for a file that is not a journal of Echelon's.
    """
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if application not in (0, APPLICATION_ID):
        raise StoreError(f"{where} belongs to another program; name another --store")
    if version not in (0, *UNTIED, VERSION):
        raise StoreError(
            f"{where} has version {version} and this Echelon uses version {VERSION}; name another --store, "
            "or use the Echelon that wrote it"
        )
    present = set(sql.inspect(connection).get_table_names())
    if present and not (application or version):
        raise StoreError(f"{where} belongs to another program; name another --store")
    # The version is no part of any checksum, and a wrong one would leave tables unread or never migrate them.
    if present.intersection(metadata.tables) != _table_names(version):
        raise StoreError(f"{where} is damaged: its tables are not those of its version, {version}; put a copy back")
    if version == VERSION or (version and not write):
        return version
    if not write:
        raise StoreError(f"{where} is empty; evaluate something first, or name another --store")
    if version:
        _migrate(connection, version)
    metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
    return VERSION


def _table_names(version: int) -> set[str]:
    """Return the names of the tables in a file of `version`; 0 is that of an empty file."""
    if not version:
        return set()
    return {str(table.name) for table in (runs, *task_tables(version), *(() if version in UNTIED else (digests,)))}


def _migrate(connection: sql.Connection, version: int) -> None:
    present = sql.inspect(connection).get_table_names()
    for table in filter(present.__contains__, _ADDED):
        for name, value in _ADDED[table].items():
            column = metadata.tables[table].c[name]
            kind = column.type.compile(connection.dialect)
            rule = f"{'' if column.nullable else 'NOT NULL '}DEFAULT {value.format(version=version)}"
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {kind} {rule}")
