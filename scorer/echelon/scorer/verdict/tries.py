"""Repeated tries at a closed set, which would win by luck in the end if each had the whole of alpha."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from echelon.scorer.verdict.budget import ALPHA

if TYPE_CHECKING:
    from echelon.scorer.store import RunRecord


def attempt(record: RunRecord, known: Iterable[RunRecord]) -> int:
    """Which try of its model at its suite a run is, counted from 1; a model is told by its name."""
    same = {each.run: each for each in known if _subject(each) == _subject(record)}
    created = same.pop(record.run, record).created
    return 1 + sum(each.created < created for each in same.values())


def alpha_of(record: RunRecord) -> float:
    """What a run may spend: half of alpha at the first try, half of the rest at the next, and so on.

    All tries together stay within alpha, however many there are. An open suite knows no tries.
    """
    tries = record.suite.get("attempt")
    return ALPHA if tries is None else float(ALPHA / 2**tries)


def _subject(record: RunRecord) -> tuple[str, str]:
    return record.suite["digest"], record.card.name or record.target.rpartition("/")[2]
