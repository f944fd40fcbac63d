"""What a reader has to be told about a file: nothing is dropped, zeroed or converted without one of these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """Why something is reported."""

    NO_SHEET = "unknown sheet"
    NO_COLUMN = "missing column"
    NO_TASK = "unknown task"
    UNKNOWN_METRIC = "unknown metric"
    OTHER_METRIC = "other metric"
    DUPLICATE = "duplicate"
    NOT_A_NUMBER = "not a number"
    IMPOSSIBLE = "impossible value"
    ZERO = "zero"
    FRACTIONS = "fractions"
    MAYBE_FRACTION = "maybe a fraction"
    MISSING = "missing task"
    NO_SOTA = "no sota"
    PAPER = "convention of the paper"
    ORDER = "scores out of order"
    OFFICIAL_FAULT = "fault of the official ranker"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know; `rows` are row numbers as a spreadsheet shows them, empty where it is about a whole sheet."""

    rule: Rule
    message: str
    file: str = ""
    sheet: str = ""
    rows: tuple[int, ...] = ()
    model: str = ""
