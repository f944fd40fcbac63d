"""What a run took, as the page, the table and the JSON say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from echelon.scorer.outcomes import State
from echelon.scorer.results import RunResult
from echelon.scorer.usage import TotalUsage

NANO_USD, MICROSECONDS = 1e9, 1e6
"""In a dollar, and in a second."""


def money(nano_usd: float) -> str:
    """US dollars; below ten also hundredths of a cent."""
    usd = nano_usd / NANO_USD
    return f"${usd:,.2f}" if usd >= 10 else f"${usd:.4f}" if usd >= 0.0001 else "< $0.0001"


def duration(microseconds: float) -> str:
    """A time in the unit that suits it."""
    seconds = microseconds / MICROSECONDS
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h {minutes % 60} min"


def _number(amount: float) -> str:
    return f"{amount:,.0f}"


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of what calls took; zero is what nobody told."""

    name: str
    amount: Callable[[TotalUsage], int]
    words: Callable[[float], str]
    per_call: bool = False

    @property
    def is_time(self) -> bool:
        """Whether two runs of one model differ in it."""
        return self.words is duration

    def said(self, total: TotalUsage) -> str:
        """The figure; a dash where there is none."""
        amount = self.amount(total)
        return self.words(amount / total.calls if self.per_call else amount) if amount else "–"


COLUMNS = (
    Column("calls", attrgetter("calls"), _number),
    Column("tokens in", attrgetter("usage.input_token_count"), _number),
    Column("tokens out", attrgetter("usage.output_token_count"), _number),
    Column("cost", attrgetter("usage.cost_nano_usd"), money),
    Column("in the model", attrgetter("usage.compute_us"), duration),
    Column("a call", attrgetter("usage.compute_us"), duration, per_call=True),
    Column("waited", attrgetter("usage.queue_us"), duration, per_call=True),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What a task took, or with no task all of them."""

    task: str
    title: str
    cells: tuple[tuple[Column, str], ...]


def columns(total: TotalUsage) -> tuple[Column, ...]:
    """The figures of which anything is known."""
    return tuple(column for column in COLUMNS if column.amount(total))


def rows(result: RunResult) -> Iterator[Row]:
    """A row for each task of which anything is known, and one for all if they are several."""
    if result.total_usage is None:
        return
    shown = columns(result.total_usage)
    for task in result.tasks:
        if task.task.id in result.usage:
            yield Row(task.task.id, task.task.title, _cells(shown, result.usage[task.task.id]))
    if len(result.usage) > 1:
        yield Row("", "all tasks", _cells(shown, result.total_usage))


def _cells(shown: tuple[Column, ...], total: TotalUsage) -> tuple[tuple[Column, str], ...]:
    return tuple((column, column.said(total)) for column in shown)


def notes(result: RunResult) -> Iterator[str]:
    """What has to stand beside these figures, in sentences."""
    total = result.total_usage or TotalUsage()
    if total.usage.compute_us:
        yield "Calls that shared a batch count its whole time each."
    ended = sum(n for state, n in result.counts().items() if state not in (State.UNAVAILABLE, State.UNSUPPORTED))
    if total.samples < ended:
        yield f"Known of {total.samples:,} of {ended:,} samples."


def as_plain(total: TotalUsage | None) -> dict[str, Any] | None:
    """As JSON values; what nobody told is null. Times are in seconds."""
    if total is None:
        return None
    usage = total.usage
    return {
        "calls": total.calls,
        "samples": total.samples,
        "input_token_count": usage.input_token_count or None,
        "output_token_count": usage.output_token_count or None,
        "cost_usd": usage.cost_nano_usd / NANO_USD or None,
        "queue_s": usage.queue_us / MICROSECONDS or None,
        "compute_s": usage.compute_us / MICROSECONDS or None,
    }
