"""What the verdict finds: models that are truly better, by how much, and how often that is certified."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.random import Generator

from echelon.scorer.metrics.registry import metric
from error_rates.judge import WON, Judge, Observed
from error_rates.models import ACCURACY, CREDIT, DECIBELS, Draw
from error_rates.profiles import rows_of
from error_rates.rates import FAMILIES, Rate, counted


def rates(judge: Judge, draws: int, *, seed: int = 21) -> Iterator[Rate]:
    """The power at what won tasks may be wrong by, alone and at the first step of Holm in families of 40 and 700."""
    for name, samples, draw in _cases():
        randoms = (np.random.Generator(np.random.Philox(key=[seed, place])) for place in range(draws))
        found = np.array([judge(draw(random)).above for random in randoms])
        for family in FAMILIES:
            rate, error, _ = counted(int((found <= WON / family).sum()), draws, 1.0)
            yield Rate("power", name, "win", str(samples), family, draws, seed, rate, error, 1.0, exceeds=False)


def _cases() -> Iterator[tuple[str, int, Draw]]:
    for samples in (200, 500):
        yield "pairs of credit, +3 points, sd 0.15", samples, partial(_credit_pair, samples, 0.03)
        yield "pairs of accuracy, 75 against 70 %", samples, partial(_accuracy_pair, samples)
    for gain in (0.5, 1.5):
        yield f"pairs of PSNR, +{gain} dB, sd 1 dB", 500, partial(_decibel_pair, 500, gain)
    for worst in (60.0, 180.0, 1000.0):
        for less in (0.1, 0.3, 0.5):
            name = f"MAE, exponential, {less:.0%} under 15 +- 0.1, worst {worst:g}"
            yield name, 200, partial(_errors, 200, 15 * (1 - less), worst)
    for rate in (0.07, 0.05):
        yield f"WER, {rate:.0%} against 10 %, words independent", 200, partial(_words, 200, rate)
    for sota in (0.5, 0.7, 0.9):
        yield f"accuracy, 5 points above {sota:.0%}", 500, partial(_accuracy, 500, sota, None)
        yield f"accuracy, 5 points above {sota:.0%}, figure of 500", 500, partial(_accuracy, 500, sota, 500)
    yield "credit, 3 points above 70 %, sd 0.15", 500, partial(_credit, 500)


def _credit_pair(samples: int, gain: float, random: Generator) -> Observed:
    reference = random.normal(0.5, 0.1, samples).clip(0, 1)
    model = (reference + random.normal(gain, 0.15, samples)).clip(0, 1)
    return Observed(CREDIT, rows_of(model), (0.0, 1.0), reference=rows_of(reference))


def _accuracy_pair(samples: int, random: Generator) -> Observed:
    hard, easy = random.random(samples), random.random(samples) < 0.5
    model, reference = (np.where(easy, hard, random.random(samples)) < share for share in (0.75, 0.7))
    return Observed(ACCURACY, rows_of(model), (0.0, 1.0), reference=rows_of(reference))


def _decibel_pair(samples: int, gain: float, random: Generator) -> Observed:
    reference = random.normal(25, 3, samples).clip(0, 100)
    model = (reference + random.normal(gain, 1, samples)).clip(0, 100)
    return Observed(DECIBELS, rows_of(model), (0.0, 1.0), reference=rows_of(reference))


def _errors(samples: int, mean: float, worst: float, random: Generator) -> Observed:
    values = random.exponential(mean, samples).clip(0, worst)
    return Observed(metric("mae", worst=worst), rows_of(values), (worst, 1.0), figure=15.0, standard_error=0.1)


def _words(samples: int, rate: float, random: Generator) -> Observed:
    lengths = random.integers(5, 25, samples)
    rows = np.column_stack([random.binomial(lengths, rate), lengths]).astype(float)
    return Observed(metric("wer"), rows, (24.0, 24.0), figure=0.1)


def _accuracy(samples: int, sota: float, n: int | None, random: Generator) -> Observed:
    figure = sota if n is None else float(random.binomial(n, sota)) / n
    return Observed(ACCURACY, rows_of(random.random(samples) < sota + 0.05), (0.0, 1.0), figure=figure, n=n)


def _credit(samples: int, random: Generator) -> Observed:
    values = random.normal(0.73, 0.15, samples).clip(0, 1)
    return Observed(CREDIT, rows_of(values), (0.0, 1.0), figure=0.7)
