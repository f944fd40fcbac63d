"""How often the verdict is wrong, and what it finds: models exactly at their sota, and models 3 points above it.

A run of the grid is all its tasks as one family. Every other case is one task, drawn over and over: how often it is
wrongly won, or wrongly called below, by itself and in a run of 40 of its kind. What is beyond its limit is drawn again
four times as often, for among so many cases some are by luck. Everything is tested by the functions that judge runs.

    python benchmarks/simulate_verdict.py [--seeds N] [--workers N] [grid] [cases] [power] [clusters] [--only TEXT]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from itertools import product
from math import nan, sqrt
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from harness import report
from scipy.stats import binom

from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.metrics.registry import metric
from echelon.scorer.metrics.scoremaps import LEVELS, AnomalyAveragePrecision, AreaUnderRoc
from echelon.scorer.verdict.family import ALPHA, holm
from echelon.scorer.verdict.shares import Proportion, shares
from echelon.scorer.verdict.task import Measured, Opponent, examine

SEEDS = 2_000
ALIKE = 40
"""Tasks of one kind in a run."""
AGAIN = 4
SAMPLED = 5_000
"""Draws that tell the score to expect where no formula does."""
SOTAS = (0.02, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.98)
SIZES = (100, 200, 500)
CLUSTERS = (5, 20, 50, 100, None)
CLASSES = np.array([0.50, 0.25, 0.15, 0.07, 0.03]).cumsum()
"""How often samples are of each class or below."""
SEEN = np.array([0.9, 0.5, 0.3, 0.15, 0.06, 0.03])
"""How often each class is in a picture."""
COUNT = 1 << 32
SEED_OF_SCORES = 1 << 63


class Drawn(NamedTuple):
    """The stats of a model's answers, and those of a failed sample."""

    rows: Sequence[Stats]
    worst: Stats


class Luck(NamedTuple):
    """What a draw is made of: the suite's own samples, alike for both models, and each model's luck with them."""

    suite: np.random.Generator
    each: np.ndarray
    own: np.random.Generator


class Cell(NamedTuple):
    """One kind of task: `size` samples in `clusters`, whose answers hang together by `icc`, easy to a share of `sota`.

    The model has to be above its sota by `margin`, and is by that and `lift`. `published` is on how many samples a sota
    from elsewhere was measured.
    """

    sota: float
    size: int
    clusters: int | None
    paired: bool = False
    lift: float = 0.0
    icc: float = 0.3
    kind: str = "accuracy"
    margin: float = 0.0
    published: int | None = None
    even: bool = False
    """Whether all clusters are of one size."""

    def ps(self, random: np.random.Generator) -> tuple[float, float]:
        """The p values of "not above" and "not below" of one such task, drawn and tested."""
        kind = KINDS[self.kind]
        ids, suite = self.cluster_ids(random), int(random.integers(1 << 62))
        luck = random.random((2, self.size))
        # Half of the samples are as hard for the one as for the other.
        luck[1] = np.where(random.random(self.size) < 0.5, luck[0], luck[1])
        better = self.lift + (self.margin / kind.slope if self.paired else 0.0)
        model = kind.draw(self.easiness(random, self.sota + better)[ids], Luck(seeded(suite), luck[0], random))
        rows, figure = None, 0.0
        if self.paired:
            rows = kind.draw(self.easiness(random, self.sota)[ids], Luck(seeded(suite), luck[1], random)).rows
        elif self.published:
            figure = self._replace(size=self.published, clusters=self.clusters_of(self.published)).score(random)
        else:
            figure = self.expected() - kind.sign * self.margin
        opponent = Opponent(figure, self.margin, self.published, rows)
        test = examine(Measured(kind.metric, model.rows, ids.tolist(), model.worst), 0.0, opponent)
        return (test.lead.above(), test.lead.below()) if test.lead and test.decidable else (1.0, 1.0)

    def score(self, random: np.random.Generator) -> float:
        """The score of one draw."""
        kind, ids = KINDS[self.kind], self.cluster_ids(random)
        luck = Luck(random, random.random(self.size), random)
        return kind.metric.finish(kind.draw(self.easiness(random, self.sota)[ids], luck).rows)

    def expected(self) -> float:
        """The score to expect of a model that is as good as the sota."""
        formula = KINDS[self.kind].formula
        return formula(self.sota) if formula else sampled(self._replace(paired=False, margin=0.0))

    def clusters_of(self, size: int) -> int | None:
        """So many clusters have as many samples each."""
        return None if self.clusters is None else max(1, round(self.clusters * size / self.size))

    def cluster_ids(self, random: np.random.Generator) -> np.ndarray:
        """Which cluster each sample is of; clusters are of unequal sizes, unless they are even."""
        if self.clusters is None:
            return np.arange(self.size)
        if self.even:
            return np.arange(self.size) % self.clusters
        rest = random.integers(0, self.clusters, self.size - self.clusters)
        return np.concatenate([np.arange(self.clusters), rest])

    def easiness(self, random: np.random.Generator, share: float) -> np.ndarray:
        """How probable a right answer is in each cluster."""
        if self.clusters is None:
            return np.full(self.size, share)
        if self.icc == 1:
            return (random.random(self.clusters) < share).astype(float)
        scale = 1 / self.icc - 1
        return random.beta(share * scale, (1 - share) * scale, self.clusters)

    def draws(self, seeds: int) -> int:
        """How many draws the machine can afford: ranks and classes are scored anew without each group of samples."""
        slow = KINDS[self.kind].formula is None and self.kind != "miou"
        return max(1, seeds // (16 if self.size > 200 else 4)) if slow else seeds

    @property
    def proportion(self) -> Proportion | None:
        """What the family's shares know of the task."""
        known = self.kind == "accuracy" and not self.paired and self.published is None
        return Proportion(self.size, self.sota) if known else None

    def __str__(self) -> str:
        clusters = f"{self.clusters} clusters" if self.clusters else "no clusters"
        sota = "pairs" if self.paired else f"figure of {self.published}" if self.published else "constant"
        margin = f", margin {self.margin:g}" if self.margin else ""
        return f"{self.kind} {self.sota:.0%}, n {self.size}, {clusters}, {sota}{margin}"


def seeded(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


@cache
def sampled(cell: Cell) -> float:
    """The mean of a cell's scores."""
    random = seeded(SEED_OF_SCORES)
    return float(np.mean([cell.score(random) for _ in range(SAMPLED)]))


def mean_rows(values: np.ndarray) -> list[list[float]]:
    return np.column_stack([values, np.ones(len(values))]).tolist()


def whole(easiness: np.ndarray, luck: Luck) -> Drawn:
    """Right or wrong."""
    return Drawn(mean_rows(luck.each < easiness), (0.0, 1.0))


def partly(easiness: np.ndarray, luck: Luck) -> Drawn:
    """Credit in quarters."""
    return Drawn(mean_rows(luck.own.binomial(4, easiness) / 4), (0.0, 1.0))


def words(easiness: np.ndarray, luck: Luck) -> Drawn:
    """Sentences of 3 to 29 words."""
    lengths = luck.suite.integers(3, 30, len(easiness))
    edits = lengths - luck.own.binomial(lengths, easiness)
    return Drawn(np.column_stack([edits, lengths]).astype(float).tolist(), (29.0, 29.0))


def label_sets(easiness: np.ndarray, luck: Luck) -> Drawn:
    """Sets of one to four labels, as many given as wanted."""
    counts = luck.suite.integers(1, 5, len(easiness))
    right = luck.own.binomial(counts, easiness)
    return Drawn(np.column_stack([right, counts - right, counts - right]).astype(float).tolist(), (0.0, 4.0, 4.0))


def decibels(easiness: np.ndarray, luck: Luck) -> Drawn:
    """Around 25 dB, the harder the lower, with a heavy tail."""
    noise = luck.own.standard_t(3, len(easiness))
    return Drawn(mean_rows((20 + 8 * easiness - 6 * luck.each + noise).clip(0, 100)), (0.0, 1.0))


def classes(easiness: np.ndarray, luck: Luck) -> Drawn:
    """One class of five, the rarest 3 % of the samples; a wrong answer is any of the others."""
    true = np.searchsorted(CLASSES, luck.suite.random(len(easiness)))
    other = (true + luck.own.integers(1, len(CLASSES), len(easiness))) % len(CLASSES)
    rows = np.column_stack([true, np.where(luck.each < easiness, true, other)]).astype(float)
    return Drawn([tuple(row) for row in rows.tolist()], (float(true[0]), -1.0))


def pictures(easiness: np.ndarray, luck: Luck) -> Drawn:
    """Areas of six classes, the rarest in 3 % of the pictures."""
    shape = len(easiness), len(SEEN)
    areas = np.where(luck.suite.random(shape) < SEEN, luck.suite.lognormal(5, 1, shape), 0.0)
    inside = areas * luck.own.beta(8 * easiness[:, None] + 1e-3, 8 * (1 - easiness[:, None]) + 1e-3, shape)
    rows = np.hstack([inside, areas + (areas - inside) * luck.own.random(shape)])
    heaviest = areas[areas.sum(axis=1).argmax()]
    return Drawn(rows.tolist(), (*np.zeros(len(SEEN)), *2 * heaviest))


def detections(easiness: np.ndarray, luck: Luck) -> Drawn:
    """One to four objects a picture; false alarms are as many as are missed, and score less."""
    counts = luck.suite.integers(1, 5, len(easiness))
    hits = luck.own.binomial(counts, easiness)
    alarms = luck.own.poisson(counts - hits)
    kinds = np.repeat(np.tile([-1.0, 1.0, 0.0], len(counts)), np.column_stack([counts, hits, alarms]).ravel())
    scores = np.where(kinds < 0, 0.0, luck.own.beta(2 + 2 * np.maximum(kinds, 0), 3 - np.maximum(kinds, 0)))
    records = np.column_stack([np.ones(len(kinds)), scores, kinds])
    ends = 3 * (counts + hits + alarms).cumsum()
    return Drawn(np.split(records.ravel(), ends[:-1]), (1.0, 0.0, -1.0) * int(counts[0]))


def alarms(easiness: np.ndarray, luck: Luck, often: float = 0.3) -> Drawn:
    """Scores of whether something is there, as it is so often; unclear ones score anything."""
    there = luck.suite.random(len(easiness)) < often
    levels = luck.own.random(len(easiness))
    levels = np.where(luck.each < easiness, (there + levels) / 2, levels)
    codes = 2 * (levels * (LEVELS - 1)).astype(np.int64) + there
    worst = 2 * LEVELS + 1 if there[0] else 2 * (LEVELS - 1)
    return Drawn(list((codes * COUNT + 1.0)[:, None]), (float(worst * COUNT + 1),))


class FewLevels:
    """The same score as by counting all 65,536 levels, from those that occur; `check_ranks` compares."""

    def finish(self, rows: Sequence[Stats]) -> float:
        codes = (np.concatenate(rows) // COUNT).astype(np.int64)
        found = codes[codes < 2 * LEVELS]
        _, places = np.unique(found >> 1, return_inverse=True)
        hits, wrong = (np.bincount(places, (found & 1) == truth)[::-1].cumsum() for truth in (1, 0))
        there = float((codes & 1).sum())
        return self.from_counts(wrong, hits, there) if len(found) else 0.0 if there else nan


class FewLevelsAp(FewLevels, AnomalyAveragePrecision):
    pass


class FewLevelsAuc(FewLevels, AreaUnderRoc):
    pass


def check_ranks() -> None:
    """Compare with the metrics that judge runs."""
    random = seeded(0)
    for few, real in ((FewLevelsAp(), metric("ap_anomaly")), (FewLevelsAuc(), metric("auc"))):
        for _ in range(5):
            rows, worst = alarms(random.random(80), Luck(random, random.random(80), random))
            assert few.finish([*rows, worst]) == real.finish([*rows, worst])


class Kind(NamedTuple):
    metric: Metric
    draw: Callable[[np.ndarray, Luck], Drawn]
    formula: Callable[[float], float] | None = None
    """The score to expect of an easiness, None where it has to be drawn."""
    slope: float = 1.0
    """By how much better the score is where all is easier by 1."""

    @property
    def sign(self) -> float:
        return 1.0 if self.metric.higher_is_better else -1.0


KINDS = {
    "accuracy": Kind(metric("accuracy"), whole, lambda share: share),
    "anls": Kind(metric("anls"), partly, lambda share: share),
    "wer": Kind(metric("wer"), words, lambda share: 1 - share),
    "micro_f1": Kind(metric("micro_f1"), label_sets, lambda share: share),
    "psnr": Kind(metric("psnr"), decibels, lambda share: 17 + 8 * share, slope=8.0),
    "macro_f1": Kind(metric("macro_f1"), classes),
    "miou": Kind(metric("miou", labels=tuple(map(str, SEEN))), pictures),
    "ap50": Kind(metric("ap50"), detections),
    "ap_anomaly": Kind(FewLevelsAp(), alarms),
    "auc": Kind(FewLevelsAuc(), alarms),
    "auc_rare": Kind(FewLevelsAuc(), partial(alarms, often=0.05)),
}

GRID = [Cell(*each) for each in product(SOTAS, SIZES, CLUSTERS, (False, True))]
SHAPES = ((100, None), (100, 20), (200, 50), (500, 100), (500, None))
CASES = {
    "hard": [
        Cell(0.02, 100, 20, icc=1.0),
        Cell(0.98, 100, 20),
        Cell(0.98, 500, None),
        Cell(0.50, 500, 100),
        Cell(0.90, 500, 100, paired=True),
        Cell(0.95, 200, 50, kind="anls"),
        Cell(0.95, 100, None, kind="wer"),
        Cell(0.95, 200, 50, kind="wer"),
        Cell(0.80, 200, None, paired=True, kind="wer"),
        Cell(0.50, 100, None, paired=True, kind="psnr"),
        Cell(0.50, 200, 50, paired=True, kind="psnr"),
        Cell(0.90, 100, None, kind="micro_f1"),
        Cell(0.50, 200, 50, kind="micro_f1"),
    ],
    **{
        kind: [
            Cell(sota, *shape, paired=paired, kind=kind)
            for sota, shape, paired in product(sotas, SHAPES, (False, True))
        ]
        for kind, sotas in {
            "macro_f1": (0.9,),
            "miou": (0.6, 0.9),
            "ap50": (0.8,),
            "ap_anomaly": (0.8,),
            "auc": (0.8,),
            "auc_rare": (0.8,),
        }.items()
    },
    "margin": [
        Cell(sota, *shape, paired=paired, kind=kind, margin=margin * KINDS[kind].slope)
        for (kind, sota), shape, paired, margin in product(
            (("accuracy", 0.7), ("accuracy", 0.93), ("anls", 0.8), ("wer", 0.9), ("psnr", 0.5)),
            SHAPES,
            (False, True),
            (0.03,),
        )
    ],
    "published": [
        Cell(sota, *shape, kind=kind, published=published)
        for (kind, sota), shape, published in product(
            (("accuracy", 0.5), ("accuracy", 0.9), ("accuracy", 0.98), ("accuracy", 0.02), ("anls", 0.9), ("wer", 0.9)),
            ((100, None), (200, 50), (500, None)),
            (100, 1000),
        )
    ],
    "below": [
        Cell(sota, *shape, paired=paired, kind=kind)
        for (kind, sota), shape, paired in product(
            (
                *(("accuracy", sota) for sota in (0.02, 0.1, 0.5, 0.9, 0.98)),
                *(("anls", sota) for sota in (0.05, 0.5, 0.95)),
                *(("wer", sota) for sota in (0.5, 0.95)),
                *(("micro_f1", sota) for sota in (0.5, 0.9)),
                ("psnr", 0.5),
            ),
            ((100, None), (100, 20), (500, 100)),
            (False, True),
        )
    ],
}
POWER = {
    "sotas of 5 to 95 %": [Cell(0.05 + 0.9 * n / 99, 500, None, lift=0.03) for n in range(100)],
    "sotas all 70 %": [Cell(0.70, 500, None, lift=0.03)] * 100,
    "sotas all 50 %, the hardest": [Cell(0.50, 500, None, lift=0.03)] * 100,
    "sotas all 70 %, in pairs": [Cell(0.70, 500, None, paired=True, lift=0.03)] * 100,
    "sotas all 70 %, partial credit": [Cell(0.70, 500, None, lift=0.03, kind="anls")] * 100,
}
COSTLY = {
    "100 clusters of unequal size": [Cell(0.70, 500, 100, lift=0.03)] * 100,
    "100 clusters of 5": [Cell(0.70, 500, 100, lift=0.03, even=True)] * 100,
    "100 clusters of unequal size, in pairs": [Cell(0.70, 500, 100, paired=True, lift=0.03)] * 100,
    "100 clusters of 5, in pairs": [Cell(0.70, 500, 100, paired=True, lift=0.03, even=True)] * 100,
}


def drawn(cell: Cell, seed: int) -> tuple[float, float]:
    """Both p values of one draw of a cell."""
    return cell.ps(np.random.Generator(np.random.Philox(key=[seed, 0])))


def run_of(cells: Sequence[Cell], seed: int) -> list[float]:
    """The p values of one run."""
    return [cell.ps(np.random.Generator(np.random.Philox(key=[seed, index])))[0] for index, cell in enumerate(cells)]


def some_win(family: dict[int, float], ps: Sequence[float]) -> bool:
    """Whether the run wins any task."""
    return min(holm(dict(enumerate(map(float, ps))), family).values()) <= ALPHA


def family_of(cells: Sequence[Cell]) -> dict[int, float]:
    return shares({index: cell.proportion for index, cell in enumerate(cells)}, ALPHA)


def error_of(share: float, draws: int) -> float:
    return sqrt(max(share, 1 / draws) * (1 - share) / draws)


def limit(share: float, draws: int) -> float:
    """What a rate of `share` may look like, two standard errors beyond it."""
    return share + 2 * sqrt(share * (1 - share) / draws)


def beyond(ps: np.ndarray) -> bool:
    """Whether more is wrong than may be, for a task alone or as one of `ALIKE`."""
    return any((ps <= alpha).mean() > limit(alpha, len(ps)) for alpha in (ALPHA, ALPHA / ALIKE))


def alone(ps: np.ndarray) -> str:
    """How often a task is wrongly claimed by itself."""
    share = float((ps <= ALPHA).mean())
    return f"{share:.2%} +- {error_of(share, len(ps)):.2%}"


def among(ps: np.ndarray) -> str:
    """How often some task is in a run of `ALIKE`: at first sight the sum, which is a little more."""
    share = float((ps <= ALPHA / ALIKE).mean())
    return f"{ALIKE * share:.2%} +- {ALIKE * error_of(share, len(ps)):.2%}"


Map = Callable[[Callable[[int], object], range], Iterator[object]]


def show_grid(run: Map, seeds: int) -> None:
    grid = np.array(list(run(partial(run_of, GRID), range(seeds))))
    family = family_of(GRID)
    rate = float(np.mean([some_win(family, ps) for ps in grid]))
    bound = limit(ALPHA, seeds)
    report(f"grid of {len(GRID)} tasks: a false win", f"{rate:.2%}", f"<= {bound:.2%}", met=rate <= bound)
    alone = (grid <= ALPHA).mean(axis=0)
    worst = int(alone.argmax())
    report(f"worst alone: {GRID[worst]}", f"{alone[worst]:.2%}", f"<= {bound:.2%}", met=alone[worst] <= bound)
    for alpha in (0.005, 0.0005):
        share = float((grid <= alpha).mean())
        report(f"p values of at most {alpha:g}, all tasks", f"{share:.2g}", f"<= {alpha:g}", met=share <= alpha)


def show_cases(run: Map, seeds: int, only: str) -> None:
    """The worst case of each group in either direction, and all that stay beyond their limit when drawn again."""
    for name, cells in CASES.items():
        if only not in name:
            continue
        found = {cell: np.array(list(run(partial(drawn, cell), range(cell.draws(seeds))))) for cell in cells}
        for place, claim in enumerate(("a false win", "a false below")):
            if (name, place) == ("margin", 1):
                continue
            each = {cell: ps[:, place] for cell, ps in found.items()}
            for cell in [cell for cell, ps in each.items() if beyond(ps)]:
                draws = cell.draws(seeds)
                again = list(run(partial(drawn, cell), range(draws, draws * (1 + AGAIN))))
                each[cell] = np.array(again)[:, place]
                if beyond(each[cell]):
                    report(f"! {cell}", f"{alone(each[cell])}, {among(each[cell])}", "<= 5 %", met=False)
            worst = max(each, key=lambda cell: float((each[cell] <= ALPHA).mean()))
            draws = ", ".join(f"{count:,}" for count in sorted({len(ps) for ps in each.values()}))
            figure = f"{alone(each[worst])}, {among(np.concatenate(list(each.values())))}"
            met = not any(map(beyond, each.values()))
            report(f"{name}: {claim} alone (worst), of {ALIKE} (all)", figure, "<= 5 %", met=met)
            print(f"    {len(cells)} cases of {draws} draws; worst: {worst}")


def show_power(run: Map, seeds: int, groups: dict[str, list[Cell]], least: float) -> None:
    for name, cells in groups.items():
        family = family_of(cells)
        if all(cell.proportion and cell.clusters is None for cell in cells):
            power = exact(cells, family)
            wrong = exact([cell._replace(lift=0.0) for cell in cells], family)
            figure = f"{power:.2%}, false wins {wrong:.2%}, exactly"
        else:
            wins = [some_win(family, ps) for ps in run(partial(run_of, cells), range(seeds))]
            power = float(np.mean(wins))
            figure = f"{power:.1%} +- {error_of(power, seeds):.1%}"
        report(f"power at +3 points, 100 x 500: {name}", figure, f">= {least:.0%}", met=power >= least)


def exact(cells: Sequence[Cell], family: Mapping[int, float]) -> float:
    """How often a run of proportions wins some task, from the binomial distributions themselves."""
    none = 1.0
    for index, cell in enumerate(cells):
        tails = binom.sf(np.arange(cell.size + 1) - 1, cell.size, cell.sota)
        fewest = int(np.argmax(tails <= ALPHA / len(cells) * family[index]))
        none *= binom.cdf(fewest - 1, cell.size, cell.sota + cell.lift)
    return 1 - none


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["grid", "cases", "power", "clusters"])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name has this")
    options = parser.parse_args()
    started, seeds = time.monotonic(), options.seeds
    check_ranks()
    with ProcessPoolExecutor(options.workers) as pool:
        run = partial(pool.map, chunksize=10)
        if "grid" in options.parts:
            show_grid(run, seeds)
        if "cases" in options.parts:
            show_cases(run, seeds, options.only)
        if "power" in options.parts:
            show_power(run, max(1, seeds // 5), POWER, 0.9)
        if "clusters" in options.parts:
            show_power(run, max(1, seeds // 5), COSTLY, 0.0)
    print(f"{seeds} seeds, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
