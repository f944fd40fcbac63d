"""How often something false is claimed: rates with their standard errors, against what the claim allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

FAMILIES = (1, 40, 700)
"""Sizes of families of tasks of one kind."""
SIGNIFICANT = 0.0228
"""A rate exceeds its limit where more than two standard errors speak against it: by the exact binomial tail."""


@dataclass(frozen=True)
class Rate:
    """How often a false claim is made by a family of `family` such tasks; `draws` is 0 where it was enumerated.

    `limit` is what the claim allows. `assumes` names an assumption of the verdict's page that the case breaks on
    purpose; such a rate is shown and does not fail.
    """

    group: str
    case: str
    claim: str
    n: str
    family: int
    draws: int
    seed: int
    rate: float
    error: float
    limit: float
    exceeds: bool
    assumes: str = ""

    @property
    def fails(self) -> bool:
        """Whether the verdict promises less than that."""
        return self.exceeds and not self.assumes


def counted(hits: int, draws: int, alpha: float) -> tuple[float, float, bool]:
    """A rate of one task, its standard error, and whether it is more than `alpha` by more than luck."""
    rate = hits / draws
    error = sqrt(max(rate, 1 / draws) * (1 - min(rate, 1 - 1 / draws)) / draws)
    return rate, error, bool(binom.sf(hits - 1, draws, alpha) < SIGNIFICANT) and rate > alpha


def of_family(rate: float, family: int) -> float:
    """How often some task of a family of independent ones is claimed, each by itself at `rate`."""
    return abs(float(np.expm1(family * np.log1p(-min(rate, 1 - 1e-12)))))


def drawn_rates(
    about: tuple[str, str, str, str], found: NDArray[np.float64], alpha: float, seed: int, assumes: str = ""
) -> list[Rate]:
    """The rates of p values that were drawn, alone and in families (Holm's first step)."""
    rates = []
    for family in FAMILIES:
        hits = int((found <= alpha / family).sum())
        rate, error, exceeds = counted(hits, len(found), alpha / family)
        whole = of_family(rate, family)
        slope = family * (1 - whole) / (1 - min(rate, 1 - 1e-12))
        rates.append(
            Rate(*about, family, len(found), seed, whole, min(1.0, slope * error), alpha, exceeds, assumes),
        )
    return rates


def exact_rates(
    about: tuple[str, str, str, str], single: Sequence[float], alpha: float, assumes: str = ""
) -> list[Rate]:
    """The same where the probability of a claim at alpha / 1, / 40 and / 700 is known exactly."""
    return [
        Rate(*about, family, 0, 0, of_family(rate, family), 0.0, alpha, rate > alpha / family * (1 + 1e-6), assumes)
        for family, rate in zip(FAMILIES, single, strict=True)
    ]


def joint_rate(
    about: tuple[str, str, str, str], hits: int, draws: int, seed: int, alpha: float, family: int, assumes: str = ""
) -> Rate:
    """The rate of whole runs that claim something false."""
    rate, error, exceeds = counted(hits, draws, alpha)
    return Rate(*about, family, draws, seed, rate, error, alpha, exceeds, assumes)


def lines(rates: Iterable[Rate]) -> Iterable[str]:
    """One line a case and claim, its families side by side."""
    together: dict[tuple[str, str, str, str], list[Rate]] = {}
    for rate in rates:
        together.setdefault((rate.group, rate.case, rate.claim, rate.n), []).append(rate)
    for (group, case, claim, n), found in together.items():
        figures = "  ".join(f"{_figure(rate)} of {rate.family:<3}" for rate in found)
        draws = f"{found[0].draws:,} draws, seed {found[0].seed}" if found[0].draws else "exact"
        word = "EXCEEDS" if any(rate.fails for rate in found) else "ok"
        if word == "ok" and any(rate.exceeds for rate in found):
            word = f"beyond, as assumed: {found[0].assumes}"
        yield f"{group:12} {case:58} {claim:6} n {n:11} {figures}  limit {found[0].limit:.3g}  {draws}  {word}"


def _figure(rate: Rate) -> str:
    spread = f"+-{rate.error:.1%}" if rate.draws and rate.rate else ""
    return f"{rate.rate:7.2%}{spread:8}{'!' if rate.exceeds else ' '}"


def as_json(rates: Iterable[Rate]) -> str:
    """The rates for other programs."""
    return json.dumps([asdict(rate) | {"fails": rate.fails} for rate in rates], indent=1)
