"""The UCI handwritten digits (see digits-licence.txt), in three disjoint parts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from echelon.scorer.suites.starter.example import Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RANGES = {Split.TRAIN: range(1000), Split.VALIDATION: range(1000, 1297), Split.TEST: range(1297, 1797)}
"""Which of the 1797 digits each split may use."""


def pick(rng: np.random.Generator, split: Split) -> tuple[int, NDArray[np.float64], int]:
    """A digit of that split: its index, its 8x8 ink from 0 to 1, and what it is."""
    images, labels = _digits()
    index = int(rng.choice(RANGES[split]))
    return index, images[index] / 16, int(labels[index])


@cache
def _digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    import numpy as np

    with (files(__package__) / "digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return archive["images"], archive["labels"]
