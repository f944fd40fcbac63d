"""How the page, the table and the JSON say the same thing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from echelon.scorer.outcomes import State
from echelon.scorer.results import LevelResult, RunResult, TaskResult
from echelon.scorer.sigmas import sigma as to_sigma
from echelon.scorer.verdict.family import LeadVerdict, TaskState
from echelon.scorer.verdict.figures import Figure, LevelVerdict
from echelon.scorer.verdict.task import Against

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


def untied(store_version: int) -> str:
    """What a store of an older version cannot promise."""
    return f"written by store version {store_version}: rows not tied together, so not all damage would be found"


def caveats(result: RunResult) -> list[str]:
    """A sentence for each run below the result that an older store wrote, and for a card that its probes contradict."""
    older = [f"run {run[:12]} was {untied(version)}" for run, version in result.untied.items()]
    found = result.stability
    contradicted = found is not None and found.repeated < found.compared and result.card.deterministic
    return [*older, *(["the card says deterministic, and the probes contradict it"] if contradicted else [])]


def headline(level: LevelResult, verdict: LevelVerdict) -> str:
    """What is certified, with everything it depends on, as in "Level 3 certified on starter@1a2b, edition 2025"."""
    reached = f"Level {verdict.certified.level}" if verdict.certified.level else "No level"
    return f"{reached} certified on {level.scope}, edition {level.edition}"


def doubts(level: LevelResult, verdict: LevelVerdict) -> str:
    """The other two figures, as in "paper: level 4, possible: level 5"."""
    paper, possible = (f"level {figure}" if figure else "none" for figure in (level.level, verdict.possible.level))
    return f"paper: {paper}, possible: {possible}"


def figures(level: LevelResult, verdict: LevelVerdict) -> tuple[tuple[str, Figure], ...]:
    """The three figures of a level with their names, the strictest first."""
    paper = Figure(level.level, level.s2, level.s3, level.s4, level.s5)
    return ("certified", verdict.certified), ("paper", paper), ("possible", verdict.possible)


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
    """The share of the way from chance to a perfect score, in sigma; negative below chance, None without either."""
    if task.score is None or task.chance.score is None:
        return None
    chance = to_sigma(task.task.metric, task.chance.score, edition)
    return (task.sigmas[edition] - chance) / (100 - chance) if chance < 100 else None


def chance(task: TaskResult) -> str:
    """How the task's chance came about, in a sentence."""
    known = task.chance
    if known.score is None:
        return f"unknown: {known.reason}"
    basis = "as the suite declares it" if known.score != known.measured else "the best blind answer on all samples"
    told = f": {', then '.join(known.candidates)}" if known.candidates and known.score == known.measured else ""
    return f"{basis} ({known.rule}){told}"


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
    if task.nothing_answered:
        return Mark("unanswered", "not one sample has an answer that can be read; the task counts as missing")
    if task.verdict is None or task.verdict.sota is None:
        return Mark("no sota", "nothing to compare with, so it cannot be won")
    return _STATES[task.verdict.sota.state](task.verdict.sota, task.verdict.obstacle)


def _won(verdict: LeadVerdict, _: str) -> Mark:
    meaning = "significantly above its sota and above chance, also among all tasks of the run"
    if verdict.against is Against.CONSTANT:
        meaning += "; the published figure is taken to have been measured on as many samples"
    return Mark("won", meaning, "✓")


def _undecided(_: LeadVerdict, obstacle: str) -> Mark:
    return Mark("undecided", obstacle or "neither significantly above nor below the sota", "?")


_STATES: Mapping[TaskState, Callable[[LeadVerdict, str], Mark]] = {
    TaskState.WON: _won,
    TaskState.TIE: lambda *_: Mark("tie", "no sample tells the model from the reference run", "="),
    TaskState.LIKELY: lambda *_: Mark(
        "likely", "significantly above the sota by itself (5 %), but not among all tasks of the run", "↑"
    ),
    TaskState.UNDECIDED: _undecided,
    TaskState.BELOW: lambda *_: Mark("below", "significantly below the sota, also among all tasks of the run", "↓"),
}


_BASES: Mapping[Against, str] = {
    Against.PAIRS: "against a reference run on the same samples",
    Against.STANDARD_ERROR: "against published figures with their standard errors",
    Against.SAMPLES: "against published figures of known sample size",
    Against.CONSTANT: "against bare published figures, each taken to have been measured on as many samples",
}


def basis(verdict: LevelVerdict) -> str:
    """Name the least certain sotas that the certified level rests on, empty where it rests on chance alone."""
    return "" if verdict.basis is None else _BASES[verdict.basis]


def lead(verdict: LeadVerdict) -> str:
    """The lead over the sota with its two 95 % bounds, as in "+0.080 (+0.012 to +0.213)"."""
    low, high = (("…" if end is None else signed(end)) for end in (verdict.lead.lower, verdict.lead.upper))
    return f"{signed(verdict.lead.value)} ({low} to {high})"


def p(value: float) -> str:
    """A p value."""
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"


def signed(value: float) -> str:
    """A number with its sign."""
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def deciding(verdict: LeadVerdict) -> str:
    """How many samples would decide, empty where that is no question."""
    if verdict.state not in (TaskState.LIKELY, TaskState.UNDECIDED):
        return ""
    return "not on this suite" if verdict.needed_n is None else f"needs about {verdict.needed_n:,} samples"


def asked(task: TaskResult) -> int:
    """How many samples came to an end."""
    return sum(n for state, n in task.counts.items() if state is not State.UNAVAILABLE)


def states(task: TaskResult) -> tuple[tuple[str, int], ...]:
    """The states that occurred with their counts, and what was not asked yet."""
    occurred = [(state.value, task.counts[state]) for state in State if task.counts.get(state)]
    rest = task.sample_count - sum(n for _, n in occurred)
    return tuple([*occurred, ("not asked", rest)] if rest > 0 else occurred)


def tasks_at_sota(result: RunResult) -> int:
    """How many tasks reach their sota by the paper's gate."""
    return sum(task.won for task in result.tasks)


def task_states(result: RunResult) -> tuple[tuple[str, int], ...]:
    """How many tasks stand how against their sota, by state; those that occur."""
    found = [task.verdict.sota.state for task in result.tasks if task.verdict is not None and task.verdict.sota]
    return tuple((state.value, found.count(state)) for state in TaskState if state in found)


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
