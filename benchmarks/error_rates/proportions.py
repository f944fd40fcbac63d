"""Right and wrong answers: p values against SciPy's, and General-Bench's own sotas in a family of 700, enumerated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

import numpy as np
from scipy.stats import binom

from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.general_bench.measures import measure
from echelon.scorer.metrics.registry import metric
from error_rates.judge import ALPHA, WON, Judge, Observed, Ps, constant_ps
from error_rates.profiles import EXACT, counts_of
from error_rates.rates import Rate, exact_rates

ACCURACY = metric("accuracy")
RIGHT_OR_WRONG = ("accuracy", "exact_match")
FAMILY = 700
SOTAS = (0.0, 1e-4, 0.01, 0.05, 0.2, 0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0)
SIZES = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 20_000)
DEVIATES = (-30.0, -10.0, -6.0, -4.0, -3.0, -2.0, -1.0, -0.3, 0.0, 0.3, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 30.0)
RELATIVE, ABSOLUTE = 1e-6, 1e-12
"""How far a p value may be off: whichever is more."""
EDGE = 1e-9


def observed(
    right: int, samples: int, sota: float, n: int | None = None, standard_error: float | None = None
) -> Observed:
    """A task of which so many answers are right."""
    rows = np.ones((samples, 2))
    rows[right:, 0] = 0.0
    return Observed(ACCURACY, rows, (0.0, 1.0), figure=sota, n=n, standard_error=standard_error)


def numbers_of_right(samples: int, sota: float) -> list[int]:
    """Counts on both sides of the sota and at both ends."""
    spread = max(1.0, np.sqrt(samples * sota * (1 - sota)))
    around = {round(samples * sota + deviate * spread) for deviate in DEVIATES}
    near = {0, 1, samples - 1, samples} | {round(samples * sota) + step for step in (-2, -1, 1, 2)}
    return sorted(count for count in around | near if 0 <= count <= samples)


def largest_error(sizes: Sequence[int] = SIZES) -> tuple[float, str, int, int]:
    """The largest error of a p value against a constant, in units of what is allowed, where, wrong ones, and all."""
    largest, where, wrong, total = 0.0, "", 0, 0
    for samples, sota in product(sizes, SOTAS):
        for right in numbers_of_right(samples, sota):
            above, below = constant_ps(observed(right, samples, sota))
            exact = Ps(float(binom.sf(right - 1, samples, sota)), float(binom.cdf(right, samples, sota)))
            for found, wanted in ((above, exact.above), (below, exact.below)):
                error = abs(found - wanted) / max(RELATIVE * wanted, ABSOLUTE)
                wrong, total = wrong + (error > 1), total + 1
                if error > largest:
                    largest, where = error, f"{right} of {samples}, sota {sota:.2%}: {found:.3g} for {wanted:.3g}"
    return largest, where, wrong, total


@cache
def general_bench() -> tuple[float, ...]:
    """The published accuracies and exact matches of General-Bench, as fractions."""
    entries = (entry for entry in catalogue().entries if measure(entry.metric).name in RIGHT_OR_WRONG)
    return tuple(entry.sota / 100 for entry in entries if entry.sota is not None)


def rates(judge: Judge, *, full: bool) -> Iterator[Rate]:
    """Models at the sotas, and one point below all above 90 %, on so many samples a task."""
    for samples, sota in product((20, 100, 500, 2000) if full else (20, 100, 500), SOTAS):
        yield from _alone(judge, samples, sota)
    for samples in (200, 500, 1000, 2000) if full else (200, 500):
        yield from _at_the_sotas(judge, samples)
    for samples in (300, 500, 2000) if full else (500,):
        yield _both_measured(judge, samples, None, strata=16 if full else 5)
        yield _both_measured(judge, samples, samples, strata=16 if full else 5)
    yield from _published(judge, full=full)


def _alone(judge: Judge, samples: int, sota: float) -> Iterator[Rate]:
    weights = _weights(samples, sota)
    found = {right: judge(observed(right, samples, sota, standard_error=EXACT)) for right in weights}
    for place, claim in enumerate(("win", "below")):
        single = [
            sum(weight for right, weight in weights.items() if found[right][place] <= ALPHA / family)
            for family in (1, 40, 700)
        ]
        yield from exact_rates(("accuracy", f"at {sota:.2%}", claim, str(samples)), single, ALPHA)


def _weights(samples: int, share: float) -> dict[int, float]:
    if share in (0.0, 1.0):
        return {round(samples * share): 1.0}
    return {counts[0]: weight for counts, weight in counts_of(samples, [share, 1 - share])}


def _at_the_sotas(judge: Judge, samples: int) -> Iterator[Rate]:
    sotas = general_bench()
    granted = np.full(len(sotas), WON / FAMILY)
    at, lower = 0.0, 0.0
    known: dict[tuple[int, float], Ps] = {}
    for sota, alpha in zip(sotas, granted, strict=True):
        high = sota > 0.9
        for truth in (sota, max(0.0, sota - 0.01)) if high else (sota,):
            wins = 0.0
            for right, weight in _weights(samples, truth).items():
                key = right, sota
                if key not in known:
                    known[key] = judge(observed(right, samples, sota))
                wins += weight * (known[key].above <= alpha)
            at += -np.log1p(-min(wins, 1 - EDGE)) * (truth == sota)
            lower += -np.log1p(-min(wins, 1 - EDGE)) * (truth != sota)
    for case, hazard in ((f"{len(sotas)} accuracies, at every sota", at), ("1 point below those above 90 %", lower)):
        rate = float(-np.expm1(-hazard))
        yield Rate("General-Bench", case, "win", str(samples), FAMILY, 0, 0, rate, 0.0, ALPHA, rate > ALPHA)


def _both_measured(judge: Judge, samples: int, n: int | None, strata: int, seed: int = 1) -> Rate:
    """Equal models: the sota's own score is binomial too, stratified, and the model's is enumerated given it."""
    random = np.random.Generator(np.random.Philox(key=[seed, samples]))
    sotas = np.array(general_bench())
    granted = np.full(len(sotas), WON / FAMILY)
    hazards = np.zeros(strata)
    for stratum in range(strata):
        shares = (stratum + random.random(len(sotas))) / strata
        reached = binom.ppf(shares, samples, sotas) / samples
        for truth, figure, alpha in zip(sotas, reached.clip(0, 1), granted, strict=True):
            wins = _wins_from(judge, samples, float(figure), n, float(alpha))
            hazards[stratum] += -np.log1p(-min(float(binom.sf(wins - 1, samples, truth)), 1 - EDGE))
    hazard = float(hazards.mean())
    rate = float(-np.expm1(-hazard))
    case = f"{len(sotas)} accuracies, sota of {'unknown' if n is None else 'known'} n measured as well"
    # The strata are not alike, so their spread says nothing; what is left is within each stratum.
    return Rate("General-Bench", case, "win", str(samples), FAMILY, 0, seed, rate, 0.0, ALPHA, rate > ALPHA)


def _wins_from(judge: Judge, samples: int, sota: float, n: int | None, alpha: float) -> int:
    """The fewest right answers that win, above the sota; samples + 1 where none do."""
    lose, win = int(np.floor(samples * sota + EDGE)), samples + 1
    while win - lose > 1:
        middle = (lose + win) // 2
        if judge(observed(middle, samples, sota, n)).above <= alpha:
            win = middle
        else:
            lose = middle
    return win


def _published(judge: Judge, *, full: bool) -> Iterator[Rate]:
    """A single figure with its n: all pairs of counts are enumerated."""
    truths = (0.5, 0.9, 0.98, 0.02) if full else (0.9, 0.98)
    for truth, (samples, n) in product(truths, ((100, 100), (500, 100), (100, 500))):
        for known in (n, None):
            if known is None and n != samples:
                continue
            single = [0.0, 0.0, 0.0]
            for right, weight in _weights(n, truth).items():
                for place, family in enumerate((1, 40, 700)):
                    wins = _wins_from(judge, samples, right / n, known, ALPHA / family)
                    single[place] += weight * float(binom.sf(wins - 1, samples, truth))
            case = f"at {truth:.0%}, figure measured on {n}" + ("" if known else ", n unknown")
            yield from exact_rates(("figure", case, "win", str(samples)), single, ALPHA)
