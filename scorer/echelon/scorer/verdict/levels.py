"""From the verdicts of tasks to those of levels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import compress
from math import inf

from echelon.adapters import Composition
from echelon.scorer.editions import Graded, highest_level, synergy
from echelon.scorer.levels import HIGHEST_WITHOUT_SYNERGY, WITHOUT_SYNERGY, graded
from echelon.scorer.results import TaskResult
from echelon.scorer.sigmas import Edition, sigma
from echelon.scorer.suites.suite import Modality, Paradigm
from echelon.scorer.verdict.family import ALPHA, Bounds, TaskState, holm
from echelon.scorer.verdict.figures import Figure, LevelVerdict

SIDES = (Paradigm.COMPREHENSION, Paradigm.GENERATION)


def level_verdict(
    edition: Edition, tasks: Sequence[TaskResult], composition: Composition, alpha: float
) -> LevelVerdict:
    """The verdict of one edition, over the tasks of a run."""
    p = level_ps(edition, tasks)
    most = 5 if composition not in WITHOUT_SYNERGY else HIGHEST_WITHOUT_SYNERGY
    measured = _figure(edition, [graded(edition, task) for task in tasks], [task.above_chance for task in tasks])
    # A suite may hold few skills of which some are just above chance: what is certified is also measured.
    level = min(most, measured.level, _unbroken(p, alpha))
    sure = replace(_figure(edition, [certified(edition, task) for task in tasks], ()), level=level)
    possible = _figure(
        edition, [_possible(edition, task) for task in tasks], [_may_beat_chance(task) for task in tasks]
    )
    return LevelVerdict(
        edition=edition,
        alpha=alpha,
        paper=measured,
        certified=sure,
        possible=replace(possible, level=min(most, possible.level)),
        p=p,
        notes=tuple(_notes(sure, alpha)),
    )


def level_ps(edition: Edition, tasks: Sequence[TaskResult]) -> dict[int, float]:
    """The p value of each level: 1 and 2 from what is above chance, 3 to 5 from what is above its sota."""
    family = [task for task in tasks if task.sota is not None]
    comprehension, generation, language = ([task for task in family if task.task.paradigm is of] for of in Paradigm)
    both = _both_sides(edition, [*comprehension, *generation])
    return {
        1: _least([_chance_p(task) for task in tasks]),
        2: _second_skill(tasks),
        3: _least_of([*comprehension, *generation]),
        4: both,
        5: max(both, _least_of(language)),
    }


def _both_sides(edition: Edition, tasks: Sequence[TaskResult]) -> float:
    """Comprehension and generation at once; 2025 wants them within one modality, and looks at each."""
    if edition != "2025":
        return _intersection(tasks)
    modalities = [[task for task in tasks if task.task.modality is modality] for modality in Modality]
    whole = [those for those in modalities if {task.task.paradigm for task in those} == set(SIDES)]
    return _least([_intersection(those) for those in whole])


def _intersection(tasks: Iterable[TaskResult]) -> float:
    found = list(tasks)
    return max(_least_of([task for task in found if task.task.paradigm is side]) for side in SIDES)


def _second_skill(tasks: Sequence[TaskResult]) -> float:
    """Two skills above chance, language apart: the second least of the skills' p values (Benjamini and Heller 2008)."""
    skills: dict[str, list[float]] = {}
    for task in tasks:
        if task.task.paradigm is not Paradigm.LANGUAGE:
            skills.setdefault(task.task.skill, []).append(_chance_p(task))
    ps = sorted(_least(found) for found in skills.values())
    return min(1.0, ps[1] * (len(ps) - 1)) if len(ps) > 1 else 1.0


def _least(ps: Sequence[float]) -> float:
    """Bonferroni: the p value of "none of these", 1 of nothing."""
    return min(1.0, min(ps) * len(ps)) if ps else 1.0


def _least_of(tasks: Sequence[TaskResult]) -> float:
    """The same of tasks against their sotas, each with its share."""
    family = {task.task.id: task.share for task in tasks}
    return min(holm({task.task.id: _p(task) for task in tasks}, family).values(), default=1.0)


def _p(task: TaskResult) -> float:
    return task.verdict.sota.p if task.verdict is not None and task.verdict.sota is not None else 1.0


def _chance_p(task: TaskResult) -> float:
    return 1.0 if task.verdict is None else task.verdict.chance_p


def _unbroken(p: dict[int, float], alpha: float) -> int:
    """A fixed sequence: a level is tested only where all below it hold, so each may have the whole of alpha."""
    return next((level - 1 for level in sorted(p) if p[level] > alpha), max(p))


def _figure(edition: Edition, tasks: Sequence[Graded], able: Sequence[bool]) -> Figure:
    """The scores, and the level that they amount to where `able` says which tasks are above chance."""
    scores = synergy(edition, tasks)
    level = highest_level(compress(tasks, able), *scores[1:4])
    return Figure(level, *scores[:4])


def certified(edition: Edition, task: TaskResult) -> Graded:
    """A task as the certified scores see it: a won one counts what its sota does, and for S2 each its lower bound.

    The mean of the tasks' bounds is a bound of their mean however the tasks hang together, if errors are about normal.
    """
    least = _sigma_at(edition, task, better=False)
    gated = task.sota_sigmas[edition] if state_of(task) is TaskState.WON else 0.0
    return Graded(task.task.modality, task.task.paradigm, task.task.skill, max(least, gated), gated)


def _possible(edition: Edition, task: TaskResult) -> Graded:
    """A task that is not shown to be below its sota counts its upper bound."""
    most = _sigma_at(edition, task, better=True)
    gated = 0.0 if state_of(task) in (None, TaskState.BELOW) else most
    return Graded(task.task.modality, task.task.paradigm, task.task.skill, most, gated)


def state_of(task: TaskResult) -> TaskState | None:
    """How the task stands against its sota, None where there is nothing to say."""
    return task.verdict.sota.state if task.verdict is not None and task.verdict.sota is not None else None


def _sigma_at(edition: Edition, task: TaskResult, *, better: bool) -> float:
    """The sigma of the score's better or worse bound; where it has none, 100 or 0."""
    if task.verdict is None:
        return 0.0
    bound = _bound(task.verdict.score, upper=better == task.higher_is_better)
    return (100.0 if better else 0.0) if bound is None else sigma(task.task.metric, bound, edition)


def _bound(bounds: Bounds, *, upper: bool) -> float | None:
    return bounds.upper if upper else bounds.lower


def _may_beat_chance(task: TaskResult) -> bool:
    if task.verdict is None:
        return False
    bound = _bound(task.verdict.score, upper=bool(task.higher_is_better))
    sign = 1.0 if task.higher_is_better else -1.0
    return (inf if bound is None else sign * bound) > sign * task.task.chance


def _notes(figure: Figure, alpha: float) -> Iterator[str]:
    if alpha < ALPHA:
        yield (
            f"a closed set: this try claims what holds at {alpha:.3%}, so that all tries together are wrong with "
            f"{ALPHA:.0%} at most"
        )
    scores = {3: figure.s3, 4: figure.s4, 5: figure.s5}
    unnamed = [f"S{level}" for level, score in scores.items() if level <= figure.level and score == 0]
    if unnamed:
        yield (
            f"certified {', '.join(unnamed)} is 0 although the level is certified: that some task is won is sure at "
            f"{alpha:.3g}, which ones is not"
        )
