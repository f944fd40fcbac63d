"""The media of one task: found wherever the task's folders keep them, and never outside of these."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench.layout import MEDIA_FOLDERS
from echelon.scorer.general_bench.naming import key
from echelon.scorer.suites.digests import file_names
from echelon.scorer.suites.media import MAX_MEDIA_BYTES, MediaFolder

MAX_FILE_BYTES = MAX_MEDIA_BYTES + 2**16
"""The largest medium that travels, and the header of an array."""
_NUMBER = re.compile(r"(\d+)")


class TaskMedia(MediaFolder):
    """Files under several folders as if they were one; where two have a file of the same path, the first one's counts.

    Names are taken as annotations write them: with backslashes, with or without the folder that the media lie in, or
    the task's.
    """

    def __init__(self, roots: Sequence[Path], task: str) -> None:
        # The base looks nowhere by itself, for every name goes through `path`.
        super().__init__(roots[0] if roots else Path())
        self._folders = tuple(map(MediaFolder, roots))
        self._task = key(task)

    @cached_property
    def files(self) -> Mapping[str, MediaFolder]:
        """Every file by its relative path, with the folder it lies in."""
        found: dict[str, MediaFolder] = {}
        for folder in self._folders:
            for name in file_names(folder.root):
                found.setdefault(name, folder)
        return found

    @cached_property
    def _by_folder(self) -> Mapping[str, list[str]]:
        inside: dict[str, list[str]] = {}
        for name in self.files:
            inside.setdefault(name.rpartition("/")[0], []).append(name)
        return {folder: sorted(names, key=_in_order) for folder, names in inside.items()}

    def path(self, name: str) -> Path:
        if name not in self.files:
            raise InvalidSuiteError(f"{name}: there is no such file")
        return self.files[name].path(name)

    def find(self, name: str) -> str:
        """The path that `path` takes of the file that an annotation calls `name`.

        One that is too large is told here, before anything is asked.
        """
        found = self._one(name, [each for each in self._candidates(name) if each in self.files])
        with suppress(OSError):  # `path` tells what is wrong with a link
            size = os.stat(self.files[found].root / found).st_size  # noqa: PTH116  (several times faster than pathlib)
            if size > MAX_FILE_BYTES:
                raise InvalidSuiteError(f"{found} has {size} bytes, at most {MAX_MEDIA_BYTES} are taken; shorten it")
        return found

    def find_folder(self, name: str) -> tuple[str, ...]:
        """The paths of all files directly in the folder that an annotation calls `name`, in order of their numbers."""
        folder = self._one(name, [each for each in self._candidates(name) if each in self._by_folder])
        return tuple(self._by_folder[folder])

    def _one(self, name: str, found: list[str]) -> str:
        if not found:
            raise InvalidSuiteError(f"{name}: there is no such file in the task's folder")
        # What the annotation says to the letter goes before what can be made of it.
        if len(found) > 1 and found[0] != _plain(name):
            raise InvalidSuiteError(f"{name} could be {' or '.join(found)}; write the whole path")
        return found[0]

    def _candidates(self, name: str) -> list[str]:
        plain = _plain(name)
        if not plain or plain.startswith("/") or ".." in plain.split("/") or "\0" in plain:
            raise InvalidSuiteError(f"{name!r} is no path inside the task's folder")
        return list(dict.fromkeys(self._readings(plain)))

    def _readings(self, plain: str) -> Iterator[str]:
        yield plain
        first, _, rest = plain.partition("/")
        inner = [rest] if rest and key(first) == self._task else []
        yield from inner
        for each in (plain, *inner):
            yield from (f"{folder}/{each}" for folder in MEDIA_FOLDERS)


def _plain(name: str) -> str:
    return "/".join(part for part in name.replace("\\", "/").split("/") if part != ".").rstrip("/")


def _in_order(name: str) -> list[tuple[int, str]]:
    """Frames are numbered, often without leading zeros."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in _NUMBER.split(name)]
