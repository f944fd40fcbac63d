"""What a suite is: tasks, samples and their references, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from echelon.adapters import Call, Kind, Part

if TYPE_CHECKING:
    from echelon.scorer.results import Sota


class Modality(StrEnum):
    """What a task is about."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    THREE_D = "3d"
    LANGUAGE = "language"


class Paradigm(StrEnum):
    """Which side of General-Level a task counts on."""

    COMPREHENSION = "comprehension"
    GENERATION = "generation"
    LANGUAGE = "language"


CALL_OF = {
    Paradigm.COMPREHENSION: Call.COMPREHEND,
    Paradigm.GENERATION: Call.GENERATE,
    Paradigm.LANGUAGE: Call.LANGUAGE,
}
"""The call that a task's paradigm uses."""


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a suite.

    `chance` and `worst` are scores in the metric's own unit: what answering blindly gets, and what a sample counts
    that the model failed (needed only by metrics that have no worst value of their own).
    """

    id: str
    title: str
    modality: Modality
    paradigm: Paradigm
    skill: str
    instruction: str
    output: tuple[Kind, ...]
    extractor: str
    metric: str
    chance: float
    labels: tuple[str, ...] = ()
    worst: float | None = None
    instruction_version: int = 1
    description: str = ""
    margin: float = 0.0
    """By how much a model has to be better than the sota to win, in the metric's own unit."""
    not_computed: str = ""
    """Why the task has no score whatever is answered, empty where it has one."""

    @property
    def call(self) -> Call:
        """The call that the task uses."""
        return CALL_OF[self.paradigm]


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a task; `references` are the acceptable answers and never leave the scorer."""

    id: str
    instruction: str
    parts: tuple[Part, ...]
    references: tuple[Part, ...]
    cluster: str


@dataclass(frozen=True, slots=True)
class SuiteInfo:
    """A suite's identity; `digest` covers every byte that can change a score."""

    name: str
    version: str
    digest: str
    title: str = ""
    description: str = ""
    licence: str = ""
    closed: bool = False
    """Whether the references are secret, so that every try at it spends some of what may be claimed."""

    @property
    def label(self) -> str:
        """Name and the digest's beginning, as it stands beside every level."""
        return f"{self.name}@{self.digest[:4]}"


class Suite(Protocol):
    """A suite as the runner uses it; samples stream."""

    @property
    def info(self) -> SuiteInfo: ...

    @property
    def tasks(self) -> tuple[Task, ...]: ...

    def samples(self, task: Task, skip: AbstractSet[str] = frozenset()) -> Iterator[Sample]:
        """The task's samples in the order of the file, without those whose ids are in `skip`.

        InvalidSuiteError names the file and line of a fault.
        """
        ...

    def sample_ids(self, task: Task) -> tuple[str, ...]:
        """The ids of all samples, in the same order."""
        ...


class StoredSuite(Suite, Protocol):
    """A suite in a folder, from which it can be opened again."""

    @property
    def path(self) -> Path: ...

    @property
    def sota(self) -> Mapping[str, Sota]:
        """The specialists' scores that the suite itself brings, by task."""
        ...

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is in the folder and not in the suite, and why."""
        ...
