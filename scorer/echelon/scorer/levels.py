"""The levels of General-Level, as pure functions of the tasks' scores.

Both editions (2024: the tutorial; 2025: arXiv 2505.04620, table 1) compute S2 from every task's sigma, and S3 to S5
from those that pass the gate: the model has to reach the specialist. 2024 pools the tasks of comprehension and
generation; 2025 gives both sides equal weight, and then the modalities.

Unlike the official ranker's, the gate compares raw scores: sigmas saturate, and would make ties of clear defeats.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import fsum
from typing import NamedTuple

from echelon.adapters import Composition
from echelon.scorer.results import LevelResult, TaskResult
from echelon.scorer.sigmas import EDITIONS, Edition, sigma
from echelon.scorer.suites.suite import Modality, Paradigm

__all__ = ["EDITIONS", "Edition", "gate_won", "level", "sigma"]

WITHOUT_SYNERGY = (Composition.DISPATCHER, Composition.AGENT)
HIGHEST_WITHOUT_SYNERGY = 2


class _Scores(NamedTuple):
    s2: float
    s3: float
    s4: float


def gate_won(score: float, sota: float, higher_is_better: bool) -> bool:
    """Whether a score reaches the specialist's; a tie does."""
    return score >= sota if higher_is_better else score <= sota


def level(edition: Edition, tasks: Sequence[TaskResult], composition: Composition, scope: str) -> LevelResult:
    """The level that the tasks amount to; a task that is incomplete or unsupported counts 0."""
    language = [task for task in tasks if task.task.paradigm is Paradigm.LANGUAGE]
    others = [task for task in tasks if task.task.paradigm is not Paradigm.LANGUAGE]
    by_modality = _by_modality(edition, others) if edition == "2025" else {}
    scores = _average(by_modality.values()) if edition == "2025" else _pooled(edition, others)
    s5 = scores.s4 * _mean(_gated(edition, language)) / 100
    reached = _reached(tasks, scores, s5)
    synergy_counts = composition not in WITHOUT_SYNERGY
    return LevelResult(
        edition=edition,
        scope=scope,
        level=reached if synergy_counts else min(reached, HIGHEST_WITHOUT_SYNERGY),
        s2=scores.s2,
        s3=scores.s3,
        s4=scores.s4,
        s5=s5,
        synergy_counts=synergy_counts,
        by_modality=by_modality,
        notes=tuple(_notes(edition, tasks, reached, composition)),
    )


def _pooled(edition: str, tasks: Iterable[TaskResult]) -> _Scores:
    """2024: one mean over all tasks, whatever their side and modality."""
    sides = _sides(tasks)
    both = [task for side in sides for task in side]
    s4 = _harmonic(*(_mean(_gated(edition, side)) for side in sides))
    return _Scores(_mean(_values(edition, both)), _mean(_gated(edition, both)), s4)


def _by_modality(edition: str, tasks: Sequence[TaskResult]) -> Mapping[str, _Scores]:
    found = {task.task.modality for task in tasks}
    return {
        modality.value: _balanced(edition, [task for task in tasks if task.task.modality is modality])
        for modality in Modality
        if modality in found
    }


def _balanced(edition: str, tasks: Iterable[TaskResult]) -> _Scores:
    """2025: the mean of both sides' means; a side without tasks counts 0."""
    sides = _sides(tasks)
    gated = [_mean(_gated(edition, side)) for side in sides]
    return _Scores(_mean([_mean(_values(edition, side)) for side in sides]), _mean(gated), _harmonic(*gated))


def _average(scores: Collection[_Scores]) -> _Scores:
    return _Scores(*(_mean([of[index] for of in scores]) for index in range(3)))


def _sides(tasks: Iterable[TaskResult]) -> tuple[list[TaskResult], list[TaskResult]]:
    sides: dict[Paradigm, list[TaskResult]] = {Paradigm.COMPREHENSION: [], Paradigm.GENERATION: []}
    for task in tasks:
        sides[task.task.paradigm].append(task)
    return sides[Paradigm.COMPREHENSION], sides[Paradigm.GENERATION]


def _values(edition: str, tasks: Iterable[TaskResult]) -> list[float]:
    return [task.sigmas[edition] if _counts(task) else 0.0 for task in tasks]


def _gated(edition: str, tasks: Iterable[TaskResult]) -> list[float]:
    return [task.sigmas[edition] if _won(task) else 0.0 for task in tasks]


def _counts(task: TaskResult) -> bool:
    return task.supported and task.complete and task.score is not None


def _won(task: TaskResult) -> bool:
    return _counts(task) and task.sota is not None and task.won


def _mean(values: Collection[float]) -> float:
    return fsum(values) / len(values) if values else 0.0


def _harmonic(one: float, other: float) -> float:
    """The harmonic mean; rounding must not lift it above the arithmetic one."""
    return min(2 * one * other / (one + other), (one + other) / 2) if one and other else 0.0


def _reached(tasks: Iterable[TaskResult], scores: _Scores, s5: float) -> int:
    """The highest level with a score above 0; below two skills above chance there is nothing to combine."""
    able = [task for task in tasks if _counts(task) and task.above_chance]
    if len(_skills(able)) < 2:
        return 1 if able else 0
    return max((k for k, score in ((3, scores.s3), (4, scores.s4), (5, s5)) if score > 0), default=2)


def _skills(tasks: Iterable[TaskResult]) -> set[str]:
    """The skills that level 2 is about; language alone enters at level 5."""
    return {task.task.skill for task in tasks if task.task.paradigm is not Paradigm.LANGUAGE}


def _notes(edition: str, tasks: Sequence[TaskResult], reached: int, composition: Composition) -> Iterator[str]:
    if composition in WITHOUT_SYNERGY:
        article = "an" if composition is Composition.AGENT else "a"
        yield f"{article} {composition} is not synergy: its gated scores are shown but do not count above level 2"
    incomplete = [task.task.id for task in tasks if not task.complete]
    if incomplete:
        yield f"{_tasks(len(incomplete))} incomplete and 0 until the run is resumed: {', '.join(incomplete)}"
    without_sota = [task.task.id for task in tasks if task.sota is None]
    if tasks and len(without_sota) == len(tasks):
        yield "no task has a sota, so none can be won"
    elif without_sota:
        yield f"{_tasks(len(without_sota))} without a sota and cannot be won: {', '.join(without_sota)}"
    if reached < 5:
        yield _held_back(edition, reached)


def _tasks(count: int) -> str:
    return "1 task is" if count == 1 else f"{count} tasks are"


def _held_back(edition: str, reached: int) -> str:
    where = "within one modality " if edition == "2025" else ""
    return (
        "level 1 needs a task above chance",
        "level 2 needs tasks of two skills above chance, besides language",
        "level 3 needs a task of comprehension or generation that reaches its sota",
        f"level 4 needs such tasks {where}in both comprehension and generation",
        "level 5 needs a language task that reaches its sota",
    )[reached]
