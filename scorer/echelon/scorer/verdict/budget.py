"""How a run's error probability is split among the kinds of claims that it makes.

The claims' error probabilities add up (Bonferroni), so the parts of one alpha bound the probability that a run makes
any false claim at all.
"""

from __future__ import annotations

from dataclasses import dataclass

ALPHA = 0.05
"""Probability, at most, that a run makes any false claim."""

_SCORES = ("S2", "S3", "S4", "S5")


@dataclass(frozen=True, slots=True)
class Budget:
    """The parts of alpha.

    `won`: some task is won that is not above its sota and chance; levels 3 to 5 follow from won tasks and cost nothing
    more. `below`: some task is called below its sota or chance that is not. `chance`: level 1 or 2 is certified
    although the skills that it takes are not above chance. `bounds`: a certified or possible score, S2 to S5, is beyond
    the true one.
    """

    won: float
    below: float
    chance: float
    bounds: float

    @classmethod
    def of(cls, alpha: float) -> Budget:
        """Split `alpha`.

        >>> Budget.of(0.05)
        Budget(won=0.02, below=0.01, chance=0.005, bounds=0.015)
        """
        return cls(won=0.4 * alpha, below=0.2 * alpha, chance=0.1 * alpha, bounds=0.3 * alpha)

    @property
    def bound(self) -> float:
        """The part of each of the eight bounds: a lower and an upper one of each score."""
        return self.bounds / (2 * len(_SCORES))
