"""Prediction files: found, matched with the tasks of a suite, and checked item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench.annotations import Item, id_text, read_document
from echelon.scorer.general_bench.layout import PREDICTION, Place, place_of
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.naming import key, near_misses
from echelon.scorer.general_bench.official_names import official_task
from echelon.scorer.outcomes import State
from echelon.scorer.suites.suite import Modality, Task

_VALUES = ("prediction", "prediction_final")
FAILED = tuple(state.value for state in State if state.model_caused)
"""What an exported item may say of a sample that the model failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a prediction file; `sample` is empty where it is about the whole file."""

    file: str
    task: str
    sample: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}, item {self.sample}" if self.sample else self.file
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Prediction:
    """One item: what it predicts, and what an exported run says besides.

    `state` and `reason` are those of a sample that the model failed. `answer` holds all parts of the answer where the
    prediction alone does not say the same, as `adapters.plain` writes them, or the path of a file that does.
    """

    value: Any
    answer: Any = None
    state: State = State.ANSWERED
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TaskPredictions:
    """What one file predicts; a sample that it predicts in two ways is not among `values`."""

    file: Path
    values: Mapping[str, Prediction]
    contradicted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for a suite, by task, and all that is wrong with them."""

    by_task: Mapping[str, TaskPredictions]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Read:
    """What has been read so far."""

    by_task: dict[str, TaskPredictions] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def read_predictions(suite: GeneralBench, folder: Path) -> Predictions:
    """All predictions under `folder` for the tasks of `suite`.

    InvalidSuiteError where two files predict one task: nobody can say which of them is meant.
    """
    read = _Read()
    for file in sorted(_prediction_files(folder)):
        try:
            _read_file(suite, folder, file, read)
        except _UnusableError as error:
            read.findings.append(Finding(str(file), "", "", str(error)))
    for task in suite.tasks:
        if suite.sample_ids(task) and task.id not in read.by_task:
            read.findings.append(Finding(str(folder), task.id, "", f"no {PREDICTION} predicts {task.title!r}"))
    return Predictions(MappingProxyType(read.by_task), tuple(read.findings))


class _UnusableError(Exception):
    """A file that predicts nothing; the text says why."""


def _prediction_files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*.json"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.name.casefold() == PREDICTION and not hidden:
            yield file


def _read_file(suite: GeneralBench, folder: Path, file: Path, read: _Read) -> None:
    try:
        document = read_document(file)
    except InvalidSuiteError as error:
        raise _UnusableError(str(error)) from error
    task = _task_of(suite, folder, file, document.said("task"))
    if task.id in read.by_task:
        raise InvalidSuiteError(f"{file} predicts {task.title!r} as {read.by_task[task.id].file} does; take one away")
    read.by_task[task.id], messages = _checked(suite, task, file, document.items)
    read.findings += [Finding(str(file), task.id, sample, message) for sample, message in messages]


def _checked(
    suite: GeneralBench, task: Task, file: Path, items: Sequence[Item]
) -> tuple[TaskPredictions, list[tuple[str, str]]]:
    """What the items of a file predict, and what is wrong with them, each with its sample."""
    values: dict[str, Prediction] = {}
    contradicted: set[str] = set()
    messages: list[tuple[str, str]] = []
    known = suite.sample_ids(task)
    asked, written = frozenset(known), _written_ids(suite, task)
    for number, item in enumerate(items):
        sample, value = id_text(item.get("id")), _predicted(item)
        if sample is None:
            told = f"has the id {item.get('id')!r}, counted from 0; an id is a whole number or a text"
            messages.append((str(number), told))
        elif sample not in asked:
            messages.append((sample, "the task has no such item"))
        elif sample in written and written[sample] != item["id"]:
            message = f"has the id {item['id']!r}, which is not {written[sample]!r} to the official evaluator"
            messages.append((sample, message))
        elif value is None:
            messages.append((sample, _fault(item)))
            if suite.official:
                values.pop(sample, None)
        elif sample not in values:
            values[sample] = value
        elif suite.official:
            values[sample] = value
            messages.append((sample, "is predicted more than once, and the last one counts"))
        elif values[sample] == value and sample not in contradicted:
            messages.append((sample, "is predicted more than once, in the same way"))
        else:
            contradicted.add(sample)
            messages.append((sample, "is predicted more than once, differently, so neither counts"))
    without = "is left out" if suite.official else "counts as wholly wrong"
    messages += [(sample, f"has no prediction and {without}") for sample in known if sample not in values]
    return TaskPredictions(file, values, frozenset(contradicted)), messages


def _written_ids(suite: GeneralBench, task: Task) -> dict[str, Any]:
    """The ids as the annotation writes them, where the official evaluator compares them so: in language."""
    document = suite.document(task)
    if not suite.official or task.modality is not Modality.LANGUAGE or document is None:
        return {}
    return {name: item["id"] for item in document.items if (name := id_text(item.get("id"))) is not None}


def _predicted(item: Item) -> Prediction | None:
    """What an item predicts; None where `_fault` says why it predicts nothing."""
    if _fault(item):
        return None
    value = next(item[name] for name in _VALUES if name in item)
    if "state" not in item:
        return Prediction(value, item.get("answer"))
    return Prediction(value, None, State(item["state"]), str(item.get("reason", "")), str(item.get("detail", "")))


def _fault(item: Item) -> str:
    """Why an item predicts nothing, empty where it does."""
    if not any(name in item for name in _VALUES):
        return f"has neither {' nor '.join(map(repr, _VALUES))}"
    if item.get("state", FAILED[0]) not in FAILED:
        return f"has the state {item['state']!r}, a failed sample's is one of {', '.join(FAILED)}"
    return ""


def _task_of(suite: GeneralBench, folder: Path, file: Path, said: str) -> Task:
    """The task that a file's folder is named after, or else the file's header."""
    place, name = _placed(folder, file)
    tasks = [task for task in suite.tasks if suite.sample_ids(task) and _agrees(place, task)]
    for each in filter(None, (name, said)):
        matching = [task for task in tasks if _is_called(suite, task, each)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise _UnusableError(f"{each!r} could be {', '.join(task.id for task in matching)}; say the modality")
    close = near_misses(name, [task.title for task in tasks])
    hint = f"nearest are {', '.join(map(repr, close))}" if close else "nothing is near it"
    raise _UnusableError(f"the suite has no task {name!r}; {hint}")


def _placed(folder: Path, file: Path) -> tuple[Place, str]:
    """What the path to a file tells: its place in the benchmark and the name of its task."""
    place, name = place_of(folder), folder.resolve().name
    for part in file.relative_to(folder).parts[:-1]:
        below = place.below(part)
        if below is None:
            name = part
        else:
            place = below
    return place, name


def _agrees(place: Place, task: Task) -> bool:
    return place.modality in (None, task.modality) and place.paradigm in (None, task.paradigm)


def _is_called(suite: GeneralBench, task: Task, name: str) -> bool:
    entry, folder = suite.entry(task), suite.folder(task)
    names = (entry.task, entry.short_name, folder.name if folder else "")
    return key(name) in map(key, names) or official_task(name) == entry.task
