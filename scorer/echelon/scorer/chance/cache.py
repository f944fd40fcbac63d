"""Caches measured chances between commands; a broken cache costs only time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from echelon.scorer.chance.outcome import RULE, Chance
from echelon.scorer.suites.suite import Task

FILE = "chance.sqlite"


def key_of(suite_digest: str, task: Task, metric_id: str) -> str:
    """What a chance depends on: the samples, the task as it is declared, the metric with its instruments, the rule."""
    told = "\n".join((RULE, suite_digest, repr(task), metric_id))
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


class ChanceCache:
    """A file of chances by key; each row has a checksum, and one that does not fit it is as good as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Chance | None:
        """The chance that is cached under `key`."""
        with suppress(OSError, sqlite3.Error, ValueError, TypeError), closing(self._open()) as file:
            row = file.execute("SELECT value, checksum FROM chances WHERE key = ?", (key,)).fetchone()
            if row and row[1] == _checksum(key, row[0]):
                values = json.loads(row[0])
                return Chance(**{**values, "candidates": tuple(values["candidates"])})
        return None

    def put(self, key: str, chance: Chance) -> None:
        """Keep `chance` under `key`."""
        value = json.dumps(asdict(chance))
        with suppress(OSError, sqlite3.Error), closing(self._open()) as file, file:
            file.execute("INSERT OR REPLACE INTO chances VALUES (?, ?, ?)", (key, value, _checksum(key, value)))

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._path, timeout=1.0)
        try:
            file.execute("CREATE TABLE IF NOT EXISTS chances (key TEXT PRIMARY KEY, value TEXT, checksum TEXT)")
        except sqlite3.Error:
            file.close()
            raise
        return file


def _checksum(key: str, value: str) -> str:
    return hashlib.sha256(f"{key}\n{value}".encode()).hexdigest()
