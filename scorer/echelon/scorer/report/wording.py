"""How the page, the table and the JSON say the same thing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from echelon.scorer.outcomes import State
from echelon.scorer.results import LevelResult, RunResult, TaskResult
from echelon.scorer.sigmas import sigma as to_sigma

DEMONSTRATION = "A demonstration: it says nothing about General-Bench."
"""Stands above every result of the starter suite."""

NOT_SYNERGY = "not synergy"

REACHED = (
    "not enough above chance to be a specialist",
    "a specialist: one task, or one skill",
    "a generalist: several skills, no synergy shown",
    "synergy in comprehension or in generation",
    "synergy in comprehension and in generation",
    "synergy in comprehension, generation and language",
)
"""What it means to have reached a level, by its number."""


def banner(result: RunResult) -> str:
    """What a reader has to know before anything else, empty for nothing."""
    return DEMONSTRATION if result.suite.name == "starter" else ""


def model_name(result: RunResult) -> str:
    """The model's name: its card's, or what the target calls it."""
    return result.card.name or result.target.rpartition("/")[2]


def headline(level: LevelResult, result: RunResult) -> str:
    """The level with everything it depends on, as in "Level 3 on starter@1a2b, edition 2025"."""
    reached = f"Level {level.level}" if level.level else "No level"
    return f"{reached} on {level.scope}, edition {level.edition}"


def editions(result: RunResult) -> tuple[str, ...]:
    """The editions of the result, in its order."""
    return tuple(level.edition for level in result.levels)


def number(value: float | None) -> str:
    """A number with about three significant digits; a dash where there is none."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not finite"
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    decimals = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value + 0.0:,.{decimals}f}"


def sigma(value: float | None) -> str:
    """A value of 0 to 100; a dash where there is none."""
    return "–" if value is None else f"{value:.1f}"


def lift(task: TaskResult, edition: str) -> float | None:
    """The share of the way from chance to a perfect score, in sigma; negative below chance, None without a score."""
    if task.score is None:
        return None
    chance = to_sigma(task.task.metric, task.task.chance, edition)
    return (task.sigmas[edition] - chance) / (100 - chance) if chance < 100 else None


def percent(share: float | None) -> str:
    """A share as whole percents; a dash where there is none."""
    return "–" if share is None else f"{round(100 * share)} %"


def unit(task: TaskResult) -> str:
    """The metric's unit where a reader needs it; a fraction says so itself."""
    return "" if task.unit == "fraction" else task.unit


def score(task: TaskResult) -> str:
    """The task's score with its unit; a dash where there is none."""
    return number(task.score) if task.score is None else f"{number(task.score)} {unit(task)}".rstrip()


def count(amount: int, one: str, many: str = "") -> str:
    """As in "1 task" and "3 tasks"."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


@dataclass(frozen=True, slots=True)
class Mark:
    """How a task stands against its sota: one word, and a sentence that explains it."""

    word: str
    meaning: str
    symbol: str = ""


def mark(task: TaskResult) -> Mark:
    """How the task stands."""
    if not task.supported:
        return Mark("unsupported", "the model's card does not list what this task needs")
    if task.not_computed:
        return Mark("not computed", task.not_computed)
    if task.score is None:
        return Mark("incomplete", "some samples have no answer yet; the task is out of every level until resumed", "…")
    if task.sota is None:
        return Mark("no sota", "nothing to compare with, so it cannot be won")
    return _against_sota(task, task.score, task.sota.score)


def _against_sota(task: TaskResult, score: float, sota: float) -> Mark:
    if score == sota:
        return Mark("tie", "the same score as the sota", "=")
    if not task.won:
        return Mark("below", "below the sota", "↓")
    published = task.sota is not None and task.sota.n is None
    return Mark("won", "above the published figure" if published else "above the sota's reference run", "✓")


def asked(task: TaskResult) -> int:
    """How many samples came to an end."""
    return sum(n for state, n in task.counts.items() if state is not State.UNAVAILABLE)


def states(task: TaskResult) -> tuple[tuple[str, int], ...]:
    """The states that occurred with their counts, and what was not asked yet."""
    occurred = [(state.value, task.counts[state]) for state in State if task.counts.get(state)]
    rest = task.sample_count - sum(n for _, n in occurred)
    return tuple([*occurred, ("not asked", rest)] if rest > 0 else occurred)


def tasks_won(result: RunResult) -> int:
    """How many tasks reach their sota."""
    return sum(task.won for task in result.tasks)


def shortfall(result: RunResult) -> str:
    """One sentence on what is missing, empty when nothing is."""
    open_tasks = [task for task in result.tasks if not task.complete]
    if not open_tasks:
        return ""
    missing = sum(task.sample_count - asked(task) for task in open_tasks)
    return (
        f"Incomplete: {count(len(open_tasks), 'task')} of {len(result.tasks)} "
        f"without {count(missing, 'sample')}; out of every level until the run is resumed."
    )
