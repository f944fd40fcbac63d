"""Whether a score is above chance by more than luck would have it, for the levels of the point gate."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt

from echelon.scorer.metrics.metric import Metric, Stats

BLOCKS = 20
"""Groups of clusters; with fewer clusters nothing is claimed."""
MOST_ALPHA = 0.001
"""How often a single task may be wrongly above chance, in suites so small that their tasks could spend more."""
_ROUNDING = 1e-9


def alpha_of_a_task(alpha: float, tasks: int) -> float:
    """An equal share of `alpha` for each of the suite's tasks (Bonferroni), and `MOST_ALPHA` at most."""
    return min(MOST_ALPHA, alpha / max(1, tasks))


def clearly_above(measure: Metric, rows: Sequence[Stats], clusters: Sequence[str], chance: float, alpha: float) -> bool:
    """Whether the score of `rows` is above chance, wrongly with probability `alpha` at most.

    The standard error is that of a jackknife over groups of clusters, which holds for every metric: Quenouille 1956,
    Miller 1974. It is compared with Student's t of one degree of freedom less than there are groups.
    """
    from scipy.stats import t

    block_of: dict[str, int] = {}
    for cluster in clusters:
        block_of.setdefault(cluster, len(block_of) % BLOCKS)
    score = measure.finish(rows)
    lift = score - chance if measure.higher_is_better else chance - score
    if not lift > _ROUNDING * max(1.0, abs(chance)) or len(block_of) < BLOCKS:
        return False
    blocks = [block_of[cluster] for cluster in clusters]
    left_out = [
        measure.finish([row for row, own in zip(rows, blocks, strict=True) if own != block]) for block in range(BLOCKS)
    ]
    mean = fsum(left_out) / BLOCKS
    error = sqrt((BLOCKS - 1) / BLOCKS * fsum((value - mean) ** 2 for value in left_out))
    return lift > float(t.isf(alpha, BLOCKS - 1)) * error
