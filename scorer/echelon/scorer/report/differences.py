"""Where two editions come to different figures for the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from echelon.scorer.results import RunResult, TaskResult

SHOWN = 0.05
"""Sigmas that are printed with one decimal look different from here on."""
MOST_TASKS = 12


@dataclass(frozen=True, slots=True)
class Difference:
    """What is called `name`, by edition, on the scale of 0 to 100."""

    name: str
    values: Mapping[str, float]

    @property
    def spread(self) -> float:
        """From the lowest edition to the highest."""
        return max(self.values.values()) - min(self.values.values())


@dataclass(frozen=True, slots=True)
class Differences:
    """The scores of the levels, and the tasks whose sigmas differ most."""

    scores: tuple[Difference, ...]
    tasks: tuple[Difference, ...]
    task_count: int
    """How many tasks differ, shown or not."""


def differences(result: RunResult) -> Differences | None:
    """None where there are no two editions to compare."""
    if len(result.levels) < 2:
        return None
    scores = tuple(
        Difference(name, {level.edition: getattr(level, name.lower()) for level in result.levels})
        for name in ("S2", "S3", "S4", "S5")
    )
    tasks = sorted(_tasks(result), key=lambda found: (-found.spread, found.name))
    return Differences(scores, tuple(tasks[:MOST_TASKS]), len(tasks))


def _tasks(result: RunResult) -> Iterator[Difference]:
    for task in result.tasks:
        found = Difference(_name(task), task.sigmas)
        if task.score is not None and len(task.sigmas) > 1 and found.spread >= SHOWN:
            yield found


def _name(task: TaskResult) -> str:
    return f"{task.task.title} ({task.task.metric})"
