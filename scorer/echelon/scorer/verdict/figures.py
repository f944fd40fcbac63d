"""The three figures of a level: what was measured, what is certain, and what cannot be ruled out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from echelon.scorer.sigmas import Edition


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

    `paper` takes the scores as they came; `certified` claims nothing that is wrong with more than the run's alpha;
    `possible` is what nothing speaks against. `p` has, by level, the p value of "this level is not reached", and a
    level is certified where its own and all lower ones are at most alpha.
    """

    edition: Edition
    alpha: float
    paper: Figure
    certified: Figure
    possible: Figure
    p: Mapping[int, float]
    notes: tuple[str, ...] = ()
