"""Large answers: each a file that is named by its SHA-256, and is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from echelon.scorer.errors import StoreError

_DIGEST = re.compile("[0-9a-f]{64}")


class Blobs:
    """The files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where the data with this digest is, or would be."""
        return self._folder / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store `data`, once; when its digest is returned, it survives a power cut."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        try:
            if not path.exists():
                _make_folder(path.parent)
                _write(path, data)
        except OSError as error:
            raise StoreError(f"cannot write to {path}: {error.strerror}; nothing that was stored is lost") from error
        return digest

    def get(self, digest: str) -> bytes:
        """The data with this digest; StoreError where it is gone or has changed."""
        # A damaged row may hold anything.
        if not _DIGEST.fullmatch(str(digest)):
            raise StoreError(f"{str(digest)[:80]!r} is no digest of a file in {self._folder}")
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path} is missing: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"{path} is damaged")
        return data


def _make_folder(folder: Path) -> None:
    # Each new folder must be on disk in its parent before anything in it counts.
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
