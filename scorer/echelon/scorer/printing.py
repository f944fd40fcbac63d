"""Text on a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """The text on one line, without anything that could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows as a table whose columns are as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
