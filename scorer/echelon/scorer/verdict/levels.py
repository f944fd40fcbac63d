"""From the verdicts of tasks to those of levels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress

from echelon.adapters import Composition
from echelon.scorer.editions import Graded, highest_level, synergy
from echelon.scorer.levels import HIGHEST_WITHOUT_SYNERGY, WITHOUT_SYNERGY, graded
from echelon.scorer.results import TaskResult
from echelon.scorer.sigmas import Edition, sigma
from echelon.scorer.suites.suite import Modality, Paradigm
from echelon.scorer.verdict.budget import ALPHA, Budget
from echelon.scorer.verdict.family import Bounds, TaskState
from echelon.scorer.verdict.figures import Figure, LevelVerdict
from echelon.scorer.verdict.task import Against

SIDES = (Paradigm.COMPREHENSION, Paradigm.GENERATION)


def level_verdict(
    edition: Edition, tasks: Sequence[TaskResult], composition: Composition, alpha: float
) -> LevelVerdict:
    """Judge one edition, over the tasks of a run."""
    p, parts = level_ps(edition, tasks), level_parts(alpha)
    most = 5 if composition not in WITHOUT_SYNERGY else HIGHEST_WITHOUT_SYNERGY
    measured = _figure(edition, [graded(edition, task) for task in tasks], [task.above_chance for task in tasks])
    # A suite may hold few skills of which some are just above chance: what is certified is also measured.
    level = min(most, measured.level, _unbroken(p, parts))
    sure = replace(_figure(edition, [certified(edition, task) for task in tasks], ()), level=level)
    possible = _figure(
        edition, [_possible(edition, task) for task in tasks], [_may_beat_chance(task, alpha) for task in tasks]
    )
    return LevelVerdict(
        edition=edition,
        alpha=alpha,
        paper=measured,
        certified=sure,
        possible=replace(possible, level=min(most, possible.level)),
        p=p,
        parts=parts,
        basis=_basis(tasks, level),
        notes=tuple(_notes(alpha)),
    )


def level_parts(alpha: float) -> dict[int, float]:
    """The part of alpha that each level's p value has to stay within."""
    budget = Budget.of(alpha)
    return {level: budget.chance if level <= HIGHEST_WITHOUT_SYNERGY else budget.won for level in range(1, 6)}


def level_ps(edition: Edition, tasks: Sequence[TaskResult]) -> dict[int, float]:
    """Compute the p value of each level: 1 and 2 from what is above chance, 3 to 5 from the tasks that are won.

    Levels 3 to 5 take the tasks' adjusted p values, so that they are certified by won tasks alone and can only be wrong
    where one of these is.
    """
    comprehension, generation, language = ([task for task in tasks if task.task.paradigm is of] for of in Paradigm)
    both = _both_sides(edition, [*comprehension, *generation])
    return {
        1: _least([_chance_p(task) for task in tasks]),
        2: _second_skill(tasks),
        3: _best([*comprehension, *generation]),
        4: both,
        5: max(both, _best(language)),
    }


def _both_sides(edition: Edition, tasks: Sequence[TaskResult]) -> float:
    """Comprehension and generation at once; 2025 wants them within one modality."""
    if edition != "2025":
        return _intersection(tasks)
    modalities = [[task for task in tasks if task.task.modality is modality] for modality in Modality]
    return min((_intersection(those) for those in modalities), default=1.0)


def _intersection(tasks: Sequence[TaskResult]) -> float:
    return max(_best([task for task in tasks if task.task.paradigm is side]) for side in SIDES)


def _best(tasks: Iterable[TaskResult]) -> float:
    """The least adjusted p value, 1 of nothing: its family is that of all tasks already."""
    return min((_adjusted_p(task) for task in tasks), default=1.0)


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


def _adjusted_p(task: TaskResult) -> float:
    return task.verdict.sota.adjusted_p if task.verdict is not None and task.verdict.sota is not None else 1.0


def _chance_p(task: TaskResult) -> float:
    return 1.0 if task.verdict is None else task.verdict.chance_p


def _unbroken(p: Mapping[int, float], parts: Mapping[int, float]) -> int:
    """The highest level that holds together with all below it."""
    return next((level - 1 for level in sorted(p) if p[level] > parts[level]), max(p))


def _basis(tasks: Iterable[TaskResult], level: int) -> Against | None:
    """The least certain kind of sota among the won tasks."""
    if level <= HIGHEST_WITHOUT_SYNERGY:
        return None
    kinds = {
        task.verdict.sota.against
        for task in tasks
        if task.verdict is not None and task.verdict.sota is not None and task.verdict.sota.state is TaskState.WON
    }
    return max(kinds, key=list(Against).index, default=None)


def _figure(edition: Edition, tasks: Sequence[Graded], able: Sequence[bool]) -> Figure:
    """The scores, and the level that they amount to where `able` says which tasks are above chance."""
    scores = synergy(edition, tasks)
    level = highest_level(compress(tasks, able), *scores[1:4])
    return Figure(level, *scores[:4])


def certified(edition: Edition, task: TaskResult) -> Graded:
    """Grade a task for the certified scores: its lower bound, and where it is won the lower of that and its sota.

    Luck with the samples may lift a reference run's score above the model's true one, so that the sota alone is no
    bound. The mean of the tasks' bounds is a bound of their mean however the tasks hang together, as long as their
    errors are jointly normal.
    """
    least = _sigma_at(edition, task, better=False)
    gated = min(least, task.sota_sigmas[edition]) if state_of(task) is TaskState.WON else 0.0
    return Graded(task.task.modality, task.task.paradigm, task.task.skill, least, gated)


def _possible(edition: Edition, task: TaskResult) -> Graded:
    """Grade a task for the possible scores: its upper bound unless it is below its sota, 100 without a score yet."""
    if task.verdict is None:
        most = 100.0 if _is_open(task) else 0.0
        return Graded(task.task.modality, task.task.paradigm, task.task.skill, most, most if task.sota else 0.0)
    most = _sigma_at(edition, task, better=True)
    gated = 0.0 if state_of(task) in (None, TaskState.BELOW) else most
    return Graded(task.task.modality, task.task.paradigm, task.task.skill, most, gated)


def state_of(task: TaskResult) -> TaskState | None:
    """How the task stands against its sota, None where there is nothing to say."""
    return task.verdict.sota.state if task.verdict is not None and task.verdict.sota is not None else None


def _sigma_at(edition: Edition, task: TaskResult, *, better: bool) -> float:
    """The sigma of the score's better or worse bound; where it has none, 100 or 0. A task never answered is missing."""
    if task.verdict is None or (task.nothing_answered and not better):
        return 0.0
    bound = _bound(task.verdict.level_bounds, upper=better == task.higher_is_better)
    return (100.0 if better else 0.0) if bound is None else sigma(task.task.metric, bound, edition)


def _bound(bounds: Bounds, *, upper: bool) -> float | None:
    return bounds.upper if upper else bounds.lower


def _may_beat_chance(task: TaskResult, alpha: float) -> bool:
    """Whether the task is not shown to be below chance, as an incomplete one never is."""
    if task.verdict is None:
        return _is_open(task)
    return task.verdict.below_chance_p > Budget.of(alpha).below


def _is_open(task: TaskResult) -> bool:
    """Whether a task without a score may still get one: it is incomplete, or its metric waits for an instrument."""
    return task.supported and bool(task.sample_count) and not (task.complete and task.nothing_answered)


def _notes(alpha: float) -> Iterator[str]:
    if alpha < ALPHA:
        yield (
            f"a closed set: this attempt claims what holds at {alpha:.3%}, so that all attempts together are wrong "
            f"with probability {ALPHA:.0%} at most"
        )
