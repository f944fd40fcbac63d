"""How a metric's values are written in a workbook: which way is better, in what unit, and what is possible."""

from __future__ import annotations

from functools import cache
from math import inf
from typing import NamedTuple

from echelon.scorer.errors import UnknownNameError
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


_ERRORS = (
    "abs_rel",
    "chamfer",
    "epe",
    "fad",
    "fid",
    "fvd",
    "lpips",
    "mae",
    "mcd",
    "mse",
    "rms",
    "rmse",
    "rte",
    "sad",
)
_OTHERS = {
    **{name: Measure(name, higher_is_better=False, per_cent=False, highest=inf) for name in _ERRORS},
    "cider": Measure("cider", highest=1000.0),
    "mos": Measure("mos", per_cent=False, lowest=1.0, highest=5.0),
    "ms_ssim": Measure("ms_ssim", per_cent=False, lowest=-1.0, highest=1.0),
    "pcc": Measure("pcc", lowest=-100.0),
    "psnr": Measure("psnr", per_cent=False, highest=inf),
    # More words can be wrong than there are, but the editions' maps end at 100 %.
    "wer": Measure("wer", higher_is_better=False),
}
"""All but what is in percent and better the higher it is."""

_OF_THE_TUTORIAL = {"AP@0.1": "ap10", "LPIPS": "lpips", "Recall@1": "recall_at_1", "ROUGH-L": "rouge_l"}
"""Spellings of the suite of 2024 that General-Bench does not have."""


@cache
def measure(spelling: str) -> Measure:
    """What a spelling stands for; UnknownNameError if nothing."""
    name = _OF_THE_TUTORIAL.get(spelling) or canonical(spelling)
    return _OTHERS.get(name) or Measure(name)


def alike(one: str, other: str) -> bool:
    """Whether two spellings stand for the same metric."""
    try:
        return one == other or measure(one) == measure(other)
    except UnknownNameError:
        return False
