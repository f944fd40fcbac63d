"""The manifest of a suite folder, `suite.yaml`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from echelon.adapters import Kind
from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load, read_yaml
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.suites.instructions import Instruction
from echelon.scorer.suites.suite import Modality, Paradigm, Task

MANIFEST = "suite.yaml"
MAX_INSTRUCTION = 65536
MAX_LABEL = 256
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task as the manifest writes it."""

    id: str
    title: str
    modality: Modality
    paradigm: Paradigm
    skill: str
    instruction: str
    output: Kind | tuple[Kind, ...]
    extractor: str
    metric: str
    chance: float
    samples: str
    labels: tuple[str, ...] = ()
    worst: float | None = None
    instruction_version: int = 1
    description: str = ""
    margin: float = 0.0

    def __post_init__(self) -> None:
        _refuse([*_name_faults("id", self.id), *self._faults()])

    def _faults(self) -> list[str]:
        faults = _template_faults(self.instruction)
        if not self.skill.strip():
            faults.append("'skill' is empty")
        if not self.kinds:
            faults.append("'output' lists no kind")
        if len(self.instruction) > MAX_INSTRUCTION:
            faults.append(f"'instruction' has {len(self.instruction)} characters, at most {MAX_INSTRUCTION} are taken")
        if len(set(self.labels)) != len(self.labels) or not all(1 <= len(label) <= MAX_LABEL for label in self.labels):
            faults.append(f"'labels' must be distinct, each of 1 to {MAX_LABEL} characters")
        if not all(math.isfinite(value) for value in (self.chance, self.worst or 0.0)):
            faults.append("'chance' and 'worst' must be finite")
        if not (math.isfinite(self.margin) and self.margin >= 0):
            faults.append("'margin' must be at least 0")
        return faults

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that an answer may have."""
        return (self.output,) if isinstance(self.output, Kind) else self.output

    def task(self) -> Task:
        """The task as every other part knows it."""
        return Task(
            id=self.id,
            title=self.title,
            modality=self.modality,
            paradigm=self.paradigm,
            skill=self.skill,
            instruction=self.instruction,
            output=self.kinds,
            extractor=self.extractor,
            metric=self.metric,
            chance=self.chance,
            labels=self.labels,
            worst=self.worst,
            instruction_version=self.instruction_version,
            description=self.description,
            margin=self.margin,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `suite.yaml` says."""

    name: str
    version: str
    tasks: tuple[TaskEntry, ...]
    title: str = ""
    description: str = ""
    licence: str = ""
    closed: bool = False

    def __post_init__(self) -> None:
        ids = [task.id for task in self.tasks]
        repeated = sorted({task_id for task_id in ids if ids.count(task_id) > 1})
        faults = [f"the task id {task_id!r} is used more than once" for task_id in repeated]
        if not ids:
            faults.append("'tasks' is empty; a suite has at least one task")
        _refuse([*_name_faults("name", self.name), *faults])


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`; InvalidSuiteError lists everything that is wrong with it."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InvalidSuiteError(f"{folder} is no suite: it has no {MANIFEST}")
    try:
        return load(Manifest, read_yaml(path), folder=folder, where=MANIFEST)
    except SettingsError as error:
        raise InvalidSuiteError(str(error)) from error


def _name_faults(field: str, name: str) -> list[str]:
    if _NAME.fullmatch(name):
        return []
    return [f"'{field}' is {name!r}; it takes at most 64 lower case letters, digits, '.', '_' and '-'"]


def _template_faults(instruction: str) -> list[str]:
    try:
        Instruction(instruction)
    except InvalidSuiteError as error:
        return [str(error)]
    return []


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ValueError("; ".join(faults))
