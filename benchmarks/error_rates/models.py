"""Models exactly at their sota, drawn: what no enumeration reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from echelon.adapters import Number
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
CAPPED = "no answer costs more than a failed sample"
FIRST_ORDER = "scores that are no means behave to first order"
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
    """All cases; `full` adds sizes and the metrics that are slow to judge."""
    yield from _pairs(full=full)
    yield from _values(full=full)
    yield from _clusters(full=full)
    yield from _published()
    yield from _pooled(full=full)


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


def _pooled(*, full: bool) -> Iterator[Case]:
    yield Case("pooled", "WER, lognormal lengths, long ones harder", "100", partial(_words, 100, False))
    yield Case("pooled", "WER in pairs, the model loses 1 % whole", "200", partial(_words, 200, True))
    for often in (0.005, 0.02):
        name = f"micro-F1, {often:.1%} of answers with 200 wrong labels"
        yield Case("pooled", name, "200", partial(_label_floods, 200, often), assumes=CAPPED)
    for often in (0.005, 0.02):
        name = f"BLEU-1, {often:.1%} of answers ramble for 1,000 words"
        yield Case("pooled", name, "200", partial(_rambling, 200, often), assumes=CAPPED)
        name = f"mIoU, {often:.1%} of answers fill the picture"
        yield Case("pooled", name, "200", partial(_filled_pictures, 200, often), assumes=CAPPED)
    yield Case("pooled", "macro-F1, five classes of 50 to 3 %", "100", _classes, share=0.5, assumes=FIRST_ORDER)
    if full:
        for name in ("auc", "ap_anomaly"):
            yield Case("pooled", f"{name}, 30 % there", "100", partial(_ranks, name), share=0.1)


def _words(samples: int, paired: bool, random: Generator) -> Observed:
    """Sentences of lognormal lengths; errors are 5 % in short and 20 % in long ones."""
    lengths = random.lognormal(2.5, 0.8, samples).round().clip(1, 300)
    rates = np.where(lengths < 20, 0.05, 0.2)
    edits = random.binomial(lengths.astype(int), rates).astype(float)
    measure, longest = metric("wer"), float(lengths.max())
    if not paired:
        rows = np.column_stack([edits, lengths])
        return Observed(measure, rows, (longest, longest), figure=_expected_wer(), standard_error=EXACT)
    # The reference errs in 10 % of the words; the model loses 1 % of the samples and makes up for it elsewhere.
    reference = random.binomial(lengths.astype(int), 0.1).astype(float)
    lost = random.random(samples) < 0.01
    others = random.binomial(lengths.astype(int), (0.1 - 0.01) / 0.99).astype(float)
    model = np.where(lost, lengths, others)
    rows, other = (np.column_stack([each, lengths]) for each in (model, reference))
    return Observed(measure, rows, (longest, longest), reference=other)


@cache
def _expected_wer() -> float:
    """The population's: of rounded lognormal lengths, by enumeration."""
    lengths = np.arange(1, 301)
    edges = (np.log(np.append(lengths - 0.5, 300.5)) - 2.5) / 0.8
    weights = np.diff(norm.cdf(edges))
    weights[0], weights[-1] = weights[0] + norm.cdf(edges[0]), weights[-1] + norm.sf(edges[-1])
    return float((weights * lengths * np.where(lengths < 20, 0.05, 0.2)).sum() / (weights * lengths).sum())


def _label_floods(samples: int, often: float, random: Generator) -> Observed:
    """Sets of one to four labels, 90 % found; now and then an answer lists 200 wrong ones besides."""
    counts = random.integers(1, 5, samples)
    right = random.binomial(counts, 0.9)
    floods = np.where(random.random(samples) < often, 200, 0)
    rows = np.column_stack([right, counts - right + floods, counts - right]).astype(float)
    found, wrong = 2.5 * 0.9, 2.5 * 0.1
    figure = 2 * found / (2 * found + 2 * wrong + 200 * often)
    return Observed(metric("micro_f1"), rows, (0.0, 4.0, 4.0), figure=figure, standard_error=EXACT)


def _rambling(samples: int, often: float, random: Generator) -> Observed:
    """Sentences of 8 to 12 words of which 60 % match; now and then an answer goes on for 1,000 words."""
    wanted = random.integers(8, 13, samples)
    matching = random.binomial(wanted, 0.6)
    given = wanted + np.where(random.random(samples) < often, 1000, 0)
    rows = np.column_stack([given, wanted, matching, given]).astype(float)
    figure = 10 * 0.6 / (10 + 1000 * often)
    return Observed(metric("bleu1"), rows, (0.0, 12.0, 0.0, 12.0), figure=figure, standard_error=EXACT)


def _filled_pictures(samples: int, often: float, random: Generator) -> Observed:
    """Small objects of one class; now and then the whole picture is taken for the object."""
    areas = random.integers(200, 400, samples).astype(float)
    inside = np.rint(areas * random.beta(18, 2, samples))
    unions = areas + np.rint((areas - inside) * random.random(samples))
    filled = random.random(samples) < often
    rows = np.column_stack([np.where(filled, areas, inside), np.where(filled, 40_000.0, unions)])
    found, union = 299.5 * 0.9, 299.5 * (1 + 0.1 * 0.5)
    figure = (found * (1 - often) + 299.5 * often) / (union * (1 - often) + 40_000 * often)
    return Observed(
        metric("miou", labels=("object",)), rows, (0.0, 2 * float(areas.max())), figure=figure, standard_error=EXACT
    )


def _classes(random: Generator) -> Observed:
    """One class of five; each is missed by a share of its own, and taken for the most frequent other one."""
    shares = np.array([0.50, 0.25, 0.15, 0.07, 0.03])
    hits = np.array([0.95, 0.9, 0.85, 0.8, 0.7])
    true = np.repeat(np.arange(5), np.rint(100 * shares).astype(int))
    given = np.where(random.random(100) < hits[true], true, np.where(true == 0, 1, 0))
    flows = np.diag(shares * hits)
    flows[0, 1] += shares[0] * (1 - hits[0])
    flows[1:, 0] += shares[1:] * (1 - hits[1:])
    figure = float((2 * np.diag(flows) / (flows.sum(axis=0) + flows.sum(axis=1))).mean())
    rows = np.column_stack([true, given]).astype(float)
    return Observed(metric("macro_f1"), rows, (float(true[0]), -1.0), figure=figure, standard_error=EXACT)


def _ranks(name: str, random: Generator) -> Observed:
    """Scores of whether something is there; the figure is the population's, from many draws."""
    measure = metric(name)
    rows, worst = _rank_rows(measure, random, 100)
    return Observed(measure, np.array(rows), tuple(worst), figure=_expected_rank(name), standard_error=EXACT)


@cache
def _expected_rank(name: str) -> float:
    measure = metric(name)
    return measure.finish(_rank_rows(measure, np.random.Generator(np.random.Philox(key=[4, 0])), 40_000)[0])


def _rank_rows(measure: Metric, random: Generator, samples: int) -> tuple[list[list[float]], list[float]]:
    there = random.random(samples) < 0.3
    scores = np.where(there, random.beta(3, 2, samples), random.beta(2, 3, samples))
    references = [Number(float(each)) for each in there]
    rows = [
        list(measure.compare(Number(float(score)), reference))
        for score, reference in zip(scores, references, strict=True)
    ]
    return rows, list(measure.worst([references[0]]))
