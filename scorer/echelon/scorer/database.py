"""The SQLite file of a store: one writer, one connection, and errors that name the file."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

import sqlalchemy as sql

from echelon.scorer import schema, wal
from echelon.scorer.errors import StoreError

FILE = "journal.sqlite"
_UNUSABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
"""Primary codes of errors that tell nothing about the content of the file."""


class Database:
    """The journal in one folder, open to read, or with `write=True` to write.

    Raises StoreError where it cannot be opened, is damaged, or was written by an unknown version.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.file = folder / FILE
        # Threads share one connection and must not share a transaction.
        self._turn = Lock()
        self._lock = _take_lock(folder) if write else None
        if not write and not self.file.is_file():
            raise StoreError(f"there are no runs in {folder}; evaluate something first, or name another with --store")
        self._engine = _engine(self.file, write)
        try:
            # Before SQLite opens it: a writer that closes it again would delete the log.
            if wal.is_damaged(self.file):
                raise StoreError(
                    f"{self.file}-wal is damaged, and commits in it would be lost; put a copy of both back"
                )
            with self.transaction() as connection:
                self.version = schema.prepare(connection, str(self.file), write=write)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and release the lock."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """Begin a transaction: it reads one state of the file, and what it writes is committed whole or not at all."""
        try:
            with self._turn, self._engine.begin() as connection:
                yield connection
        except (sql.exc.DatabaseError, UnicodeDecodeError) as error:
            cause = error.orig if isinstance(error, sql.exc.DatabaseError) else error
            # The extended code has the primary one in its low byte.
            if getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in _UNUSABLE:
                # A log that a writer left behind can only be read where its folder can be written to.
                advice = "" if os.access(self.file.parent, os.W_OK) else "; copy the folder to where it can be written"
                raise StoreError(f"cannot use {self.file}: {cause}; nothing that was stored is lost{advice}") from error
            raise StoreError(
                f"{self.file} is damaged, or no journal: {cause}; put a copy back, or name another --store"
            ) from error


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


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _engine(path: Path, write: bool) -> sql.Engine:
    # A second connection must never checkpoint: SQLite before 3.51.3 can lose pages when two do at once.
    location = f"{path.resolve().as_uri()}?mode={'rwc' if write else 'ro'}"
    if not write and not os.access(path.parent, os.W_OK) and not _has_log(path):
        # To read a file in WAL mode SQLite makes others beside it, unless it is told that nobody writes.
        location += "&immutable=1"

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
