"""A model's folder; every file of a model is opened here, and none outside the folder."""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from echelon.adapters.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Following no link and waiting for no pipe; Windows knows neither.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Folder:
    """Opens files by their name inside one folder.

    Links that lead out are refused, hard ones too where a file's other names cannot be known; `shipped` folders are
    exempt from the latter, because installers link their files from a cache. Where a cache keeps its files beside the
    folder, `within` is how far out links may lead.
    """

    def __init__(self, path: Path, *, shipped: bool = False, within: Path | None = None) -> None:
        self.path = path.resolve()
        self._within = self.path if within is None else within.resolve()
        self._shipped = shipped
        if not self.path.is_dir():
            raise SettingsError(f"there is no model folder {path}")

    def locate(self, name: str) -> Path:
        """The real path of file `name`; SettingsError if it leads out of the folder."""
        pure = PurePosixPath(name)
        if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
            raise SettingsError(f"{self.path}: {name!r} must be the name of a file inside the folder")
        path = (self.path / pure).resolve()
        if not path.is_relative_to(self._within):
            raise SettingsError(f"{self.path}: {name!r} is a link that leads out of the folder; copy the file into it")
        return path

    def read(self, name: str) -> bytes:
        """The bytes of file `name`."""
        with self._open(name) as file:
            return file.read()

    def lines(self, name: str) -> list[str]:
        """The lines of the UTF-8 file `name`, without their ends."""
        try:
            text = self.read(name).decode("utf-8")
        except UnicodeDecodeError as error:
            raise SettingsError(f"{self.path}: {name!r} is not UTF-8 text") from error
        return text.removesuffix("\n").split("\n") if text else []

    def digest(self, names: Iterable[str] | None = None) -> str:
        """SHA-256, in hex, over the sorted names and contents of the files; of all without `names`."""
        whole = hashlib.sha256()
        for name in sorted(self.names() if names is None else names):
            with self._open(name) as file:
                whole.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
        return whole.hexdigest()

    def names(self) -> list[str]:
        """The names of all files."""
        return [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if not path.is_dir()]

    def _open(self, name: str) -> BufferedReader:
        path = self.locate(name)
        try:
            descriptor = os.open(path, _FLAGS)
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot read {name!r}: {error.strerror}") from error
        file = os.fdopen(descriptor, "rb")
        try:
            self._check(os.fstat(descriptor), name)
        except SettingsError:
            file.close()
            raise
        return file

    def _check(self, found: os.stat_result, name: str) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"{self.path}: {name!r} is not a regular file")
        if found.st_nlink > 1 and not self._shipped:
            raise SettingsError(
                f"{self.path}: {name!r} is a hard link, and its other name may lie outside the folder; put a copy there"
            )
