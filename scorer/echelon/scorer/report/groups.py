"""Scores of tasks that have something in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from echelon.scorer.report.wording import editions
from echelon.scorer.results import RunResult, TaskResult


@dataclass(frozen=True, slots=True)
class Group:
    """Tasks under one name; `sigmas` are means over the `scored_count` tasks that have a score, by edition."""

    name: str
    task_count: int
    scored_count: int
    won_count: int
    sigmas: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Grouping:
    """All tasks of a run, told apart by one property."""

    by: str
    groups: tuple[Group, ...]


def groupings(result: RunResult) -> tuple[Grouping, ...]:
    """The run by modality, by paradigm and by skill."""
    return (
        _grouping(result, "modality", lambda task: task.task.modality.value),
        _grouping(result, "paradigm", lambda task: task.task.paradigm.value),
        _grouping(result, "skill", lambda task: task.task.skill),
    )


def _grouping(result: RunResult, by: str, key: Callable[[TaskResult], str]) -> Grouping:
    members: dict[str, list[TaskResult]] = {}
    for task in result.tasks:
        members.setdefault(key(task), []).append(task)
    return Grouping(by, tuple(_group(name, tasks, editions(result)) for name, tasks in members.items()))


def _group(name: str, tasks: Sequence[TaskResult], names: Sequence[str]) -> Group:
    scored = [task for task in tasks if task.score is not None]
    sigmas = {edition: _mean([task.sigmas[edition] for task in scored if edition in task.sigmas]) for edition in names}
    return Group(
        name,
        len(tasks),
        len(scored),
        sum(task.won for task in tasks),
        {edition: value for edition, value in sigmas.items() if value is not None},
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
