"""Which adapters are installed; nothing of theirs is imported until one is loaded."""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import AdapterLoadError, AdapterNotFoundError, MissingExtraError
from echelon.adapters.settings import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from echelon.adapters.adapter import AsyncAdapter, BatchAdapter

GROUP = "echelon.adapters"
OWN = "echelon"
"""The distribution whose adapters are trusted because they are ours."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An adapter as its distribution declares it; `problem` is empty when nothing is known to be wrong."""

    name: str
    value: str
    distribution: str
    version: str
    problem: str = ""

    @property
    def own(self) -> bool:
        """Whether Echelon itself ships it."""
        return self.distribution == OWN


class Registry:
    """The adapters of one environment, by name."""

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self._points = sorted(points, key=lambda point: (point.name, _distribution(point)[0]))
        named: dict[str, list[EntryPoint]] = {}
        for point in self._points:
            named.setdefault(point.name, []).append(point)
        self._named = named

    @classmethod
    def installed(cls) -> Registry:
        """What the entry points of this environment declare."""
        return cls(entry_points(group=GROUP))

    def entries(self) -> list[Entry]:
        """Every declared adapter, also those that cannot be used."""
        return [self._entry(point) for point in self._points]

    def get(self, name: str) -> Entry:
        """The entry called `name`; AdapterNotFoundError or, for one that cannot be used, AdapterLoadError."""
        points = self._named.get(name)
        if points is None:
            raise AdapterNotFoundError(f"no adapter {name!r} is installed{nearest(name, self._named)}")
        entry = self._entry(points[0])
        if entry.problem:
            raise AdapterLoadError(f"adapter {name!r} of {entry.distribution} cannot be used: {entry.problem}")
        return entry

    def load(self, name: str, *, trust: bool = False) -> type[BatchAdapter[Any] | AsyncAdapter[Any]]:
        """Import the class of adapter `name`; a third party's only where `trust` allows its code in this process."""
        entry = self.get(name)
        if not entry.own and not trust:
            raise AdapterLoadError(
                f"adapter {name!r} comes from {entry.distribution} {entry.version}, whose code would run in this "
                "process; allow that with --trust"
            )
        return _load(self._named[name][0], entry)

    def _entry(self, point: EntryPoint) -> Entry:
        distribution, version = _distribution(point)
        return Entry(point.name, point.value, distribution, version, self._problem(point))

    def _problem(self, point: EntryPoint) -> str:
        rivals = self._named[point.name]
        if len(rivals) > 1:
            return (
                f"the name {point.name!r} is declared {len(rivals)} times, by {owners(rivals)}; uninstall all but one"
            )
        # Asked for the module of a value that is none, each version of Python raises another error.
        formed = point.pattern.match(point.value) is not None
        top = point.module.partition(".")[0] if formed else ""
        if not top:
            return f"the entry point {point.value!r} is not of the form 'module:Class'"
        if not point.attr:
            return f"the entry point {point.value!r} names no class; it must be 'module:Class'"
        if not _is_installed(top):
            return f"its module {top!r} is not installed"
        return ""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    # Of `__main__`, and of what set its own spec aside, nobody can tell.
    except (ImportError, ValueError):
        return False


def owners(points: Iterable[EntryPoint], *, built_in: str = "unknown") -> str:
    """The names of the distributions that declare `points`, sorted; `built_in` is what has no distribution."""
    return ", ".join(sorted({_distribution(point)[0] if point.dist else built_in for point in points}))


def _distribution(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return "unknown", ""
    # Damaged metadata may lack both.
    metadata = point.dist.metadata
    name, version = (metadata.get_all(key, [""])[0] for key in ("Name", "Version"))
    return name or "unknown", version or ""


def _load(point: EntryPoint, entry: Entry) -> type[BatchAdapter[Any] | AsyncAdapter[Any]]:
    from echelon.adapters.adapter import AsyncAdapter, BatchAdapter

    said = f"adapter {entry.name!r} of {entry.distribution} ({entry.value})"
    try:
        loaded = point.load()
    except MissingExtraError:
        raise
    # The plug-in's own code runs here, and may raise anything, SystemExit included.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise AdapterLoadError(f"{said} failed to import: {type(error).__name__}: {error}") from error
    if not inspect.isclass(loaded):
        raise AdapterLoadError(f"{said} is no class but {type(loaded).__name__}")
    if not issubclass(loaded, BatchAdapter | AsyncAdapter):
        raise AdapterLoadError(f"{said} is a class that is derived neither from BatchAdapter nor from AsyncAdapter")
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(loaded.__abstractmethods__))
        raise AdapterLoadError(f"{said} does not define {missing}")
    return loaded
