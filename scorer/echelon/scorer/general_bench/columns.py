"""Makes sense of one column of scores: which cells are numbers, in what unit, and which are possible at all.

* An empty cell is a missing task; 0, and ∞ where lower is better, an unsupported one.
* Values of percent metrics that are fractions are taken times 100: where a sheet, or one metric in it, has at least
  three values, none above 1, while most of their sotas are. A lone value of that kind is reported and read as it is.
* What is no number, or no value that the metric can have, is reported and counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf, isnan

from echelon.scorer.general_bench.findings import Finding, Rule
from echelon.scorer.general_bench.measures import Measure
from echelon.scorer.general_bench.workbooks import Cell

INFINITE = ("∞", "+∞", "inf", "+inf", "infinity")
FEWEST_FRACTIONS = 3


@dataclass(slots=True)
class Value:
    """One cell: where it stands, what it is measured in, and the sota beside it."""

    sheet: str
    row: int
    task: str
    measure: Measure
    sota: float | None
    cell: Cell
    score: float | None = None
    """In the workbook's unit; None is missing, 0.0 unsupported."""


@dataclass
class Column:
    """One model's cells, whose scores `understand` fills in."""

    file: str
    model: str
    values: Sequence[Value]
    findings: list[Finding] = field(default_factory=list)

    def understand(self, *, detect_fractions: bool) -> None:
        """Read all cells; what is odd about them is added to the findings."""
        for value in self.values:
            value.score, remark = number(value.cell, value.measure)
            if remark:
                self._report(Rule.NOT_A_NUMBER if value.score is None else Rule.ZERO, value, remark)
        if detect_fractions:
            self._convert_fractions()
        for value in self.values:
            if value.score and not value.measure.lowest <= value.score <= value.measure.highest:
                self._report(Rule.IMPOSSIBLE, value, f"{value.score:g} is impossible: {_range(value.measure)}")
                value.score = None

    def _convert_fractions(self) -> None:
        percentages = [value for value in self.values if value.score and value.measure.per_cent]
        for group in _groups(percentages, lambda value: value.sheet):
            self._convert(group, "every percent metric")
        for group in _groups(percentages, lambda value: (value.sheet, value.measure.name)):
            self._convert(group, group[0].measure.name)
        for value in percentages:
            if _is_suspect(value):
                self._report(
                    Rule.MAYBE_FRACTION, value, f"{value.score:g} beside a sota of {value.sota:g} is read as percent"
                )

    def _convert(self, group: Sequence[Value], what: str) -> None:
        suspects = sum(map(_is_suspect, group))
        if len(group) < FEWEST_FRACTIONS or 2 * suspects <= len(group) or any((v.score or 0) > 1 for v in group):
            return
        for value in group:
            value.score = 100 * (value.score or 0.0)
        reason = f"the values of {what} lie in 0 to 1, their sotas do not: taken for fractions, times 100"
        rows = tuple(value.row for value in group)
        self.findings.append(Finding(Rule.FRACTIONS, reason, self.file, group[0].sheet, rows, self.model))

    def _report(self, rule: Rule, value: Value, remark: str) -> None:
        self.findings.append(Finding(rule, f"{value.task}: {remark}", self.file, value.sheet, (value.row,), self.model))


def number(cell: Cell, meant: Measure) -> tuple[float | None, str]:
    """The score that a cell holds, None for none, and a remark where it is odd."""
    if cell is None or cell == "":
        return None, ""
    if isinstance(cell, str) and cell.strip().casefold() in INFINITE:
        return _infinite(meant)
    if not isinstance(cell, (int, float, str)) or isinstance(cell, bool):
        return None, f"{cell} is no number: counts as missing"
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        value = None
    if value is None or "_" in str(cell):  # which Python takes for a thousands separator
        return None, f"{cell!r} is no number; write it as in 98.5: counts as missing"
    if isnan(value):
        return None, "NaN is no score: counts as missing"
    if value == inf:
        return _infinite(meant)
    if value == 0 and not meant.higher_is_better:
        return 0.0, f"0 says unsupported, also for {meant.name}, where it could be perfect"
    return value, ""


def _infinite(meant: Measure) -> tuple[float | None, str]:
    if not meant.higher_is_better:
        return 0.0, ""
    return None, f"∞ says unsupported only where lower is better, not for {meant.name}: counts as missing"


def _is_suspect(value: Value) -> bool:
    """Whether a percent value looks like a fraction."""
    return 0 < (value.score or 0) <= 1 < (value.sota or 0)


def _groups(values: Iterable[Value], key: Callable[[Value], object]) -> Iterable[list[Value]]:
    groups: dict[object, list[Value]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups.values()


def _range(meant: Measure) -> str:
    unit = " %" if meant.per_cent else ""
    if meant.highest == inf:
        return f"{meant.name} is at least {meant.lowest:g}, so it counts as missing"
    return f"{meant.name} lies in {meant.lowest:g} to {meant.highest:g}{unit}, so it counts as missing"
