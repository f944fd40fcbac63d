"""Metrics of masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from echelon.adapters import Kind, Mask, Part
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import InvalidAnswer, RatioMetric, Stats, expect, quotient, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_CLASS = 255
"""The value of a pixel without a class: wrong in an answer, ignored in a reference."""


class MeanIoU(RatioMetric):
    """The mean over classes of intersection by union, pooled over all samples.

    The stats are the intersections of every class, then the unions. A class that occurs nowhere does not count.
    """

    name = "miou"
    variant = "@1;pool=task;classes=occurring;unlabelled=ignored"
    kind = Kind.MASK

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        super().__init__(worst, labels)
        if not 0 < len(labels) < NO_CLASS:
            raise InvalidSuiteError(
                f"metric 'miou' needs the task's labels, 1 to {NO_CLASS - 1} of them, not {len(labels)}"
            )

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_both(self._classes, prediction, reference)
        if given.shape != wanted.shape:
            raise InvalidAnswer(f"the mask has the shape {given.shape}, {wanted.shape} is wanted")
        return self._stats(given, wanted)

    def worst(self, references: Sequence[Part]) -> Stats:
        import numpy as np

        wanted = self._classes(references[0])
        missed = self._stats(np.full_like(wanted, NO_CLASS), wanted)
        # As many pixels wrong as missed.
        return tuple(2 * count for count in missed)

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        inside, unions = np.split(sums, 2, axis=-1)
        occurring = np.count_nonzero(unions, axis=-1)
        return quotient(quotient(inside, unions).sum(axis=-1), np.asarray(occurring, np.float64), empty=1.0)

    def _classes(self, part: Part) -> NDArray[np.uint8]:
        """Each pixel's place in the task's labels."""
        import numpy as np

        mask = expect(part, Mask)
        places = {label: place for place, label in enumerate(self.labels)}
        table = np.full(256, NO_CLASS, np.uint8)
        for value, label in enumerate((mask.labels or self.labels)[:256]):
            table[value] = places.get(label, NO_CLASS)
        return table[mask.array()]

    def _stats(self, given: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> Stats:
        import numpy as np

        counted = wanted != NO_CLASS
        pairs = wanted[counted].astype(np.intp) * 256 + given[counted]
        joint = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
        inside = joint.diagonal()
        union = joint.sum(axis=0) + joint.sum(axis=1) - inside
        count = len(self.labels)
        return tuple(map(float, (*inside[:count], *union[:count])))
