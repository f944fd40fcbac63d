"""Reads tables of scores, official workbooks first of all, cell by cell and without judging any value."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from echelon.adapters.errors import ConfigurationError
from echelon.adapters.settings import nearest
from echelon.scorer.general_bench.catalogue import SHEETS, sheet_of
from echelon.scorer.general_bench.error_cells import error_cells
from echelon.scorer.general_bench.findings import Finding, Rule
from echelon.scorer.suites.suite import Modality, Paradigm

Cell: TypeAlias = object
"""What stands in a cell: a number, a text, a truth value, a date; an empty text where nothing does."""

SUMMARY_SHEET = "level-scores"
"""A sheet that the official scripts write, and skip."""

_FIELDS = {
    "sheet": "sheet",
    "modality": "modality",
    "paradigm": "paradigm",
    "skill": "skill",
    "no": "no",
    "task": "task",
    "task name": "task",
    "short name": "short_name",
    "task short name": "short_name",
    "metric": "metric",
    "metrics": "metric",
    "sota": "sota",
    "sota performance": "sota",
}
"""What a column's head means, in lower case; every other head is a model's name."""


class UnreadableFileError(ConfigurationError):
    """A file of which nothing can be read; the text names file and fix."""

    reason = "FILE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Row:
    """One task's row; `number` is the one a spreadsheet shows, `cells` are by model."""

    number: int
    task: str
    metric: str
    skill: str
    sota: Cell
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one modality and paradigm, in the order of the file."""

    name: str
    models: tuple[str, ...]
    has_sota: bool
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """A file's sheets, and what in it could not be understood."""

    path: Path
    sheets: tuple[Sheet, ...]
    findings: tuple[Finding, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that has a column, in order."""
        return tuple(dict.fromkeys(model for sheet in self.sheets for model in sheet.models))

    @property
    def has_sota(self) -> bool:
        """Whether the file says what the specialists reach."""
        return any(sheet.has_sota for sheet in self.sheets)


def read(path: Path) -> Book:
    """The tables of an .xlsx, .csv or .json file; UnreadableFileError where there is none in it."""
    reader = _READERS.get(path.suffix.casefold())
    if reader is None:
        raise UnreadableFileError(f"{path}: a table of scores is one of {', '.join(_READERS)}")
    try:
        book = reader(path)
    except OSError as error:
        raise UnreadableFileError(f"cannot read {path}: {error.strerror or error}") from error
    if not any(sheet.rows for sheet in book.sheets):
        reasons = "; ".join(finding.message for finding in book.findings)
        raise UnreadableFileError(f"{path} has no row of scores" + (f": {reasons}" if reasons else ""))
    return book


def _excel(path: Path) -> Book:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as book:
            tables: dict[str, list[list[Cell]]] = {
                name: [[*row] for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
                for name in book.sheet_names
            }
    except CalamineError as error:
        raise UnreadableFileError(f"{path} is no Excel workbook: {error}") from error
    for cell in error_cells(path):
        tables[cell.sheet][cell.row][cell.column] = cell.text
    sheets, findings = [], []
    for written, table in tables.items():
        name = official_sheet(written)
        if name is None:
            findings.append(_strange_sheet(path, written))
            continue
        sheet, found = _sheet(path, name, table)
        findings += found
        if sheet is not None:
            sheets.append(sheet)
    return Book(path, tuple(sheets), tuple(findings))


def official_sheet(name: str) -> str | None:
    """The sheet that a name means, whatever its case; None for none."""
    return next((sheet for sheet in SHEETS if sheet.casefold() == name.strip().casefold()), None)


def _strange_sheet(path: Path, name: str) -> Finding:
    if name.casefold() == SUMMARY_SHEET:
        return Finding(Rule.NO_SHEET, "a summary of the official scripts: computed anew, not read", path.name, name)
    return Finding(Rule.NO_SHEET, f"no sheet of General-Bench{nearest(name, SHEETS)}: not read", path.name, name)


def _sheet(path: Path, name: str, table: Sequence[Sequence[Cell]]) -> tuple[Sheet | None, list[Finding]]:
    """The sheet below its head, the first row that names a task column."""
    start = next((at for at, row in enumerate(table) if "task" in map(_field, row)), None)
    if start is None or "metric" not in map(_field, table[start]):
        missing = "'Task Name'" if start is None else "'Metrics'"
        return None, [Finding(Rule.NO_COLUMN, f"no column {missing}: the sheet is not read", path.name, name)]
    head = [_field(cell) for cell in table[start]]
    models = [_text(cell) if field is None else "" for cell, field in zip(table[start], head, strict=True)]
    findings = [*_strange_columns(path, name, table[start + 1 :], head, models)]
    rows: list[Row] = []
    for number, cells in enumerate(table[start + 1 :], start + 2):
        if not any(map(_text, cells)):
            continue
        named = {field: cell for field, cell in zip(head, cells, strict=True) if field}
        scores = {model: cell for model, cell in zip(models, cells, strict=True) if model}
        rows.append(_row(number, named, scores))
    return Sheet(name, tuple(dict.fromkeys(filter(None, models))), "sota" in head, tuple(rows)), findings


def _strange_columns(
    path: Path, sheet: str, rows: Sequence[Sequence[Cell]], head: Sequence[str | None], models: Sequence[str]
) -> Iterator[Finding]:
    """Columns that hold something but have no name of their own."""
    for at, (field, model) in enumerate(zip(head, models, strict=True)):
        if not field and not model and any(_text(row[at]) for row in rows):
            yield Finding(Rule.NO_COLUMN, f"column {at + 1} has no head: not read", path.name, sheet)
        if model and model in models[:at]:
            yield Finding(
                Rule.DUPLICATE, f"column {at + 1} is a second {model!r}: it is the one read", path.name, sheet
            )


def _row(number: int, named: Mapping[str, Cell], scores: Mapping[str, Cell]) -> Row:
    return Row(
        number=number,
        task=_text(named.get("task", "")),
        metric=_text(named.get("metric", "")),
        skill=_text(named.get("skill", "")),
        sota=named.get("sota", ""),
        cells=scores,
    )


def _field(head: Cell) -> str | None:
    return _FIELDS.get(" ".join(_text(head).casefold().split()))


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).strip()


def _comma_separated(path: Path) -> Book:
    """A row names its sheet, or its modality and paradigm."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"{path} is no CSV file in UTF-8: {error}") from error
    head = [_field(cell) for cell in table[0]] if table else []
    if missing := {"task", "metric"} - set(head):
        raise UnreadableFileError(f"{path} has no column {' or '.join(map(repr, sorted(missing)))} in its first row")
    models = [cell.strip() if field is None else "" for cell, field in zip(table[0], head, strict=True)]
    findings: list[Finding] = []
    rows: list[tuple[str, str, Row]] = []
    for number, cells in enumerate(table[1:], 2):
        if not any(map(_text, cells)):
            continue
        if len(cells) != len(head):
            reason = f"{len(cells)} fields where the head has {len(head)}: not read"
            findings.append(Finding(Rule.NO_COLUMN, reason, path.name, rows=(number,)))
            continue
        named = {field: cell for field, cell in zip(head, cells, strict=True) if field}
        scores = {model: cell for model, cell in zip(models, cells, strict=True) if model}
        rows.append((*_place(named), _row(number, named, scores)))
    findings += _strange_columns(path, "", [cells for cells in table[1:] if len(cells) == len(head)], head, models)
    return _grouped(path, rows, tuple(dict.fromkeys(filter(None, models))), "sota" in head, findings)


def _place(named: Mapping[str, Cell]) -> tuple[str, str]:
    """The sheet that a row belongs to, or an empty text; and how the row wrote it."""
    if written := _text(named.get("sheet", "")):
        return official_sheet(written) or "", written
    modality, paradigm = (_text(named.get(field, "")).casefold() for field in ("modality", "paradigm"))
    if Paradigm.LANGUAGE in (modality, paradigm) or "nlp" in (modality, paradigm):
        return "NLP", "NLP"
    if modality in set(Modality) and paradigm in set(Paradigm):
        return sheet_of(Modality(modality), Paradigm(paradigm)) or "", f"{modality} {paradigm}"
    return "", f"{modality} {paradigm}".strip() or "(none)"


def _grouped(
    path: Path,
    rows: Iterable[tuple[str, str, Row]],
    models: tuple[str, ...],
    has_sota: bool,
    findings: Sequence[Finding],
) -> Book:
    by_sheet: dict[str, list[Row]] = {}
    strange: list[Finding] = []
    for sheet, written, row in rows:
        if sheet:
            by_sheet.setdefault(sheet, []).append(row)
        else:
            reason = f"no sheet of General-Bench{nearest(written, SHEETS)}: not read"
            strange.append(Finding(Rule.NO_SHEET, reason, path.name, written, (row.number,)))
    sheets = (Sheet(name, models, has_sota, tuple(by_sheet[name])) for name in SHEETS if name in by_sheet)
    return Book(path, tuple(sheets), (*findings, *strange))


def _json(path: Path) -> Book:
    """`{"models": [...], "tasks": [{"sheet", "task", "metric", "skill", "sota", "scores": [...]}]}`.

    The table of 2024 as its site has it is understood as well: `cls` for the paradigm, `ds` for the dataset; all its
    tasks are about images or language.
    """
    try:
        document: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise UnreadableFileError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in ("models", "tasks")):
        raise UnreadableFileError(f'{path} has to be an object with the lists "models" and "tasks"')
    models = tuple(map(str, document["models"]))
    if len(set(models)) < len(models):
        raise UnreadableFileError(f"{path} names a model twice; every one needs a name of its own")
    rows: list[tuple[str, str, Row]] = []
    findings: list[Finding] = []
    for number, task in enumerate(document["tasks"], 1):
        scores = task.get("scores") if isinstance(task, dict) else None
        if not isinstance(scores, list) or len(scores) != len(models):
            reason = f'an object with "scores" for the {len(models)} models is needed: not read'
            findings.append(Finding(Rule.NO_COLUMN, reason, path.name, rows=(number,)))
            continue
        named = _of_the_tutorial(task) if "cls" in task else task
        rows.append((*_place(named), _row(number, named, dict(zip(models, scores, strict=True)))))
    has_sota = any(isinstance(task, dict) and "sota" in task for task in document["tasks"])
    return _grouped(path, rows, models, has_sota, findings)


def _of_the_tutorial(task: Mapping[str, Any]) -> dict[str, Cell]:
    paradigm = task["cls"][0] if isinstance(task["cls"], list) and task["cls"] else task["cls"]
    name = str(task.get("task", ""))
    return {
        **task,
        "modality": Modality.IMAGE.value,
        "paradigm": paradigm,
        "skill": name,
        "task": f"{name} ({task['ds']})" if "ds" in task else name,
    }


_READERS: Mapping[str, Callable[[Path], Book]] = {".xlsx": _excel, ".csv": _comma_separated, ".json": _json}
