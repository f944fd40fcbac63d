"""How a metric's values are written in a workbook: which way is better, in what unit, and what is possible."""

from __future__ import annotations

from functools import cache
from math import inf
from typing import NamedTuple

from echelon.scorer.errors import UnknownNameError
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric_type
from echelon.scorer.metrics.spellings import canonical


class Measure(NamedTuple):
    """A metric as workbooks write it; `lowest` and `highest` are in the workbook's unit."""

    name: str
    higher_is_better: bool = True
    per_cent: bool = True
    lowest: float = 0.0
    highest: float = 100.0

    @property
    def per(self) -> int:
        """What a workbook's value is divided by to give the metric's own."""
        return 100 if self.per_cent else 1

    def own_unit(self, value: float) -> float:
        """A workbook's value in the metric's own unit."""
        return value / self.per


_UNMEASURED = {
    "lpips": Measure("lpips", higher_is_better=False, per_cent=False, highest=inf),
    "recall_at_1": Measure("recall_at_1"),
}
"""Metrics of the suite of 2024 that no class here computes."""
_PER_CENT = {"cider": True, "ms_ssim": False, "pcc": True}
"""Whether workbooks give percent, for the metrics where that does not follow from the metric's own unit."""
_WIDER = {"ms_ssim": (-1.0, 1.0), "psnr": (0.0, inf), "success_auc": (0.0, 1.0)}
"""What other people's definitions of a metric can give beyond ours, in the metric's own unit."""

_OF_THE_TUTORIAL = {"AP@0.1": "ap10", "LPIPS": "lpips", "Recall@1": "recall_at_1", "ROUGH-L": "rouge_l"}
"""Spellings of the suite of 2024 that General-Bench does not have."""


@cache
def measure(spelling: str) -> Measure:
    """What a spelling stands for; UnknownNameError if nothing."""
    name = _OF_THE_TUTORIAL.get(spelling) or canonical(spelling)
    return _UNMEASURED.get(name) or _of_class(name, metric_type(name))


def _of_class(name: str, kind: type[Metric]) -> Measure:
    per_cent = _PER_CENT.get(name, kind.unit == "fraction")
    lowest, highest = (100 * end if per_cent else end for end in _WIDER.get(name, kind.range))
    return Measure(name, kind.higher_is_better, per_cent, lowest, highest)


def alike(one: str, other: str) -> bool:
    """Whether two spellings stand for the same metric."""
    try:
        return one == other or measure(one) == measure(other)
    except UnknownNameError:
        return False
