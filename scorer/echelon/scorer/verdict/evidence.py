"""What a task's samples say, cluster by cluster, in the form that the test needs: gains to weigh against a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from math import isinf
from typing import TYPE_CHECKING, NamedTuple

from echelon.scorer.metrics.metric import MeanMetric, Metric, RatioMetric, Stats
from echelon.scorer.verdict.p_value import COARSE, TOLERANCE, p_not_above_zero, z_score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_GROUPS = 100
"""Groups that are left out in turn where a metric has no sums: clusters are pooled into so many."""
_STEPS = 60
_NEAR = 2e-3
"""How near a bound is to where it should be, in standard errors."""


@dataclass(frozen=True)
class Evidence:
    """A score as a mean over clusters, higher being better whatever the metric's direction.

    The score is above a figure where the mean of `gains - figure * sizes` is above 0. `floor` and `ceiling` are the
    least and the most that a cluster of size `largest` can gain on the metric's scale, seen or not; infinite where the
    scale has no end.
    """

    gains: NDArray[np.float64]
    sizes: NDArray[np.float64]
    floor: float
    ceiling: float
    largest: float
    copies: NDArray[np.float64] | None = None
    """How often each cluster counts, in parts too; None where each does once."""

    @cached_property
    def value(self) -> float:
        """The score, and with a metric that is no mean its estimate by the jackknife."""
        if self.copies is not None:
            return float((self.gains * self.copies).sum() / (self.sizes * self.copies).sum())
        return float(self.gains.sum() / self.sizes.sum())

    def above(self, figure: float, times: float = 1.0, tolerance: float = TOLERANCE) -> float:
        """Compute the p value of "not above `figure`", were there `times` as many clusters like these.

        It is at least 0.5 where the score itself is not above `figure`.
        """
        if isinf(self.floor):
            return 1.0
        gains, sizes, copies = self._distinct
        worst = self.floor - figure * self.largest
        found = p_not_above_zero(gains - figure * sizes, copies * times, worst, tolerance)
        return found if self.value > figure else max(found, 0.5)

    def below(self, figure: float, times: float = 1.0, tolerance: float = TOLERANCE) -> float:
        """Compute the p value of "not below `figure`"."""
        return self.mirrored.above(-figure, times, tolerance)

    @cached_property
    def mirrored(self) -> Evidence:
        """The same with better and worse exchanged."""
        return Evidence(-self.gains, self.sizes, -self.ceiling, -self.floor, self.largest, self.copies)

    @cached_property
    def _distinct(self) -> tuple[NDArray[np.float64], ...]:
        """Gains, sizes and how often they occur, in an order of their own."""
        import numpy as np

        copies = np.ones(len(self.gains)) if self.copies is None else self.copies
        if (self.sizes == self.sizes[0]).all() and (copies == copies[0]).all():
            gains, counts = np.unique(self.gains, return_counts=True)
            return gains, np.full(len(gains), self.sizes[0]), counts * copies[0]
        order = np.lexsort((self.sizes, self.gains))
        return self.gains[order], self.sizes[order], copies[order]

    def lower(self, alpha: float) -> float:
        """Compute the one-sided lower confidence bound at level 1 - `alpha`; -inf where there is none."""
        if alpha not in self._lower_bounds:
            self._lower_bounds[alpha] = self._lower(alpha)
        return self._lower_bounds[alpha]

    @cached_property
    def _lower_bounds(self) -> dict[float, float]:
        """The bounds that were computed already, by alpha."""
        return {}

    def _lower(self, alpha: float) -> float:
        low, high = self.floor / self.largest, self.value
        if isinf(low) or low >= high or self.above(low, tolerance=COARSE) > alpha:
            return low
        target = z_score(alpha)

        def excess(figure: float) -> float:
            return z_score(self.above(figure, tolerance=COARSE)) - target

        return find_root(excess, (low, high), -target, self._guess(target))

    def upper(self, alpha: float) -> float:
        """Compute the one-sided upper confidence bound; inf where there is none."""
        return -self.mirrored.lower(alpha)

    def _guess(self, target: float) -> float:
        """Guess the lower bound from one at another level, or as if the errors were normal."""
        import numpy as np

        for alpha, bound in self._lower_bounds.items():
            return self.value - (self.value - bound) * target / z_score(alpha)
        gains, sizes, copies = self._distinct
        squares = copies * (gains - self.value * sizes) ** 2
        return self.value - target * float(np.sqrt(squares.sum()) / (copies * sizes).sum())


def find_root(excess: Callable[[float], float], bracket: tuple[float, float], at_high: float, guess: float) -> float:
    """Find where a falling, nearly linear function crosses 0, by a bracketed secant method.

    `at_high` is about its value at the bracket's upper end. The result is biased downwards by `_NEAR`, so that a lower
    confidence bound stays conservative.
    """
    low, high = bracket
    near, last, at = 1e-6 * (high - low), (high, at_high), guess
    for _ in range(_STEPS):
        if not low < at < high:
            at = (low + high) / 2
        here = (at, excess(at))
        # Where both of two p values are too small to be told apart, the function is 0 for a while.
        low, high = (at, high) if here[1] >= 0 else (low, at)
        if high - low <= near or 0 <= here[1] <= 2 * _NEAR:
            break
        slope = (here[1] - last[1]) / (here[0] - last[0]) if here[0] != last[0] else 0.0
        # A hair too low: what is reported must not promise too much.
        at = here[0] - (here[1] - _NEAR) / slope if slope < 0 else high
        last = here
    return low


def evidence(metric: Metric, rows: Sequence[Stats], clusters: Sequence[str], worst: Stats) -> Evidence:
    """What the samples' stats say of their score; `worst` are those of a failed sample, the heaviest there is."""
    if is_mean(metric):
        return _mean(metric, rows, clusters, worst)
    if isinstance(metric, RatioMetric):
        return _jackknife(metric, _by_sums(metric, rows, clusters, worst), worst)
    return _jackknife(metric, _by_rows(metric, rows, clusters, worst), worst)


def is_mean(metric: Metric) -> bool:
    """Whether the score is the plain mean of the samples' values."""
    return isinstance(metric, MeanMetric) and type(metric).from_sums is MeanMetric.from_sums


def paired(model: Evidence, reference: Evidence) -> Evidence:
    """Build the evidence of the difference between two models' scores on the same samples.

    The worst cluster that could have come is the model's worst against the reference's best, on the metric's scale and
    not among the values seen: a model that fails rarely may not have failed here.
    """
    gains = model.gains - reference.gains
    floor, ceiling = model.floor - reference.ceiling, model.ceiling - reference.floor
    return Evidence(gains, model.sizes, floor=floor, ceiling=ceiling, largest=model.largest)


def is_fraction(metric: Metric) -> bool:
    """Whether the scale has two ends that scores come near to, 0 and 1, unlike decibels or errors."""
    return metric.unit == "fraction"


def _sign(metric: Metric) -> float:
    return 1.0 if metric.higher_is_better else -1.0


def _best(metric: Metric) -> float:
    """The end of the metric's scale that is best, higher being better; inf where it has none."""
    return metric.range[1] if metric.higher_is_better else -metric.range[0]


def _mean(metric: Metric, rows: Sequence[Stats], clusters: Sequence[str], worst: Stats) -> Evidence:
    """A mean's clusters are sums; nothing is approximated."""
    sums, _ = _clustered(rows, clusters)
    gains, sizes = _sign(metric) * sums[:, 0], sums[:, 1]
    values, largest = gains / sizes, float(sizes.max())
    floor = min(_sign(metric) * worst[0] / worst[1], float(values.min()))
    ceiling = max(_best(metric), float(values.max()))
    return Evidence(gains, sizes, floor * largest, ceiling * largest, largest)


class _LeftOut(NamedTuple):
    """A score, the scores without each cluster in turn, and the score with a wholly failed cluster more."""

    score: float
    without: NDArray[np.float64]
    with_failed: float
    largest: float
    """Samples of the largest cluster, by the mean cluster's."""


def _jackknife(metric: Metric, found: _LeftOut, worst: Stats) -> Evidence:
    """Other metrics' clusters are pseudo-values: what the score would lose without each (Quenouille 1956)."""
    import numpy as np

    sign, groups = _sign(metric), len(found.without)
    score = sign * found.score
    values = (groups - 1) * sign * (found.score - found.without)
    values += score - values.mean()
    floor = score + (groups + 1) * (sign * found.with_failed - score)
    # The best cluster weighs what a failed one does.
    fall = score - sign * metric.finish([worst])
    weight = (score - floor) / fall if fall > 0 else found.largest
    ceiling = score + weight * (_best(metric) - score)
    return Evidence(
        values, np.ones(groups), min(floor, float(values.min())), max(ceiling, float(values.max())), largest=1.0
    )


def _by_sums(metric: RatioMetric, rows: Sequence[Stats], clusters: Sequence[str], worst: Stats) -> _LeftOut:
    import numpy as np

    sums, counts = _clustered(rows, clusters)
    total = sums.sum(axis=0)
    most = float(counts.max())
    scores = metric.from_sums(np.vstack([total, total + most * np.array(worst), total - sums]))
    return _LeftOut(float(scores[0]), scores[2:], float(scores[1]), most / float(counts.mean()))


def _by_rows(metric: Metric, rows: Sequence[Stats], clusters: Sequence[str], worst: Stats) -> _LeftOut:
    import numpy as np

    names, code, samples = np.unique(np.array(clusters), return_inverse=True, return_counts=True)
    group = code % min(len(names), MOST_GROUPS)
    counts = np.bincount(group)
    score, without = metric.finish(rows), []
    for left in range(len(counts)):
        kept = list(compress(rows, (group != left).tolist()))
        without.append(metric.finish(kept) if kept else score)
    # One cluster more, not a group of them.
    failed = metric.finish([*rows, *[metric.heaviest(rows, worst)] * int(samples.max())])
    return _LeftOut(score, np.array(without), failed, float(counts.max() / counts.mean()))


def _clustered(rows: Sequence[Stats], clusters: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The sums of each cluster and how many samples it has; the rows' order changes no bit of them."""
    import numpy as np

    table = np.array(rows, dtype=np.float64)
    _, code, counts = np.unique(np.array(clusters), return_inverse=True, return_counts=True)
    if len(counts) == len(table):
        return table[np.argsort(code)], counts
    order = np.lexsort((*table.T, code))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.add.reduceat(table[order], starts, axis=0), counts
