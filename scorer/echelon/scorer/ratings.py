"""A judge that people are: reads from a file how they rated answers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from math import fsum, isfinite
from pathlib import Path
from typing import ClassVar

from echelon.adapters import Audio, Image, InvalidInputError, Part, Text, Video
from echelon.adapters.errors import SettingsError
from echelon.scorer.errors import NotComputedError

COLUMNS = ("sha256", "rating")


@dataclass(frozen=True, slots=True)
class RatingsFile:
    """A CSV file with the columns `sha256`, of the rated file or text, and `rating`; a line for each rater."""

    path: Path
    name: str = "ratings"


class Ratings:
    """Marks an answer with the mean of its ratings; one that nobody rated leaves its task not computed."""

    settings_type: ClassVar = RatingsFile

    def __init__(self, settings: RatingsFile) -> None:
        try:
            data = settings.path.read_bytes()
        except OSError as error:
            raise SettingsError(f"cannot read {settings.path}: {error.strerror}") from error
        self.name, self.digest = settings.name, sha256(data).hexdigest()
        self._ratings = _read(data, settings.path)

    def judge(self, answer: Part, references: Sequence[Part]) -> float:
        """The mean of the answer's ratings."""
        digest = sha256(_content(answer)).hexdigest()
        if digest not in self._ratings:
            raise NotComputedError(f"{self.name} has no rating of the {answer.kind} with SHA-256 {digest}")
        return fsum(self._ratings[digest]) / len(self._ratings[digest])


def _read(data: bytes, path: Path) -> dict[str, list[float]]:
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


def _content(part: Part) -> bytes:
    if isinstance(part, Text):
        return part.value.encode()
    if isinstance(part, Audio | Image | Video) and part.data:
        return part.data
    raise InvalidInputError(f"only text and encoded media are rated, this is {part.kind}")
