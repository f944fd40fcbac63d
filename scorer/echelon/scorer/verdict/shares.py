"""How alpha is shared among the tasks of a run, before any of them is looked at.

A number of right answers can only be reached by luck with certain probabilities, so a task whose samples are right or
wrong cannot spend all of an equal share of alpha. What it leaves over makes other tasks easier to win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING

from echelon.scorer.verdict.tail import tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RESERVE = 1e-3
"""What is not spent, for p values are exact to so much of themselves."""
_KEPT = 0.5
"""What a task keeps of its share at least, for when others are won and it gets more to spend."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """A task whose `samples` are each right or wrong, and the share of right ones that a win has to be above."""

    samples: int
    figure: float


def shares(family: Mapping[str, Proportion | None], alpha: float) -> dict[str, float]:
    """Each task's share of `alpha`, 1 being an equal one: their mean is 1. None stands for any other task.

    A proportion gives back what it cannot spend: with an equal share it would be won from some number of right answers
    on. What is over lets tasks win with one right answer less, those first where that costs least, then by their ids.
    """
    proportions = {task: known for task, known in family.items() if known is not None}
    if not proportions:
        return dict.fromkeys(family, 1.0)
    equal = alpha / len(family)
    granted, wanted = dict.fromkeys(family, equal), {}
    for task, (spent, next_) in zip(proportions, _around(list(proportions.values()), equal), strict=True):
        granted[task], wanted[task] = max(spent, _KEPT * equal), next_
    left = alpha * (1 - _RESERVE) - fsum(granted.values())
    for cost, task in sorted((wanted[task] - granted[task], task) for task in proportions):
        if cost > left:
            break
        granted[task], left = wanted[task], left - cost
    scale = len(family) / fsum(granted.values())
    return {task: scale * amount for task, amount in granted.items()}


def _around(proportions: Sequence[Proportion], most: float) -> list[tuple[float, float]]:
    """The p values on both sides of `most` that each proportion can have: of enough right answers, and of one less."""
    import numpy as np

    samples = np.array([each.samples for each in proportions], dtype=np.float64)
    figures = np.array([each.figure for each in proportions])

    def p_of(right: NDArray[np.float64]) -> NDArray[np.float64]:
        values, copies = np.column_stack([1 - figures, -figures]), np.column_stack([right, samples - right])
        found = tail(values, np.maximum(copies, 0.0), -figures)
        return np.where(right < 0, 1.0, np.where(right > samples, 0.0, found))

    too_few, enough = np.full(len(samples), -1.0), samples + 1
    while (enough - too_few > 1).any():
        middle = np.where(enough - too_few > 1, np.floor((too_few + enough) / 2), enough)
        suffices = p_of(middle) <= most
        too_few, enough = np.where(suffices, too_few, middle), np.where(suffices, middle, enough)
    return list(zip(p_of(enough).tolist(), p_of(too_few).tolist(), strict=True))
