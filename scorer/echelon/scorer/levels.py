"""The levels that a run's tasks amount to; the formulas are those of `editions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from echelon.adapters import Composition
from echelon.scorer.editions import (
    HIGHEST_WITHOUT_SYNERGY,
    WITHOUT_SYNERGY,
    Graded,
    gate_won,
    held_back,
    highest_level,
    synergy,
)
from echelon.scorer.results import LevelResult, TaskResult
from echelon.scorer.sigmas import EDITIONS, Edition, sigma

__all__ = [
    "EDITIONS",
    "HIGHEST_WITHOUT_SYNERGY",
    "WITHOUT_SYNERGY",
    "Edition",
    "Graded",
    "gate_won",
    "graded",
    "level",
    "sigma",
    "synergy",
]


def level(edition: Edition, tasks: Sequence[TaskResult], composition: Composition, scope: str) -> LevelResult:
    """The level that the tasks amount to; a task that is incomplete, unsupported or never answered counts 0."""
    scores = synergy(edition, [graded(edition, task) for task in tasks])
    able = (graded(edition, task) for task in tasks if _counts(task) and task.above_chance)
    reached = highest_level(able, *scores[1:4])
    synergy_counts = composition not in WITHOUT_SYNERGY
    return LevelResult(
        edition=edition,
        scope=scope,
        level=reached if synergy_counts else min(reached, HIGHEST_WITHOUT_SYNERGY),
        s2=scores.s2,
        s3=scores.s3,
        s4=scores.s4,
        s5=scores.s5,
        synergy_counts=synergy_counts,
        by_modality=scores.by_modality,
        notes=tuple(_notes(edition, tasks, reached, composition)),
    )


def graded(edition: Edition, task: TaskResult) -> Graded:
    """A run's task as the formulas see it."""
    sigma = task.sigmas[edition] if _counts(task) else 0.0
    gated = sigma if task.sota is not None and task.won else 0.0
    return Graded(task.task.modality, task.task.paradigm, task.task.skill, sigma, gated)


def _counts(task: TaskResult) -> bool:
    return task.supported and task.complete and task.score is not None and not task.nothing_answered


def _notes(edition: str, tasks: Sequence[TaskResult], reached: int, composition: Composition) -> Iterator[str]:
    if composition in WITHOUT_SYNERGY:
        article = "an" if composition is Composition.AGENT else "a"
        yield f"{article} {composition} is not synergy: its gated scores are shown but do not count above level 2"
    incomplete = [task.task.id for task in tasks if not task.complete]
    if incomplete:
        yield f"{_tasks(len(incomplete))} incomplete and 0 until the run is resumed: {', '.join(incomplete)}"
    unanswered = [task.task.id for task in tasks if task.supported and task.complete and task.nothing_answered]
    if unanswered:
        yield f"{_tasks(len(unanswered))} without a single answer and counted as missing: {', '.join(unanswered)}"
    without_sota = [task.task.id for task in tasks if task.sota is None]
    if tasks and len(without_sota) == len(tasks):
        yield "no task has a sota, so none can be won"
    elif without_sota:
        yield f"{_tasks(len(without_sota))} without a sota and cannot be won: {', '.join(without_sota)}"
    if reached < 5:
        yield held_back(edition, reached)


def _tasks(count: int) -> str:
    return "1 task is" if count == 1 else f"{count} tasks are"
