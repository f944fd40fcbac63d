"""The tables of the store, and how their version is told."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql

from echelon.scorer.errors import StoreError

APPLICATION_ID = 0x45636865  # "Eche"
VERSION = 4
READABLE = (2, 3, VERSION)
"""Version 2 has no table of usage; 2 and 3 lack the columns of `_ADDED`."""
WITHOUT_USAGE = 2

metadata = sql.MetaData()
runs = sql.Table(
    "runs",
    metadata,
    sql.Column("run", sql.String, primary_key=True),
    sql.Column("suite", sql.JSON, nullable=False),
    sql.Column("card", sql.LargeBinary, nullable=False),
    sql.Column("target", sql.String, nullable=False),
    sql.Column("seed", sql.Integer, nullable=False),
    sql.Column("settings", sql.JSON, nullable=False),
    sql.Column("sota", sql.JSON),
    sql.Column("created", sql.String, nullable=False),
    sql.Column("nonce", sql.String, nullable=False),
    sql.Column("identity", sql.JSON),
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
)

_ADDED = {"runs": {"nonce": "''", "identity": "NULL"}}
"""Columns that version 4 added, with their values in older rows."""


def columns(table: sql.Table, version: int) -> list[sql.ColumnElement[Any]]:
    """Return the columns of `table` as a file of `version` has them, and the value of older rows for the others."""
    added = _ADDED.get(table.name, {}) if version < VERSION else {}
    return [
        sql.literal_column(added[column.name], column.type).label(column.name) if column.name in added else column
        for column in table.c
    ]


def prepare(connection: sql.Connection, where: str, *, write: bool) -> int:
    """Create or migrate the tables where writing is allowed, and return the version that the file has then.

    Raises StoreError for a file that is not a journal of Echelon's.
    """
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if application not in (0, APPLICATION_ID):
        raise StoreError(f"{where} belongs to another program; name another --store")
    if version == VERSION or (version in READABLE and not write):
        return version
    if version not in (0, *READABLE):
        raise StoreError(
            f"{where} has version {version} and this Echelon uses version {VERSION}; name another --store, "
            "or use the Echelon that wrote it"
        )
    if not write:
        raise StoreError(f"{where} is empty; evaluate something first, or name another --store")
    if version:
        _migrate(connection)
    metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
    return VERSION


def _migrate(connection: sql.Connection) -> None:
    for table, added in _ADDED.items():
        for name, value in added.items():
            column = metadata.tables[table].c[name]
            kind = column.type.compile(connection.dialect)
            null = "" if column.nullable else " NOT NULL"
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {kind}{null} DEFAULT {value}")
