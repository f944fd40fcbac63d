"""How often the verdict is wrong, and what it finds: models exactly at their sota, and models 3 points above it.

The grid has a task for every sota, size, clustering and kind of reference; a run is the whole grid as one family.
Hard cases are runs of many alike tasks. Everything is tested by the functions that judge real runs.

    python benchmarks/simulate_verdict.py [seeds]
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from math import sqrt
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from harness import report

from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric
from echelon.scorer.verdict.family import ALPHA, holm
from echelon.scorer.verdict.task import Measured, Opponent, examine

SEEDS = 2_000
WORKERS = 2
SOTAS = (0.02, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.98)
SIZES = (100, 200, 500)
CLUSTERS = (5, 20, 50, 100, None)


class Cell(NamedTuple):
    """One kind of task: a proportion of `size` samples in `clusters`, whose answers hang together by `icc`."""

    sota: float
    size: int
    clusters: int | None
    paired: bool
    lift: float = 0.0
    icc: float = 0.3
    kind: str = "accuracy"

    def p(self, random: np.random.Generator) -> float:
        """The p value of one such task, drawn and tested."""
        measure, worst, draw = KINDS[self.kind]
        ids = self.cluster_ids(random)
        luck = random.random((2, self.size))
        # Half of the samples are as hard for the one as for the other.
        luck[1] = np.where(random.random(self.size) < 0.5, luck[0], luck[1])
        model = draw(self.easiness(random, self.sota + self.lift)[ids], luck[0], random)
        other = draw(self.easiness(random, self.sota)[ids], luck[1], random) if self.paired else None
        opponent = Opponent(self.sota if measure.higher_is_better else 1 - self.sota, rows=other)
        test = examine(Measured(measure, model, [f"{n:04}" for n in ids.tolist()], worst), 0.0, opponent)
        return test.lead.above() if test.decidable else 1.0

    def cluster_ids(self, random: np.random.Generator) -> np.ndarray:
        """Which cluster each sample is of; clusters are of unequal sizes."""
        if self.clusters is None:
            return np.arange(self.size)
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


def whole(easiness: np.ndarray, luck: np.ndarray, _: np.random.Generator) -> list:
    """Right or wrong."""
    return [(value, 1.0) for value in (luck < easiness).astype(float).tolist()]


def partly(easiness: np.ndarray, _: np.ndarray, random: np.random.Generator) -> list:
    """Credit in quarters."""
    return [(value, 1.0) for value in (random.binomial(4, easiness) / 4).tolist()]


def words(easiness: np.ndarray, _: np.ndarray, random: np.random.Generator) -> list:
    """Sentences of 3 to 29 words."""
    lengths = random.integers(3, 30, len(easiness))
    edits = lengths - random.binomial(lengths, easiness)
    return list(zip(edits.astype(float).tolist(), lengths.astype(float).tolist(), strict=True))


def labels(easiness: np.ndarray, _: np.ndarray, random: np.random.Generator) -> list:
    """Sets of one to four labels, as many given as wanted."""
    counts = random.integers(1, 5, len(easiness))
    right = random.binomial(counts, easiness)
    return np.column_stack([right, counts - right, counts - right]).astype(float).tolist()


def decibels(easiness: np.ndarray, luck: np.ndarray, random: np.random.Generator) -> list:
    """Around 25 dB, the harder the lower, with a heavy tail."""
    noise = random.standard_t(3, len(easiness))
    return [(value, 1.0) for value in (20 + 8 * easiness - 6 * luck + noise).clip(0, 100).tolist()]


KINDS: dict[str, tuple[Metric, tuple[float, ...], Callable[..., list]]] = {
    "accuracy": (metric("accuracy"), (0.0, 1.0), whole),
    "anls": (metric("anls"), (0.0, 1.0), partly),
    "wer": (metric("wer"), (29.0, 29.0), words),
    "micro_f1": (metric("micro_f1"), (0.0, 4.0, 4.0), labels),
    "psnr": (metric("psnr"), (0.0, 1.0), decibels),
}

GRID = [Cell(*each) for each in product(SOTAS, SIZES, CLUSTERS, (False, True))]
HARD = {
    "proportion at 2 %, 20 clusters of one answer each": [Cell(0.02, 100, 20, False, icc=1.0)] * 40,
    "proportion at 98 %, 20 clusters": [Cell(0.98, 100, 20, False, icc=0.3)] * 40,
    "proportion at 98 %, 500 samples": [Cell(0.98, 500, None, False)] * 40,
    "proportion at 50 %, 100 clusters": [Cell(0.50, 500, 100, False)] * 40,
    "pairs at 90 %, 100 clusters": [Cell(0.90, 500, 100, True)] * 40,
    "partial credit at 95 %, 50 clusters": [Cell(0.95, 200, 50, False, kind="anls")] * 40,
    "word errors at 5 %, 100 samples": [Cell(0.95, 100, None, False, kind="wer")] * 40,
    "word errors at 5 %, 50 clusters": [Cell(0.95, 200, 50, False, kind="wer")] * 40,
    "word errors at 20 %, pairs": [Cell(0.80, 200, None, True, kind="wer")] * 40,
    "decibels in pairs, 100 samples": [Cell(0.50, 100, None, True, kind="psnr")] * 40,
    "decibels in pairs, 50 clusters": [Cell(0.50, 200, 50, True, kind="psnr")] * 40,
    "micro-F1 at 90 %, 100 samples": [Cell(0.90, 100, None, False, kind="micro_f1")] * 40,
    "micro-F1 at 50 %, 50 clusters": [Cell(0.50, 200, 50, False, kind="micro_f1")] * 40,
}
POWER = {
    "sotas of 5 to 95 %": [Cell(0.05 + 0.9 * n / 99, 500, None, False, lift=0.03) for n in range(100)],
    "sotas all 70 %": [Cell(0.70, 500, None, False, lift=0.03)] * 100,
    "sotas all 50 %, the hardest": [Cell(0.50, 500, None, False, lift=0.03)] * 100,
    "sotas all 70 %, in pairs": [Cell(0.70, 500, None, True, lift=0.03)] * 100,
    "sotas all 70 %, partial credit": [Cell(0.70, 500, None, False, lift=0.03, kind="anls")] * 100,
}
COSTLY = {
    "sotas all 70 %, 100 clusters": [Cell(0.70, 500, 100, False, lift=0.03)] * 100,
    "the same in pairs": [Cell(0.70, 500, 100, True, lift=0.03)] * 100,
}


def simulated(cells: Sequence[Cell], seed: int) -> list[float]:
    """The p values of one run."""
    return [cell.p(np.random.Generator(np.random.Philox(key=[seed, index]))) for index, cell in enumerate(cells)]


def some_win(ps: Sequence[float]) -> bool:
    """Whether the run wins any task."""
    return min(holm(dict(enumerate(map(float, ps))), len(ps)).values()) <= ALPHA


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    error = sqrt(ALPHA * (1 - ALPHA) / seeds)
    started = time.monotonic()
    with ProcessPoolExecutor(WORKERS) as pool:

        def runs(cells: Sequence[Cell], count: int) -> np.ndarray:
            return np.array(list(pool.map(partial(simulated, cells), range(count), chunksize=10)))

        grid = runs(GRID, seeds)
        show(f"grid of {len(GRID)} tasks at sota: a false win in a run", np.mean([some_win(ps) for ps in grid]), error)
        alone = (grid <= ALPHA).mean(axis=0)
        worst = int(alone.argmax())
        show(f"the worst of them alone: {described(GRID[worst])}", alone[worst], error)
        beyond = int((alone > ALPHA + 2 * error).sum())
        report("tasks of the grid that are beyond by themselves", f"{beyond}", "0", met=beyond == 0)
        for alpha in (0.005, 0.0005):
            share = float((grid <= alpha).mean())
            report(f"p values of at most {alpha:g}, all tasks", f"{share:.2g}", f"<= {alpha:g}", met=share <= alpha)
        for name, cells in HARD.items():
            count = seeds // 2
            hard = sqrt(ALPHA * (1 - ALPHA) / count)
            show(f"40 x {name}", np.mean([some_win(ps) for ps in runs(cells, count)]), hard)
        for name, cells in (POWER | COSTLY).items():
            found = runs(cells, max(1, seeds // 5))
            power = float(np.mean([some_win(ps) for ps in found]))
            target = ">= 90 %" if name in POWER else "none: clusters cost"
            report(f"power at +3 points, 100 x 500: {name}", f"{power:.1%}", target, met=power >= 0.9 or name in COSTLY)
    print(f"{seeds} seeds, {time.monotonic() - started:.0f} s")


def show(name: str, rate: float, error: float) -> None:
    """One line: how often something is wrongly claimed."""
    limit = ALPHA + 2 * error
    report(name, f"{rate:.2%}", f"<= {limit:.2%}", met=rate <= limit)


def described(cell: Cell) -> str:
    clusters = f"{cell.clusters} clusters" if cell.clusters else "no clusters"
    return f"{cell.sota:.0%}, n {cell.size}, {clusters}, {'pairs' if cell.paired else 'constant'}"


if __name__ == "__main__":
    main()
