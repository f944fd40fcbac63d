"""What some metrics measure with: embedders, judges and readers, named by their role in a file of instruments.

Nothing is opened before a metric asks for it, so a file may name more than a suite needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from echelon.adapters import InvalidInputError, Part
from echelon.adapters.errors import AdapterLoadError, EchelonError, MissingExtraError
from echelon.adapters.registry import owners
from echelon.adapters.settings import load, nearest, read_yaml
from echelon.scorer.errors import NotComputedError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
InstrumentT = TypeVar("InstrumentT", bound="Instrument")


class Instrument(Protocol):
    """A plug-in that is built with its settings; name and digest of its weights become part of the metric's id."""

    settings_type: ClassVar[type[Any]]
    """A frozen dataclass, read as adapters' settings are."""

    def __init__(self, settings: Any) -> None: ...

    @property
    def name(self) -> str:
        """What people call it, CLIP ViT-B/32, say."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what decides its outputs."""
        ...


class Embedder(Instrument, Protocol):
    """Turns parts into vectors."""

    def embed(self, parts: Sequence[Part]) -> NDArray[np.float64]:
        """A row for each part, all of one length; InvalidInputError for a part that it does not take."""
        ...


class Judge(Instrument, Protocol):
    """Gives an answer a mark in the metric's own unit."""

    def judge(self, answer: Part, references: Sequence[Part]) -> float:
        """The mark; InvalidInputError for an answer that it does not take."""
        ...


class Reader(Instrument, Protocol):
    """Turns an answer into what a metric can compare: a transcript, a class, a series."""

    def read(self, answer: Part) -> Part:
        """A text, a choice or a tensor; InvalidInputError for an answer that it does not take."""
        ...


def measured(instrument: Instrument, act: Callable[[], T]) -> T:
    """What the instrument gives; NotComputedError where it fails, InvalidInputError where the part is to blame."""
    try:
        return act()
    except (InvalidInputError, MissingExtraError, NotComputedError):
        raise
    # A plug-in's own code runs here, and may raise anything.
    except Exception as error:
        raise NotComputedError(f"{instrument.name} failed: {error or repr(error)}") from error


def instrument_id(instrument: Instrument) -> str:
    """How a metric's id names an instrument."""
    return f"{instrument.name}:{instrument.digest}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An instrument as the file names it."""

    plugin: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """A file of instruments, by role."""

    embedders: dict[str, Entry] = field(default_factory=dict)
    judges: dict[str, Entry] = field(default_factory=dict)
    readers: dict[str, Entry] = field(default_factory=dict)


class Instruments:
    """The embedders, judges and readers at hand, by role."""

    def __init__(self, listing: Listing | None = None, folder: Path = Path()) -> None:
        listing = listing or Listing()
        self._embedders: _Shelf[Embedder] = _Shelf("embedder", EMBEDDERS, listing.embedders, folder)
        self._judges: _Shelf[Judge] = _Shelf("judge", JUDGES, listing.judges, folder)
        self._readers: _Shelf[Reader] = _Shelf("reader", READERS, listing.readers, folder)

    @classmethod
    def read(cls, path: Path) -> Instruments:
        """Those that a YAML file names; paths in it are relative to it."""
        return cls(load(Listing, read_yaml(path), folder=path.parent, where=str(path)), path.parent)

    def embedder(self, role: str) -> Embedder:
        """The embedder of that role; NotComputedError where there is none."""
        return self._embedders.get(role)

    def judge(self, role: str) -> Judge:
        """The judge of that role; NotComputedError where there is none."""
        return self._judges.get(role)

    def reader(self, role: str) -> Reader:
        """The reader of that role; NotComputedError where there is none."""
        return self._readers.get(role)


EMBEDDERS, JUDGES, READERS = "echelon.embedders", "echelon.judges", "echelon.readers"
"""Groups of entry points."""


class _Shelf(Generic[InstrumentT]):
    """Instruments of one sort, opened on first use."""

    def __init__(self, sort: str, group: str, entries: Mapping[str, Entry], folder: Path) -> None:
        self._sort, self._group, self._entries, self._folder = sort, group, entries, folder
        self._opened: dict[str, InstrumentT] = {}

    def get(self, role: str) -> InstrumentT:
        if role not in self._opened:
            self._opened[role] = self._open(role)
        return self._opened[role]

    def _open(self, role: str) -> InstrumentT:
        if role not in self._entries:
            raise NotComputedError(
                f"there is no {self._sort} for {role!r}: name one under `{self._sort}s` in a file of instruments, and "
                "give that with --instruments"
            )
        entry, where = self._entries[role], f"{self._sort} {role!r}"
        plugin = _plugin(self._group, self._sort, entry.plugin)
        settings = load(plugin.settings_type, entry.settings, folder=self._folder, where=where)
        try:
            opened: InstrumentT = plugin(settings)
        except EchelonError:
            raise
        # A plug-in's own code runs here, and may raise anything.
        except Exception as error:
            raise AdapterLoadError(f"{where} ({entry.plugin}) cannot be opened: {error!r}") from error
        return opened


def _plugin(group: str, sort: str, name: str) -> Any:
    points = _points(group).get(name, [])
    if not points:
        raise UnknownNameError(f"there is no {sort} plug-in {name!r}{nearest(name, _points(group))}")
    if len(points) > 1:
        declared = owners(points, built_in="echelon")
        raise AdapterLoadError(f"{sort} plug-in {name!r} is declared more than once: {declared}; uninstall all but one")
    return _loaded(points[0], sort)


def _points(group: str) -> dict[str, list[EntryPoint]]:
    named: dict[str, list[EntryPoint]] = {}
    for point in (*BUILT_IN[group], *entry_points(group=group)):
        named.setdefault(point.name, []).append(point)
    return named


def _loaded(point: EntryPoint, sort: str) -> Callable[[Any], Any]:
    try:
        loaded: Callable[[Any], Any] = point.load()
    except EchelonError:
        raise
    # A plug-in's own code runs here, and may raise anything.
    except Exception as error:
        raise AdapterLoadError(f"{sort} plug-in {point.name!r} ({point.value}) failed to import: {error!r}") from error
    if not hasattr(loaded, "settings_type"):
        raise AdapterLoadError(f"{sort} plug-in {point.name!r} ({point.value}) has no settings_type")
    return loaded


BUILT_IN = MappingProxyType(
    {
        EMBEDDERS: (
            EntryPoint("given", "echelon.scorer.given:GivenEmbedder", EMBEDDERS),
            EntryPoint("onnx", "echelon.scorer.networks:OnnxEmbedder", EMBEDDERS),
        ),
        JUDGES: (
            EntryPoint("given", "echelon.scorer.given:GivenJudge", JUDGES),
            EntryPoint("onnx", "echelon.scorer.networks:OnnxJudge", JUDGES),
            EntryPoint("ratings", "echelon.scorer.ratings:Ratings", JUDGES),
        ),
        READERS: (
            EntryPoint("given", "echelon.scorer.given:GivenReader", READERS),
            EntryPoint("onnx", "echelon.scorer.networks:OnnxReader", READERS),
        ),
    }
)
"""The plug-ins that Echelon ships."""
