"""SHA-256 digests of files, cached between processes: reading a large checkpoint or benchmark again takes minutes."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_SETTLED_S = 2.0
"""A file that changed a moment ago may change again without its times telling."""


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for caches: $ECHELON_CACHE, else the platform's own place; RuntimeError without a home."""
    if chosen := environment.get("ECHELON_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "echelon"
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA", Path.home())) / "echelon" / "cache"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "echelon"


class FileDigest(NamedTuple):
    """A file's size in bytes, and its SHA-256 in hex."""

    size: int
    sha256: str


class FileDigests:
    """Computes a file's digest once, while its path, inode, size and times stay; a broken cache costs only time."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = None if cache is None else _open(cache)
        self._fresh: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cache is not None:
            try:
                # In one short transaction: while one is open, no other process can write.
                rows = [(path, state, sha256) for (path, state), sha256 in self._fresh.items()]
                self._cache.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)
                self._cache.commit()
            except (sqlite3.Error, UnicodeEncodeError):
                pass
            finally:
                self._cache.close()

    def of(self, path: Path) -> FileDigest:
        """The digest of the file at `path`; OSError where it cannot be read."""
        stat = path.stat()
        state = f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
        known = self._recall(str(path), state)
        if known is not None:
            return FileDigest(stat.st_size, known)
        with path.open("rb") as file:
            digest = FileDigest(stat.st_size, hashlib.file_digest(file, "sha256").hexdigest())
        if time.time() - max(stat.st_mtime, stat.st_ctime) > _SETTLED_S:
            self._fresh[str(path), state] = digest.sha256
        return digest

    def _recall(self, path: str, state: str) -> str | None:
        if (path, state) in self._fresh:
            return self._fresh[path, state]
        try:
            query = "SELECT sha256 FROM files WHERE path = ? AND state = ?"
            row = self._cache.execute(query, (path, state)).fetchone() if self._cache else None
        except (sqlite3.Error, UnicodeEncodeError):
            return None
        return row[0] if row else None


def _open(path: Path) -> sqlite3.Connection | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cache = sqlite3.connect(path, timeout=1.0)
    except (OSError, sqlite3.Error):
        return None
    try:
        cache.execute("CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, state TEXT, sha256 TEXT)")
    except sqlite3.Error:
        cache.close()
        return None
    return cache
