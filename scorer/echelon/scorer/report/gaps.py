"""What a run leaves open: tasks that count nothing, or that nobody can win."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from echelon.scorer.report.wording import asked, count
from echelon.scorer.results import RunResult, TaskResult


@dataclass(frozen=True, slots=True)
class Gap:
    """Tasks that lack the same thing for the same reason."""

    name: str
    reason: str
    tasks: tuple[TaskResult, ...]


def gaps(result: RunResult) -> tuple[Gap, ...]:
    """The tasks in which something is missing, each under the first thing that it lacks."""
    found: dict[tuple[str, str], list[TaskResult]] = {}
    for task in result.tasks:
        lacking = next(_lacking(task), None)
        if lacking:
            found.setdefault(lacking, []).append(task)
    return tuple(Gap(name, reason, tuple(tasks)) for (name, reason), tasks in found.items())


def _lacking(task: TaskResult) -> Iterator[tuple[str, str]]:
    for name, lacks, reason in _KINDS:
        if lacks(task):
            yield name, reason(task)


def _incomplete(task: TaskResult) -> str:
    return f"{count(task.sample_count - asked(task), 'sample')} without an outcome; 0 until the run is resumed"


_KINDS: tuple[tuple[str, Callable[[TaskResult], bool], Callable[[TaskResult], str]], ...] = (
    ("no samples", lambda task: not task.sample_count, lambda _: "not in this copy of the suite; counts 0"),
    ("unsupported", lambda task: not task.supported, lambda _: "not on the model's card; counts 0"),
    ("not computed", lambda task: bool(task.not_computed), lambda task: f"{task.not_computed}; counts 0"),
    ("incomplete", lambda task: not task.complete, _incomplete),
    ("no sota", lambda task: task.sota is None, lambda _: "nothing to compare with, so it cannot be won"),
)
