"""Models exactly at their sota, drawn: what no enumeration reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric
from error_rates.judge import Observed
from error_rates.profiles import EXACT, rows_of

Floats = NDArray[np.float64]
Draw = Callable[[Generator], Observed]

ACCURACY, CREDIT, DECIBELS = metric("accuracy"), metric("anls"), metric("psnr")
LARGEST = 200
"""Samples of the largest cluster that a heavy tail of sizes can give."""
SIZES_AS_GIVEN = "cluster sizes are the suite's"
SAME_SIZE = "a bare figure was measured on as many samples"
NORMAL_ERROR = "a published standard error is that of a normal error"


@dataclass(frozen=True)
class Case:
    """One kind of task whose true lead is 0.

    It gets a `share` of the draws that others get; `assumes` is what it breaks on purpose.
    """

    group: str
    name: str
    n: str
    draw: Draw
    claims: tuple[str, ...] = ("win", "below")
    share: float = 1.0
    assumes: str = ""


def cases(*, full: bool) -> Iterator[Case]:
    """All cases; `full` adds sizes."""
    yield from _pairs(full=full)
    yield from _values(full=full)
    yield from _clusters(full=full)
    yield from _published()


def _pairs(*, full: bool) -> Iterator[Case]:
    for share, size, risk in ((0.05, 20, 0.1), (0.05, 20, 0.3), (0.2, 5, 0.1), (0.2, 5, 0.3)):
        name = f"accuracy, {share:.0%} documents of {size}, lost whole with {risk:.0%}"
        yield Case("pairs", name, "100 clusters", partial(_documents, share, size, risk))
    for samples in (20, 100):
        yield Case("pairs", "credit, 0.08 - Exp(0.08)", str(samples), partial(_skew_pair, samples, 1.0))
        yield Case("pairs", "credit, Exp(0.08) - 0.08", str(samples), partial(_skew_pair, samples, -1.0))
    for samples in (20, 50, 200) if full else (20, 100):
        for sigma in (1.0, 2.0):
            name = f"PSNR, mean - lognormal({sigma:g})"
            yield Case("pairs", name, str(samples), partial(_lognormal_pair, samples, sigma))
    yield Case("pairs", "accuracy, clusters hang together (0.3)", "500 in 50", _hanging_pair)
    yield Case("pairs", "MAE, errors correlated, worst 180", "200", partial(_error_pair, 200))


def _documents(share: float, size: int, risk: float, random: Generator) -> Observed:
    """Of 100 clusters some are documents, which the model loses whole now and then; it gains on single samples."""
    sizes = np.where(np.arange(100) < 100 * share, size, 1)
    lost = (random.random(100) < risk) & (sizes == size)
    ids = np.repeat(np.arange(100), sizes)
    document = (sizes == size)[ids]
    gain = share * size * risk / (1 - share)
    model = np.where(document, ~lost[ids], random.random(len(ids)) < gain)
    return Observed(ACCURACY, rows_of(model), (0.0, 1.0), ids, rows_of(document))


def _skew_pair(samples: int, sign: float, random: Generator) -> Observed:
    difference = sign * (0.08 - random.exponential(0.08, samples))
    start = 0.9 if sign > 0 else 0.1
    model = (start + difference).clip(0, 1)
    return Observed(CREDIT, rows_of(model), (0.0, 1.0), reference=rows_of(np.full(samples, start)))


def _lognormal_pair(samples: int, sigma: float, random: Generator) -> Observed:
    """Decibels lost are lognormal, 35 at most; the model makes up for them on average."""
    reference = random.normal(40, 1, samples).clip(36, 44)
    lost = random.lognormal(0, sigma, samples).clip(0, 35)
    model = reference + _capped_lognormal_mean(sigma, 35.0) - lost
    return Observed(DECIBELS, rows_of(model), (0.0, 1.0), reference=rows_of(reference))


def _capped_lognormal_mean(sigma: float, cap: float) -> float:
    end = float(np.log(cap))
    inside = float(np.exp(sigma**2 / 2) * norm.cdf(end / sigma - sigma))
    return inside + cap * float(norm.sf(end / sigma))


def _hanging_pair(random: Generator) -> Observed:
    ids = np.concatenate([np.arange(50), random.integers(0, 50, 450)])
    shares = random.beta(0.7 * 7 / 3, 0.3 * 7 / 3, (2, 50))
    model, reference = (random.random(500) < shares[place][ids] for place in (0, 1))
    return Observed(ACCURACY, rows_of(model), (0.0, 1.0), ids, rows_of(reference))


def _error_pair(samples: int, random: Generator) -> Observed:
    common = random.exponential(10, samples)
    model, reference = (common + random.exponential(5, samples) for _ in range(2))
    return Observed(_mae(180.0), rows_of(model.clip(0, 180)), (180.0, 1.0), reference=rows_of(reference.clip(0, 180)))


@cache
def _mae(worst: float) -> Metric:
    return metric("mae", worst=worst)


def _values(*, full: bool) -> Iterator[Case]:
    for samples in (20, 100, 500):
        for name, inflated, at in (("one", 0.99, 1.0), ("one", 0.9, 1.0), ("zero", 0.99, 0.0), ("zero", 0.7, 0.0)):
            case = f"credit, {inflated:.0%} at {name}, others uniform"
            yield Case("values", case, str(samples), partial(_inflated, samples, inflated, at))
    for samples in (50, 500) if full else (100,):
        yield Case("values", "MAE, exponential, worst 180", str(samples), partial(_exponential, samples))
        yield Case("values", "MAE, lognormal(2), worst 1000", str(samples), partial(_lognormal, samples))
        yield Case("values", "PSNR, Student t(3)", str(samples), partial(_student, samples))
    for samples, often in ((100, 0.01), (200, 0.01), (500, 0.005)):
        yield Case("values", f"PSNR 25 +- 1, {often:.1%} perfect", str(samples), partial(_perfect, samples, often))
        yield Case("values", f"MAE 15 +- 1, {often:.1%} exact", str(samples), partial(_exact, samples, often))


def _inflated(samples: int, share: float, at: float, random: Generator) -> Observed:
    values = np.where(random.random(samples) < share, at, random.random(samples))
    return Observed(CREDIT, rows_of(values), (0.0, 1.0), figure=share * at + (1 - share) / 2, standard_error=EXACT)


def _exponential(samples: int, random: Generator) -> Observed:
    values = random.exponential(15, samples).clip(0, 180)
    mean = 15 * (1 - float(np.exp(-12)))
    return Observed(_mae(180.0), rows_of(values), (180.0, 1.0), figure=mean, standard_error=EXACT)


def _lognormal(samples: int, random: Generator) -> Observed:
    values = random.lognormal(0, 2, samples).clip(0, 1000)
    return Observed(
        _mae(1000.0), rows_of(values), (1000.0, 1.0), figure=_capped_lognormal_mean(2.0, 1000.0), standard_error=EXACT
    )


def _student(samples: int, random: Generator) -> Observed:
    values = (50 + 3 * random.standard_t(3, samples)).clip(0, 100)
    return Observed(DECIBELS, rows_of(values), (0.0, 1.0), figure=50.0, standard_error=EXACT)


def _perfect(samples: int, often: float, random: Generator) -> Observed:
    values = np.where(random.random(samples) < often, 100.0, random.normal(25, 1, samples))
    return Observed(DECIBELS, rows_of(values), (0.0, 1.0), figure=25 + 75 * often, standard_error=EXACT)


def _exact(samples: int, often: float, random: Generator) -> Observed:
    values = np.where(random.random(samples) < often, 0.0, random.normal(15, 1, samples).clip(0))
    return Observed(_mae(180.0), rows_of(values), (180.0, 1.0), figure=15 * (1 - often), standard_error=EXACT)


def _clusters(*, full: bool) -> Iterator[Case]:
    for count in (20, 50, 100) if full else (20, 100):
        for shape in (1.0, 1.5):
            about = f"accuracy, sizes Pareto({shape:g}), large ones worse"
            given = partial(_heavy_sizes, count, shape, _pareto_sizes(count, shape))
            fresh = partial(_heavy_sizes, count, shape, None)
            yield Case("clusters", f"{about}, sizes given", f"{count} clusters", given)
            yield Case("clusters", f"{about}, sizes drawn", f"{count} clusters", fresh, assumes=SIZES_AS_GIVEN)
            best = partial(_heavy_sizes, count, shape, _pareto_sizes(count, shape), flip=True)
            yield Case("clusters", f"{about[:-5]}better, sizes given", f"{count} clusters", best)
    for sota in (0.02, 0.5, 0.98):
        yield Case("clusters", f"accuracy {sota:.0%}, each answers as one", "20 of 1-9", partial(_as_one, sota))
        name = f"accuracy {sota:.0%}, hang together (0.3)"
        yield Case("clusters", name, "200 in 50", partial(_hanging, sota))


def _pareto_sizes(count: int, shape: float, seed: int = 5) -> NDArray[np.int64]:
    random = np.random.Generator(np.random.Philox(key=[seed, count]))
    return (1 + random.pareto(shape, count)).clip(1, LARGEST).astype(np.int64)


def _share_right(sizes: NDArray[np.int64], *, flip: bool) -> Floats:
    """How often clusters of these sizes are right: single samples 98 %, large ones hardly, or the other way round."""
    share = 0.03 + 0.95 / sizes
    return 1.01 - share if flip else share


def _heavy_sizes(
    count: int, shape: float, sizes: NDArray[np.int64] | None, random: Generator, *, flip: bool = False
) -> Observed:
    if sizes is None:
        every = np.arange(1, LARGEST + 1)
        above = every.astype(float) ** -shape
        weights = above - np.append(above[1:], 0.0)
        figure = float((weights * every * _share_right(every, flip=flip)).sum() / (weights * every).sum())
        sizes = (1 + random.pareto(shape, count)).clip(1, LARGEST).astype(np.int64)
    else:
        figure = float((sizes * _share_right(sizes, flip=flip)).sum() / sizes.sum())
    ids = np.repeat(np.arange(count), sizes)
    right = (random.random(count) < _share_right(sizes, flip=flip))[ids]
    return Observed(ACCURACY, rows_of(right), (0.0, 1.0), ids, figure=figure, standard_error=EXACT)


def _as_one(sota: float, random: Generator) -> Observed:
    ids = np.concatenate([np.arange(20), random.integers(0, 20, 80)])
    right = (random.random(20) < sota)[ids]
    return Observed(ACCURACY, rows_of(right), (0.0, 1.0), ids, figure=sota, standard_error=EXACT)


def _hanging(sota: float, random: Generator) -> Observed:
    ids = np.concatenate([np.arange(50), random.integers(0, 50, 150)])
    shares = random.beta(sota * 7 / 3, (1 - sota) * 7 / 3, 50)
    return Observed(
        ACCURACY, rows_of(random.random(200) < shares[ids]), (0.0, 1.0), ids, figure=sota, standard_error=EXACT
    )


def _published() -> Iterator[Case]:
    for n in (100, 500):
        name = f"MAE 15 +- 1, figure of {n} with Exp(15) errors"
        yield Case("figure", name, "500", partial(_spread_figure, n), assumes="")
        name = f"MAE Exp(15), figure of {n} with Exp(15) errors"
        yield Case("figure", name, "500", partial(_alike_figure, n))
    yield Case("figure", "PSNR 25 +- 1, figure of 100 with 25 +- 8 dB", "500", _decibel_figure)
    name = "accuracy 90 %, bare figure measured on 100"
    yield Case("figure", name, "1000", partial(_small_figure, 1000, 100), assumes=SAME_SIZE)
    name = "PSNR 25 +- 1, figure of 100 with its error, 1 % perfect"
    yield Case("figure", name, "500", _unseen_figure, assumes=NORMAL_ERROR)
    name = "MAE 15 +- 1, figure of 100 with its error, Exp(15)"
    yield Case("figure", name, "500", _erring_figure)
    yield Case("figure", "credit 0.9 +- 0.02, figure of 100, right or wrong", "500", _credit_figure)


def _spread_figure(n: int, random: Generator) -> Observed:
    figure = float(random.exponential(15, n).mean())
    values = random.normal(15, 1, 500)
    return Observed(_mae(180.0), rows_of(values), (180.0, 1.0), figure=figure, n=n)


def _alike_figure(n: int, random: Generator) -> Observed:
    figure = float(random.exponential(15, n).mean())
    values = random.exponential(15, 500).clip(0, 180)
    return Observed(_mae(180.0), rows_of(values), (180.0, 1.0), figure=figure, n=n)


def _decibel_figure(random: Generator) -> Observed:
    figure = float(random.normal(25, 8, 100).clip(0, 100).mean())
    return Observed(DECIBELS, rows_of(random.normal(25, 1, 500)), (0.0, 1.0), figure=figure, n=100)


def _unseen_figure(random: Generator) -> Observed:
    """The specialist's perfect samples are mostly not seen, and its standard error is small then."""
    seen = np.where(random.random(100) < 0.01, 100.0, random.normal(25, 1, 100))
    error = float(seen.std(ddof=1)) / 10
    values = random.normal(25.75, 1, 500)
    return Observed(DECIBELS, rows_of(values), (0.0, 1.0), figure=float(seen.mean()), standard_error=error)


def _erring_figure(random: Generator) -> Observed:
    seen = random.exponential(15, 100)
    error = float(seen.std(ddof=1)) / 10
    values = random.normal(15, 1, 500)
    return Observed(_mae(180.0), rows_of(values), (180.0, 1.0), figure=float(seen.mean()), standard_error=error)


def _small_figure(samples: int, n: int, random: Generator) -> Observed:
    figure = float(random.binomial(n, 0.9)) / n
    return Observed(ACCURACY, rows_of(random.random(samples) < 0.9), (0.0, 1.0), figure=figure)


def _credit_figure(random: Generator) -> Observed:
    figure = float(random.binomial(100, 0.9)) / 100
    values = random.normal(0.9, 0.02, 500).clip(0, 1)
    return Observed(CREDIT, rows_of(values), (0.0, 1.0), figure=figure, n=100)
