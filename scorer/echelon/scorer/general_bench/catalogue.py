"""The tasks of General-Bench with their metrics and published sotas, as the benchmark spells them."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

from echelon.scorer.general_bench.measures import Measure, measure
from echelon.scorer.suites.suite import Modality, Paradigm

SHEETS: Mapping[str, tuple[Modality, Paradigm]] = MappingProxyType(
    {
        "NLP": (Modality.LANGUAGE, Paradigm.LANGUAGE),
        **{
            f"{written}-{paradigm.value.title()}": (modality, paradigm)
            for written, modality in (
                ("Image", Modality.IMAGE),
                ("Video", Modality.VIDEO),
                ("Audio", Modality.AUDIO),
                ("3D", Modality.THREE_D),
            )
            for paradigm in (Paradigm.COMPREHENSION, Paradigm.GENERATION)
        },
    }
)
"""The sheets of an official workbook."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One task; names and `metric` are spelled as in the official sheet, `sota` is in the sheet's unit.

    The official sheet has no skills for language; all its tasks have the skill "Language" here.
    """

    sheet: str
    skill: str
    no: str
    task: str
    short_name: str
    metric: str
    sota: float | None

    @property
    def modality(self) -> Modality:
        """The modality of the task's sheet."""
        return SHEETS[self.sheet][0]

    @property
    def paradigm(self) -> Paradigm:
        """The paradigm of the task's sheet."""
        return SHEETS[self.sheet][1]


class Aim(NamedTuple):
    """What the formulas need of a task besides its score; a workbook's value divided by `per` is the metric's own."""

    modality: Modality
    paradigm: Paradigm
    skill: str
    metric: str
    per: int
    higher_is_better: bool
    sota: float | None


@dataclass(frozen=True)
class Catalogue:
    """The tasks that a workbook is held against, in the order of their source."""

    name: str
    entries: tuple[Entry, ...]

    @cached_property
    def label(self) -> str:
        """The name and the beginning of the digest of all that can change a score."""
        digest = hashlib.sha256()
        for entry in sorted(repr((e.sheet, e.skill, plain(e.task), e.metric, e.sota)) for e in self.entries):
            digest.update(entry.encode())
        return f"{self.name}@{digest.hexdigest()[:4]}"

    @cached_property
    def aims(self) -> tuple[Aim, ...]:
        """The entries as the formulas need them."""
        return tuple(_aim(entry, measure(entry.metric)) for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Published:
    """A model's row in the paper's leaderboard of scope A at one level."""

    level: int
    model: str
    paradigms: str
    by_modality: tuple[float, ...]
    """Image, video, audio and 3D."""
    overall: float


@cache
def catalogue() -> Catalogue:
    """General-Bench as it was published in July 2025: 699 tasks in nine sheets."""
    return Catalogue(
        "General-Bench",
        tuple(
            Entry(sheet, skill, no, task, short_name, metric, float(sota))
            for sheet, skill, no, task, short_name, metric, sota in _rows("catalogue.csv")
        ),
    )


@cache
def leaderboard() -> tuple[Published, ...]:
    """The leaderboard of arXiv 2505.04620, tables 12, 14 and 16, typing errors included."""
    return tuple(
        Published(int(level), model, paradigms, tuple(map(float, scores)), float(overall))
        for level, model, paradigms, *scores, overall in _rows("leaderboard.csv")
    )


def _aim(entry: Entry, meant: Measure) -> Aim:
    return Aim(entry.modality, entry.paradigm, entry.skill, meant.name, meant.per, meant.higher_is_better, entry.sota)


def sheet_of(modality: Modality, paradigm: Paradigm) -> str | None:
    """The sheet of a modality and paradigm; None where there is none."""
    return next((sheet for sheet, found in SHEETS.items() if found == (modality, paradigm)), None)


def plain(name: str) -> str:
    """A task's name but for case, width and spaces."""
    folded = name.casefold()
    return " ".join((folded if folded.isascii() else unicodedata.normalize("NFKC", folded)).split())


def _rows(name: str) -> list[list[str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.reader(io.StringIO(text, newline="")))[1:]
