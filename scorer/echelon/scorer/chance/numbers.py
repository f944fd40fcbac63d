"""Blind answers that are numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite

from echelon.adapters import Number, Part, Text
from echelon.scorer.chance.candidate import Candidate, Inputs, constant
from echelon.scorer.chance.seeding import SeededHash
from echelon.scorer.suites.suite import Sample

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
DENSEST = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Shares of the references: an error that is capped, by a task's `worst`, is least where references lie closest."""


class NumberObserver:
    """Learns constants from the references' distribution."""

    def __init__(self, seeded: SeededHash, draws: int) -> None:
        self._seeded, self._draws = seeded, draws
        self._values: list[float] = []
        self._inputs = Inputs(Number, Text)

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        self._values += [part.value for part in sample.references if isinstance(part, Number) and isfinite(part.value)]

    def candidates(self) -> Iterator[Candidate]:
        yield constant("zero", Number(0.0))
        yield constant("one", Number(1.0))
        yield from self._inputs.candidates()
        values = sorted(self._values)
        if not values:
            return
        yield constant("the mean", Number(sum(values) / len(values)))
        yield constant("the most common number", Number(Counter(values).most_common(1)[0][0]))
        for quantile in QUANTILES:
            yield constant(f"the quantile {quantile:g}", Number(quantile_of(values, quantile)))
        for share in DENSEST:
            yield constant(f"the middle of the closest {share:g} of the references", Number(_middle(values, share)))
        for draw in range(self._draws):
            yield Candidate(f"a reference drawn at random, {draw + 1}", self._draw(values, draw))

    def _draw(self, values: Sequence[float], draw: int) -> _Draw:
        return _Draw(self._seeded, values, draw)


class _Draw:
    """Answers with the number of another sample."""

    def __init__(self, seeded: SeededHash, values: Sequence[float], draw: int) -> None:
        self._seeded, self._values, self._draw = seeded, values, draw

    def __call__(self, sample: Sample) -> Part:
        return Number(self._seeded.pick(self._values, "draw", self._draw, sample.id))


def _middle(ordered: Sequence[float], share: float) -> float:
    """The median of the shortest interval that holds that share of the ordered values."""
    count = max(1, round(share * len(ordered)))
    start = min(range(len(ordered) - count + 1), key=lambda at: ordered[at + count - 1] - ordered[at])
    return quantile_of(ordered[start : start + count], 0.5)


def quantile_of(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies; the middle of two for a half."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])
