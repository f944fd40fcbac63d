"""A judge that people are: reads from a file how they rated answers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import fsum, isfinite
from pathlib import Path
from typing import ClassVar

from echelon.adapters import Part
from echelon.adapters.errors import SettingsError
from echelon.scorer.recorded import Recorded

COLUMNS = ("sha256", "rating")


@dataclass(frozen=True, slots=True)
class RatingsFile:
    """A CSV file with the columns `sha256`, of the rated file or text, and `rating`; a line for each rater."""

    path: Path
    name: str = "ratings"


class Ratings(Recorded[list[float]]):
    """Marks an answer with the mean of its ratings; one that nobody rated leaves its task not computed."""

    settings_type: ClassVar = RatingsFile
    what = "rating"

    def judge(self, answer: Part, references: Sequence[Part]) -> float:
        """The mean of the answer's ratings."""
        ratings = self.found(answer)
        return fsum(ratings) / len(ratings)

    def parsed(self, data: bytes, path: Path) -> Mapping[str, list[float]]:
        try:
            lines = csv.DictReader(StringIO(data.decode("utf-8-sig")), strict=True)
            if lines.fieldnames is None or not {*COLUMNS} <= {*lines.fieldnames}:
                raise SettingsError(f"{path}: the columns {' and '.join(COLUMNS)} are wanted, not {lines.fieldnames}")
            ratings: dict[str, list[float]] = {}
            for line in lines:
                ratings.setdefault(line["sha256"].lower(), []).append(_rating(line["rating"], path, lines.line_num))
        except (UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"{path} is no CSV file in UTF-8: {error}") from error
        return ratings


def _rating(text: str | None, path: Path, line: int) -> float:
    try:
        rating = float(text or "")
    except ValueError:
        rating = float("nan")
    if not isfinite(rating):
        raise SettingsError(f"{path}, line {line}: the rating {text!r} is no number")
    return rating
