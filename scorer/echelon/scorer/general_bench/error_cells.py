"""Finds the cells of an Excel workbook that hold an error such as #DIV/0!, which python-calamine reads as empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class ErrorCell(NamedTuple):
    """Where an error stands, counted from 0, and how it reads."""

    sheet: str
    row: int
    column: int
    text: str


def error_cells(path: Path) -> tuple[ErrorCell, ...]:
    """Every error in a workbook that calamine was able to read."""
    with ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/sheet")}
        with_errors = {name: content for name, content in parts.items() if b't="e"' in content}
        if not with_errors:
            return ()
        names = _names(archive.read("xl/workbook.xml"), archive.read("xl/_rels/workbook.xml.rels"))
    return tuple(cell for part, content in with_errors.items() for cell in _errors(names.get(part, part), content))


def _names(workbook: bytes, relations: bytes) -> dict[str, str]:
    """The sheets' names by the parts that hold them."""
    from xml.etree import ElementTree as Xml

    targets = {each.get("Id"): each.get("Target", "") for each in Xml.fromstring(relations)}  # noqa: S314  (expat bounds it)
    return {
        f"xl/{targets.get(sheet.get(_ID), '').removeprefix('/xl/')}": sheet.get("name", "")
        for sheet in Xml.fromstring(workbook).iter(f"{_MAIN}sheet")  # noqa: S314  (expat bounds entities)
    }


def _errors(sheet: str, content: bytes) -> Iterator[ErrorCell]:
    from xml.etree import ElementTree as Xml

    for cell in Xml.fromstring(content).iter(f"{_MAIN}c"):  # noqa: S314  (expat bounds entities)
        if cell.get("t") == "e":
            place = cell.get("r", "")
            letters = place.rstrip("0123456789")
            yield ErrorCell(
                sheet, int(place[len(letters) :]) - 1, _column(letters), cell.findtext(f"{_MAIN}v", "error")
            )


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1
