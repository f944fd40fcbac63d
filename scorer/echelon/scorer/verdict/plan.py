"""What is nearest to the next level: which tasks, what each would add, and which side holds the scores back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from echelon.scorer.editions import Graded, mean, synergy
from echelon.scorer.levels import graded
from echelon.scorer.results import RunResult, TaskResult
from echelon.scorer.sigmas import Edition
from echelon.scorer.suites.suite import Modality, Paradigm
from echelon.scorer.verdict.family import TaskState
from echelon.scorer.verdict.figures import LevelVerdict
from echelon.scorer.verdict.levels import certified, state_of


@dataclass(frozen=True, slots=True)
class Step:
    """A task that is not won yet, and what winning it would add to the certified scores, by name: S2 to S5."""

    task: str
    paradigm: Paradigm
    state: TaskState | None
    """None where the task has no result."""
    lead: float | None
    needed_n: int | None
    adds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Balance:
    """Both sides' gated means and what a point more on either would add to their harmonic mean.

    `held_back_by` is the side that is worth more, empty where they are level; `scope` is a modality, or "all tasks".
    """

    scope: str
    comprehension: float
    generation: float
    per_point_of_comprehension: float
    per_point_of_generation: float

    @property
    def held_back_by(self) -> str:
        """The weaker side, empty where there is none."""
        if self.comprehension == self.generation:
            return ""
        weaker = Paradigm.COMPREHENSION if self.comprehension < self.generation else Paradigm.GENERATION
        return weaker.value


@dataclass(frozen=True, slots=True)
class Plan:
    """The way from the certified level to the next, in one edition."""

    edition: Edition
    level: int
    next_level: int | None
    steps: tuple[Step, ...]
    """The nearest first; those that alone raise the next level's score before all others."""
    balances: tuple[Balance, ...]


def plans(result: RunResult) -> Iterator[Plan]:
    """The plan of each edition."""
    for verdict in result.verdicts:
        level = verdict.certified.level
        yield Plan(
            edition=verdict.edition,
            level=level,
            next_level=level + 1 if level < 5 else None,
            steps=tuple(_steps(result.tasks, verdict)),
            balances=tuple(_balances(verdict.edition, result.tasks)),
        )


def _steps(tasks: Sequence[TaskResult], verdict: LevelVerdict) -> list[Step]:
    edition = verdict.edition
    now = [certified(edition, task) for task in tasks]
    goal = f"s{min(5, max(3, verdict.certified.level + 1))}"
    found = []
    for index, task in enumerate(tasks):
        if task.sota is None or state_of(task) is TaskState.WON:
            continue
        worth = task.sota_sigmas.get(edition, 0.0)
        then = [*now[:index], now[index]._replace(sigma=max(now[index].sigma, worth), gated=worth), *now[index + 1 :]]
        step = _step(task, _added(edition, now, then))
        found.append((not step.adds[goal] > 0, _distance(task), task.task.id, step))
    return [step for *_, step in sorted(found, key=lambda each: each[:3])]


def _step(task: TaskResult, adds: dict[str, float]) -> Step:
    lead = task.verdict.sota if task.verdict is not None else None
    return Step(
        task=task.task.id,
        paradigm=task.task.paradigm,
        state=lead.state if lead else None,
        lead=lead.lead.value if lead else None,
        needed_n=lead.needed_n if lead else None,
        adds=adds,
    )


def _added(edition: Edition, now: Iterable[Graded], then: Iterable[Graded]) -> dict[str, float]:
    before, after = synergy(edition, now), synergy(edition, then)
    return {name: getattr(after, name) - getattr(before, name) for name in ("s2", "s3", "s4", "s5")}


def _distance(task: TaskResult) -> tuple[bool, float]:
    """How far a task is from being won: first those ahead, by the samples needed, then those behind, by their lag."""
    lead = task.verdict.sota if task.verdict is not None else None
    if lead is None:
        return True, inf
    if lead.lead.value > lead.margin:
        return False, lead.needed_n or inf
    ends = lead.lead.lower, lead.lead.upper
    if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
        return True, inf
    return True, (lead.margin - lead.lead.value) / (ends[1] - ends[0])


def _balances(edition: Edition, tasks: Sequence[TaskResult]) -> Iterator[Balance]:
    """The sides of every harmonic mean in S4: one of all tasks in 2024, one of each modality in 2025."""
    both = [task for task in tasks if task.task.paradigm is not Paradigm.LANGUAGE]
    if edition == "2024":
        yield _balance("all tasks", edition, both)
        return
    for modality in Modality:
        found = [task for task in both if task.task.modality is modality]
        if {task.task.paradigm for task in found} == {Paradigm.COMPREHENSION, Paradigm.GENERATION}:
            yield _balance(modality.value, edition, found)


def _balance(scope: str, edition: Edition, tasks: Sequence[TaskResult]) -> Balance:
    one, other = (
        mean([graded(edition, task).gated for task in tasks if task.task.paradigm is side])
        for side in (Paradigm.COMPREHENSION, Paradigm.GENERATION)
    )
    whole = (one + other) ** 2
    # The derivatives of 2ab / (a + b).
    return Balance(scope, one, other, *((2 * other**2 / whole, 2 * one**2 / whole) if whole else (0.0, 0.0)))
