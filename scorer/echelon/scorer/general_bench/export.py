"""A result as a filled official workbook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from echelon.adapters.errors import ConfigurationError
from echelon.scorer.general_bench.catalogue import SHEETS, Entry, catalogue
from echelon.scorer.general_bench.mapping import task_id
from echelon.scorer.general_bench.measures import measure
from echelon.scorer.results import RunResult, TaskResult

_COLUMNS = ("No", "Task Name", "Task Short Name", "Metrics")
_UNSUPPORTED_ERROR = "\N{INFINITY}"


def write_workbook(path: Path, result: RunResult) -> None:
    """Write the official workbook with a column of this result's scores, in the units of the published sotas.

    A task that is missing, incomplete or not computed stays blank; one that is unsupported, or of which nothing was
    answered, is 0, or infinite where lower is better, as the official form wants it.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import XlsxWriterException

    scores = {task.task.id: task for task in result.tasks}
    try:
        # Text that looks like a formula or a link stays text.
        book = xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False})
        # The same result gives the same file.
        book.set_properties({"created": datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        for name in SHEETS:
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, [*_COLUMNS, result.card.name or "model"])
            for row, cells in enumerate(_rows(name, scores), start=1):
                sheet.write_row(row, 0, cells)
        book.close()
    except (OSError, XlsxWriterException) as error:
        raise ConfigurationError(f"cannot write the workbook to {path}: {error}") from error


def _rows(sheet: str, scores: Mapping[str, TaskResult]) -> Iterator[list[Any]]:
    for entry in catalogue().entries:
        if entry.sheet == sheet:
            number = int(entry.no) if entry.no.isdigit() else entry.no
            yield [number, entry.task, entry.short_name, entry.metric, _cell(entry, scores.get(task_id(entry)))]


def _cell(entry: Entry, task: TaskResult | None) -> float | str | None:
    told = measure(entry.metric)
    if task is None or not task.sample_count or task.not_computed:
        return None
    if not task.supported or (task.complete and task.nothing_answered):
        return 0.0 if told.higher_is_better else _UNSUPPORTED_ERROR
    if task.score is None:
        return None
    return task.score * 100 if told.per_cent else task.score
