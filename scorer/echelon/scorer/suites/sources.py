"""Suites by name: plug-ins that build a suite folder, and the cache of what they built."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol
from uuid import uuid4

from echelon.adapters.errors import ConfigurationError, EchelonError
from echelon.adapters.file_digests import default_cache
from echelon.adapters.registry import Entry, Registry
from echelon.adapters.settings import nearest
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.suites.formats import open_folder
from echelon.scorer.suites.manifest import MANIFEST
from echelon.scorer.suites.suite import StoredSuite

GROUP = "echelon.suites"
_VERSION = re.compile(r"[\w.+]{1,64}", re.ASCII)
DEFAULT_SAMPLES = 50
"""Samples a task, where nobody says how many."""


class SuiteSource(Protocol):
    """What an entry point of the group `echelon.suites` names: a class that is built without arguments."""

    title: ClassVar[str]
    description: ClassVar[str]
    version: ClassVar[str]
    """Of what `build` writes: another version is another suite, and never taken from the cache of this one."""

    def build(self, folder: Path, *, samples: int, seed: int) -> None:
        """Write a whole suite into the empty `folder`; equal arguments give equal bytes."""
        ...


class Sources:
    """The suite sources of one environment, by name; nothing of theirs is imported until one is loaded."""

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        listed = tuple(points)
        self._points = {point.name: point for point in listed}
        self._entries = Registry(listed).entries()

    @classmethod
    def installed(cls) -> Sources:
        """What the entry points of this environment declare."""
        return cls(entry_points(group=GROUP))

    def entries(self) -> list[Entry]:
        """Every declared source, also those that cannot be used."""
        return list(self._entries)

    def names(self) -> set[str]:
        """The names that are declared."""
        return set(self._points)

    def get(self, name: str) -> Entry:
        """The entry called `name`; UnknownNameError or, for one that cannot be used, InvalidSuiteError."""
        entry = next((entry for entry in self._entries if entry.name == name), None)
        if entry is None:
            raise UnknownNameError(
                f"there is no suite {name!r}{nearest(name, self._points)}; a folder needs a {MANIFEST} in it"
            )
        if entry.problem:
            raise InvalidSuiteError(f"suite {name!r} of {entry.distribution} cannot be used: {entry.problem}")
        return entry

    def load(self, name: str) -> SuiteSource:
        """The source called `name`, ready to build."""
        entry = self.get(name)
        said = f"suite {name!r} of {entry.distribution} ({entry.value})"
        try:
            source: Any = self._points[name].load()()
        # The plug-in's own code runs here and may raise anything.
        except Exception as error:
            raise InvalidSuiteError(f"{said} failed to load: {type(error).__name__}: {error}") from error
        if not callable(getattr(source, "build", None)):
            raise InvalidSuiteError(f"{said} has no method build(folder, *, samples, seed)")
        if not _VERSION.fullmatch(str(getattr(source, "version", ""))):
            raise InvalidSuiteError(
                f'{said} needs a class attribute like version = "1": letters, digits, ".", "_", "+"'
            )
        return source  # type: ignore[no-any-return]  # checked just above

    def build(self, name: str, folder: Path, *, samples: int, seed: int) -> FolderSuite:
        """Build suite `name` into `folder`, which must be new or empty."""
        source = self.load(name)
        if samples < 1:
            raise ConfigurationError(f"a suite has at least one sample a task, not {samples}")
        _make_empty(folder)
        try:
            source.build(folder, samples=samples, seed=seed)
        except EchelonError:
            raise
        # As in load.
        except Exception as error:
            raise InvalidSuiteError(f"suite {name!r} failed to build: {type(error).__name__}: {error}") from error
        return FolderSuite(folder)


def open_suite(
    name_or_path: str,
    *,
    samples: int | None = None,
    seed: int = 0,
    cache: Path | None = None,
    sources: Sources | None = None,
) -> StoredSuite:
    """The suite in a folder, or the one called so, which is built once and then taken from the cache.

    A bare word that names a source is the source; write `./word` for the folder.
    """
    return open_folder(suite_folder(name_or_path, samples=samples, seed=seed, cache=cache, sources=sources), cache)


def suite_folder(
    name_or_path: str,
    *,
    samples: int | None = None,
    seed: int = 0,
    cache: Path | None = None,
    sources: Sources | None = None,
) -> Path:
    """The folder that `open_suite` opens, built where it has to be."""
    sources = sources or Sources.installed()
    path = Path(name_or_path)
    if name_or_path not in sources.names() and path.is_dir():
        if samples is not None:
            raise ConfigurationError(f"{path} is a folder with the samples it has; only a named suite takes a number")
        return path
    version = sources.load(name_or_path).version
    samples = DEFAULT_SAMPLES if samples is None else samples
    final = (cache or default_cache()) / f"{name_or_path}-{samples}-{seed}-{version}"
    if not (final / MANIFEST).is_file():
        _build_once(sources, name_or_path, final, samples, seed)
    return final


def _build_once(sources: Sources, name: str, final: Path, samples: int, seed: int) -> None:
    """Builds beside `final` and moves it there whole; of several builders the first one wins."""
    beside = final.with_name(f".{final.name}-{uuid4().hex}")
    try:
        sources.build(name, beside, samples=samples, seed=seed)
        beside.rename(final)
    except OSError as error:
        if not (final / MANIFEST).is_file():
            raise ConfigurationError(
                f"cannot put the suite at {final}: {error.strerror}; remove what is there, or set ECHELON_CACHE"
            ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {folder}: {error.strerror}") from error
    if next(folder.iterdir(), None) is not None:
        raise ConfigurationError(f"{folder} is not empty; name a new folder")
