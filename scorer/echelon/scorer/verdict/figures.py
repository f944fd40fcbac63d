"""The three figures of a level: what was measured, what is certain, and what cannot be ruled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from echelon.scorer.sigmas import Edition
from echelon.scorer.verdict.task import Against


@dataclass(frozen=True, slots=True)
class Figure:
    """A level and its scores, S2 to S5 in 0-100."""

    level: int
    s2: float
    s3: float
    s4: float
    s5: float


@dataclass(frozen=True, slots=True)
class LevelVerdict:
    """A level in one edition, three times.

    `paper` takes the scores as they came; `certified` and `possible` are a lower and an upper confidence bound: all
    that they claim, with the words of the tasks, is wrong with probability `alpha` at most. `p` has, by level, the p
    value of "this level is not reached" and `parts` what it has to be at most; a level is certified where that holds
    for it and all lower ones.
    """

    edition: Edition
    alpha: float
    paper: Figure
    certified: Figure
    possible: Figure
    p: Mapping[int, float]
    parts: Mapping[int, float]
    basis: Against | None = None
    """The least certain kind of sota among the won tasks that the certified level rests on; None below level 3."""
    notes: tuple[str, ...] = ()
