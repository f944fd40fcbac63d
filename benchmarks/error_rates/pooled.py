"""Models exactly at their sota in metrics that are no means: sums and ranks of all samples together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
from numpy.random import Generator
from scipy.stats import norm

from echelon.adapters import Number
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric
from error_rates.judge import Observed
from error_rates.models import Case
from error_rates.profiles import EXACT

CAPPED = "no answer costs more than a failed sample"
FIRST_ORDER = "scores that are no means behave to first order"


def cases(*, full: bool) -> Iterator[Case]:
    """All cases; `full` adds the metrics that are slow to judge."""
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
