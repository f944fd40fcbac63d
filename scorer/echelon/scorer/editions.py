"""The formulas of General-Level's editions, as pure functions of each task's sigma and of what passes the gate.

Both editions compute S2 from every task and S3 to S5 from the tasks that reach their sota. A task that is missing,
unsupported or incomplete counts 0 and stays in the denominator.

2024, the tutorial's table, over M tasks of comprehension and N of generation of whatever modality:
    S2 = sum of sigmas / (M + N); S3 the same of the gated; S4 = harmonic mean of both sides' gated means.
2025, arXiv 2505.04620, table 1, for each modality, and then the mean over the suite's modalities:
    S2 = (mean of comprehension + mean of generation) / 2; S3 the same of the gated; S4 their harmonic mean.
Either way S5 = S4 * gated mean of language / 100.

Unlike the official ranker's, the gate compares raw scores: sigmas saturate, and would make ties of clear defeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import fsum
from typing import NamedTuple, TypeAlias

from echelon.adapters import Composition
from echelon.scorer.suites.suite import Modality, Paradigm

WITHOUT_SYNERGY = (Composition.DISPATCHER, Composition.AGENT)
HIGHEST_WITHOUT_SYNERGY = 2

_BOTH = (Paradigm.COMPREHENSION, Paradigm.GENERATION)


class Graded(NamedTuple):
    """One task as the formulas see it, in 0-100: `sigma` is 0 where the task counts nothing, `gated` where it loses."""

    modality: Modality
    paradigm: Paradigm
    skill: str
    sigma: float
    gated: float


Triple: TypeAlias = tuple[float, float, float]
"""(S2, S3, S4) of one modality."""


class Scores(NamedTuple):
    """S2 to S5 in 0-100; `by_modality` is empty where the edition has no scores of single modalities."""

    s2: float
    s3: float
    s4: float
    s5: float
    by_modality: Mapping[str, Triple]


class GroupScores(NamedTuple):
    """S2 and S3 of one paradigm in one modality, or of one skill in it; the higher levels take both paradigms."""

    s2: float
    s3: float


Sides: TypeAlias = Mapping[tuple[Modality, Paradigm], Sequence[Graded]]
"""The tasks of each paradigm in each modality."""


def gate_won(score: float, sota: float, higher_is_better: bool) -> bool:
    """Whether a score reaches the specialist's; a tie does."""
    return score >= sota if higher_is_better else score <= sota


def synergy(edition: str, tasks: Iterable[Graded]) -> Scores:
    """The scores of a whole suite; the tasks' order does not matter, to the bit."""
    sides: dict[tuple[Modality, Paradigm], list[Graded]] = {}
    for task in tasks:
        sides.setdefault(task[:2], []).append(task)
    language = mean([task.gated for (_, side), own in sides.items() if side is Paradigm.LANGUAGE for task in own])
    by_modality = _by_modality(sides) if edition == "2025" else {}
    s2, s3, s4 = _average(by_modality.values()) if edition == "2025" else _pooled(sides)
    return Scores(s2, s3, s4, s4 * language / 100, by_modality)


def group(tasks: Iterable[Graded]) -> GroupScores:
    """The scores of a scope with one paradigm only, in either edition: the means of all sigmas and of the gated."""
    found = list(tasks)
    return GroupScores(mean([task.sigma for task in found]), mean([task.gated for task in found]))


def highest_level(able: Iterable[Graded], s3: float, s4: float = 0.0, s5: float = 0.0) -> int:
    """The highest level with a score above 0, 0 for none; `able` are the tasks that the model can do at all.

    One skill makes a specialist, level 1; there is nothing to combine. Language alone enters at level 5.
    """
    found = list(able)
    if len({task.skill for task in found if task.paradigm is not Paradigm.LANGUAGE}) < 2:
        return 1 if found else 0
    return max((k for k, score in ((3, s3), (4, s4), (5, s5)) if score > 0), default=2)


def held_back(edition: str, reached: int) -> str:
    """What the next level needs."""
    where = "within one modality " if edition == "2025" else ""
    return (
        "level 1 needs a task above chance",
        "level 2 needs tasks of two skills above chance, besides language",
        "level 3 needs a task of comprehension or generation that reaches its sota",
        f"level 4 needs such tasks {where}in both comprehension and generation",
        "level 5 needs a language task that reaches its sota",
    )[reached]


def out_of_order(edition: str, scores: Scores) -> str:
    """Which score exceeds the one before it although the edition promises that none does; empty for none.

    2025 promises S2 >= S3 >= S4 >= S5. In 2024, where sides are pooled, S4 may exceed S3.
    """
    named = list(zip(("S2", "S3", "S4", "S5"), scores[:4], strict=True))
    return ", ".join(
        f"{high} {more:.6g} < {low} {less:.6g}"
        for (high, more), (low, less) in pairwise(named)
        if more < less and not (edition == "2024" and low == "S4")
    )


def mean(values: Sequence[float]) -> float:
    """The mean, the same to the bit in any order; 0 of nothing."""
    return fsum(values) / len(values) if values else 0.0


def _pooled(sides: Sides) -> Triple:
    """2024: one mean over all tasks, whatever their side and modality."""
    comprehension, generation = (
        [task for (_, side), tasks in sides.items() if side is paradigm for task in tasks] for paradigm in _BOTH
    )
    return (*group(comprehension + generation), _harmonic(group(comprehension).s3, group(generation).s3))


def _by_modality(sides: Sides) -> dict[str, Triple]:
    found = {modality for modality, side in sides if side in _BOTH}
    return {
        modality.value: _balanced(*(group(sides.get((modality, side), ())) for side in _BOTH))
        for modality in Modality
        if modality in found
    }


def _balanced(comprehension: GroupScores, generation: GroupScores) -> Triple:
    """2025: the mean of both sides' means; a side without tasks counts 0."""
    s2, s3 = (mean(scores) for scores in zip(comprehension, generation, strict=True))
    return s2, s3, _harmonic(comprehension.s3, generation.s3)


def _average(scores: Iterable[Triple]) -> Triple:
    found = list(scores)
    s2, s3, s4 = (mean([each[index] for each in found]) for index in range(3))
    return s2, s3, s4


def _harmonic(one: float, other: float) -> float:
    """The harmonic mean; rounding must not lift it above the arithmetic one."""
    return min(2 * one * other / (one + other), (one + other) / 2) if one and other else 0.0
