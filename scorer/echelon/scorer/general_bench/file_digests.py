"""Digests of files, remembered between commands: the whole benchmark is 206 GB, and reading it takes minutes."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_SETTLED_S = 2.0
"""A file that changed a moment ago may change again without its times telling."""


class FileDigest(NamedTuple):
    """How large a file is, and its SHA-256 in hex."""

    size: int
    sha256: str


class FileDigests:
    """Takes a file's digest once, while its path, inode, size and times stay; a broken memory costs only time."""

    def __init__(self, memory: Path) -> None:
        self._memory = _open(memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._memory is not None:
            try:
                self._memory.commit()
            except sqlite3.Error:
                pass
            finally:
                self._memory.close()

    def of(self, path: Path) -> FileDigest:
        """The digest of the file at `path`."""
        told = path.stat()
        state = f"{told.st_dev} {told.st_ino} {told.st_size} {told.st_mtime_ns} {told.st_ctime_ns}"
        known = self._recall(str(path), state)
        if known is not None:
            return FileDigest(told.st_size, known)
        with path.open("rb") as file:
            digest = FileDigest(told.st_size, hashlib.file_digest(file, "sha256").hexdigest())
        if time.time() - max(told.st_mtime, told.st_ctime) > _SETTLED_S:
            self._remember(str(path), state, digest.sha256)
        return digest

    def _recall(self, path: str, state: str) -> str | None:
        try:
            query = "SELECT sha256 FROM files WHERE path = ? AND state = ?"
            row = self._memory.execute(query, (path, state)).fetchone() if self._memory else None
        except (sqlite3.Error, UnicodeEncodeError):
            return None
        return row[0] if row else None

    def _remember(self, path: str, state: str, sha256: str) -> None:
        if self._memory is not None:
            try:
                self._memory.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (path, state, sha256))
            except (sqlite3.Error, UnicodeEncodeError):
                return


def _open(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        memory = sqlite3.connect(path, timeout=1.0)
    except (OSError, sqlite3.Error):
        return None
    try:
        memory.execute("CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, state TEXT, sha256 TEXT)")
    except sqlite3.Error:
        memory.close()
        return None
    return memory
