"""Holds a table of scores against a catalogue: rows are matched by sheet, task and metric, never by position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from echelon.adapters.settings import nearest
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.general_bench.catalogue import Catalogue, Entry, catalogue, plain
from echelon.scorer.general_bench.columns import Column, Value
from echelon.scorer.general_bench.findings import Finding, Rule
from echelon.scorer.general_bench.measures import alike, measure
from echelon.scorer.general_bench.workbooks import Book, Row, UnreadableFileError


@dataclass(frozen=True, slots=True)
class Submission:
    """One model's scores, in the order of the catalogue's entries and in the workbook's unit.

    None is a missing task, 0.0 an unsupported one.
    """

    model: str
    path: Path
    catalogue: Catalogue
    scores: tuple[float | None, ...]
    findings: tuple[Finding, ...]

    @property
    def supported(self) -> int:
        """How many tasks have a score."""
        return sum(1 for score in self.scores if score)


class _Place(NamedTuple):
    """A row that was matched with an entry, and how often its task occurs."""

    at: int
    sheet: str
    row: Row
    twins: tuple[Row, ...]


def submissions(book: Book, held_against: Catalogue, *, detect_fractions: bool = True) -> tuple[Submission, ...]:
    """Every model of a file; what could not be read stands in the findings, and the rest is read."""
    places, strangers = _match(book, held_against)
    missing = tuple(_missing(book, held_against, {place.at for place in places}))
    common = (*book.findings, *strangers, *missing)
    return tuple(
        _submission(book, held_against, places, common, model, detect_fractions=detect_fractions)
        for model in book.models
    )


def stated_catalogue(book: Book, *, detect_fractions: bool = True) -> tuple[Catalogue, tuple[Finding, ...]]:
    """The tasks and sotas that a file states; a skill comes from the file, from General-Bench, or is the task itself.

    UnreadableFileError if it states none.
    """
    official = {(entry.sheet, plain(entry.task)): entry for entry in catalogue().entries}
    rows, findings = _stated_rows(book)
    # There is no sota beside a sota; 100 lets fractions be told from percent.
    values = [Value(sheet, row.number, row.task, measure(row.metric), 100.0, row.sota) for sheet, row in rows]
    column = Column(book.path.name, "", values, findings)
    column.understand(detect_fractions=detect_fractions)
    if not any(value.score for value in values):
        raise UnreadableFileError(f"{book.path} states no sota; give it a column 'SoTA Performance'")
    entries = [
        _entry(value, row, official.get((sheet, plain(row.task))))
        for value, (sheet, row) in zip(values, rows, strict=True)
    ]
    is_official = {(entry.sheet, plain(entry.task)) for entry in entries} == set(official)
    kept = tuple(finding for finding in column.findings if finding.rule is not Rule.MAYBE_FRACTION)
    return Catalogue("General-Bench" if is_official else book.path.stem, tuple(entries)), kept


def _stated_rows(book: Book) -> tuple[list[tuple[str, Row]], list[Finding]]:
    """The rows of tasks with a known metric, each task once, and what is said of the others."""
    rows: dict[tuple[str, str, str], tuple[str, Row]] = {}
    findings = [*book.findings]
    for sheet in book.sheets:
        for row in sheet.rows:
            place = book.path.name, sheet.name, (row.number,)
            try:
                name = measure(row.metric).name
            except UnknownNameError as error:
                findings.append(Finding(Rule.UNKNOWN_METRIC, f"{row.task}: {error}; the task is left out", *place))
                continue
            if rows.setdefault((sheet.name, plain(row.task), name), (sheet.name, row))[1] is not row:
                findings.append(Finding(Rule.DUPLICATE, f"{row.task}: stated before; this row is left out", *place))
    return list(rows.values()), findings


def _entry(value: Value, row: Row, known: Entry | None) -> Entry:
    return Entry(
        sheet=value.sheet,
        skill=row.skill or (known.skill if known else row.task),
        no=known.no if known else "",
        task=row.task,
        short_name=known.short_name if known else "",
        metric=row.metric,
        sota=value.score or None,
    )


def _match(book: Book, held_against: Catalogue) -> tuple[list[_Place], list[Finding]]:
    """The rows that belong to entries, in the entries' order, and the rows that belong to none."""
    index: dict[tuple[str, str], list[int]] = {}
    for number, entry in enumerate(held_against.entries):
        index.setdefault((entry.sheet, plain(entry.task)), []).append(number)
    found: dict[int, list[tuple[str, Row]]] = {}
    findings: list[Finding] = []
    for sheet in book.sheets:
        for row in sheet.rows:
            candidates = index.get((sheet.name, plain(row.task)), [])
            at = next((each for each in candidates if alike(row.metric, held_against.entries[each].metric)), None)
            if at is None:
                rule, reason = _stranger(sheet.name, row, held_against, candidates)
                message = f"{row.task or '(no task)'}: {reason}: not read"
                findings.append(Finding(rule, message, book.path.name, sheet.name, (row.number,)))
            else:
                found.setdefault(at, []).append((sheet.name, row))
    places = [_Place(at, *rows[0], tuple(row for _, row in rows[1:])) for at, rows in sorted(found.items())]
    return places, findings


def _stranger(sheet: str, row: Row, held_against: Catalogue, candidates: Sequence[int]) -> tuple[Rule, str]:
    """Why a row belongs to no entry."""
    if not candidates:
        names = [entry.task for entry in held_against.entries if entry.sheet == sheet]
        return Rule.NO_TASK, f"{held_against.name} has no such task on this sheet{nearest(row.task, names)}"
    wanted = " or ".join(repr(held_against.entries[at].metric) for at in candidates)
    try:
        measure(row.metric)
    except UnknownNameError as error:
        return Rule.UNKNOWN_METRIC, f"{error}; {wanted} is wanted"
    return Rule.OTHER_METRIC, f"{row.metric!r} where {wanted} is wanted"


def _missing(book: Book, held_against: Catalogue, found: set[int]) -> Iterable[Finding]:
    """The entries without a row, one finding a sheet."""
    absent: dict[str, list[str]] = {}
    for at, entry in enumerate(held_against.entries):
        if at not in found:
            absent.setdefault(entry.sheet, []).append(entry.task)
    for sheet, tasks in absent.items():
        named = ", ".join(tasks[:3]) + (", ..." if len(tasks) > 3 else "")
        message = f"{len(tasks)} tasks have no row and count 0: {named}"
        yield Finding(Rule.MISSING, message, book.path.name, sheet)


def _submission(
    book: Book,
    held_against: Catalogue,
    places: Sequence[_Place],
    findings: Iterable[Finding],
    model: str,
    *,
    detect_fractions: bool,
) -> Submission:
    column = Column(book.path.name, model, [], [*findings])
    values: dict[int, Value] = {}
    for at, sheet, row, twins in places:
        if twins and not _agree(column, sheet, (row, *twins)):
            continue
        entry = held_against.entries[at]
        cell = row.cells.get(model, "")
        values[at] = Value(sheet, row.number, row.task, measure(entry.metric), entry.sota, cell)
    column.values = tuple(values.values())
    column.understand(detect_fractions=detect_fractions)
    scores = (values[at].score if at in values else None for at in range(len(held_against.entries)))
    return Submission(model, book.path, held_against, tuple(scores), tuple(column.findings))


def _agree(column: Column, sheet: str, rows: Sequence[Row]) -> bool:
    """Whether all rows of one task say the same; either way it is reported."""
    same = len({str(row.cells.get(column.model, "")) for row in rows}) == 1
    message = f"{rows[0].task}: {len(rows)} rows " + ("agree, read once" if same else "disagree, so none is read")
    numbers = tuple(row.number for row in rows)
    column.findings.append(Finding(Rule.DUPLICATE, message, column.file, sheet, numbers, column.model))
    return same
