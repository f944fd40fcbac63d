"""The tables of the store, and how their version is told."""

from __future__ import annotations

import sqlalchemy as sql

from echelon.scorer.errors import StoreError

APPLICATION_ID = 0x45636865  # "Eche"
VERSION = 2

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


def prepare(connection: sql.Connection, where: str, *, write: bool) -> None:
    """Make the tables in an empty file where that is allowed; StoreError for a file that is not a journal of ours."""
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if application not in (0, APPLICATION_ID):
        raise StoreError(f"{where} belongs to another program; name another --store")
    if version == VERSION:
        return
    if version != 0:
        raise StoreError(
            f"{where} has version {version} and this Echelon uses version {VERSION}; name another --store, "
            "or use the Echelon that wrote it"
        )
    if not write:
        raise StoreError(f"{where} is empty; evaluate something first, or name another --store")
    metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
