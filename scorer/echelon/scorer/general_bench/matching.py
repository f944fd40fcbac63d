"""Which tasks of the catalogue the folders of a tree are: by their names, never by a guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench.annotations import read_document
from echelon.scorer.general_bench.catalogue import Entry
from echelon.scorer.general_bench.layout import TaskFolder
from echelon.scorer.general_bench.mapping import task_id
from echelon.scorer.general_bench.naming import key, near_misses
from echelon.scorer.general_bench.official_names import official_task
from echelon.scorer.general_bench.settings import SETTINGS


@dataclass(frozen=True, slots=True)
class Matched:
    """The folders that are tasks of the catalogue, by the task's id, and what is to be said of the others."""

    folders: Mapping[str, tuple[Entry, TaskFolder]]
    gaps: tuple[str, ...]


def match(folders: Sequence[TaskFolder], entries: Sequence[Entry], names: Mapping[str, str]) -> Matched:
    """Find each folder's entry; `names` gives the official name of folders that are called otherwise."""
    found: dict[str, tuple[Entry, TaskFolder]] = {}
    gaps: list[str] = []
    for folder in folders:
        near = [entry for entry in entries if folder.place.includes(entry.modality, entry.paradigm)]
        entry = next((entry for name in _names(folder, names) if (entry := named(near, name))), None)
        if entry is None:
            gaps.append(_stranger(folder, near, names))
        elif task_id(entry) in found:
            first = found[task_id(entry)][1]
            gaps.append(f"{folder.annotation} is {entry.task!r} as {first.annotation} is; take one away")
        else:
            found[task_id(entry)] = entry, folder
    return Matched(found, tuple(gaps))


def named(entries: Sequence[Entry], name: str) -> Entry | None:
    """The one entry of that name, or else of that short name, or of that name in the official scripts.

    None where there is none, or more than one.
    """
    for matches in (
        lambda entry: key(entry.task) == key(name),
        lambda entry: key(entry.short_name) == key(name),
        lambda entry: entry.task == official_task(name),
    ):
        matching = [entry for entry in entries if matches(entry)]
        if len(matching) == 1:
            return matching[0]
    return None


def check_name(entry: Entry, folder: TaskFolder, said: str, entries: Sequence[Entry]) -> None:
    """Refuse an annotation that says, in `said`, that it is of another task than its folder is."""
    other = named([each for each in entries if each.sheet == entry.sheet], said) if said else None
    if other not in (None, entry):
        raise InvalidSuiteError(
            f"{folder.annotation} says it is {said!r}, its folder that it is {entry.task!r}; "
            f"say which under 'names' in {SETTINGS}"
        )


def _names(folder: TaskFolder, names: Mapping[str, str]) -> Iterator[str]:
    """What a folder may be called: as it was told, or else its own name, or else what its annotation says."""
    if folder.name in names:
        yield names[folder.name]
        return
    yield folder.name
    yield from _said(folder.annotation)


def _said(annotation: Path) -> Iterator[str]:
    try:
        said = read_document(annotation).said("task")
    except InvalidSuiteError:
        # Whoever reads the task will say so.
        return
    if said:
        yield said


def _stranger(folder: TaskFolder, entries: Sequence[Entry], names: Mapping[str, str]) -> str:
    tasks = [entry.task for entry in entries]
    close = dict.fromkeys(miss for name in _names(folder, names) for miss in near_misses(name, tasks))
    hint = f"nearest are {', '.join(map(repr, close))}" if close else "nothing is near it"
    said = names.get(folder.name, folder.name)
    return (
        f"{folder.annotation}: no task of the catalogue is called {said!r}; {hint}. "
        f"Say which it is under 'names' in {SETTINGS}"
    )
