"""What every average precision shares, whatever is detected: matching and accumulation."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import repeat
from math import fsum
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from echelon.adapters import Part
from echelon.scorer.metrics.labels import label_code
from echelon.scorer.metrics.metric import Metric, Stats, ratio, read_both, read_reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLACK = 1e-10
NO_LABEL = -1.0
OBJECT, MISSES = -1.0, 0.0
"""What stands in a row's third place for an object, and for a detection that hits none; else bits, see `Detection`."""
RECALLS = 101


class Found(Protocol):
    """A detection, or an object that is to be detected."""

    @property
    def score(self) -> float | None:
        """How sure it is; an object has none."""


FoundT = TypeVar("FoundT", bound=Found)
Group: TypeAlias = tuple[int, str]
"""Frame and label: what detections and objects must share to match."""


class Detection(Metric, Generic[FoundT]):
    """An average precision over the labels of the references, averaged over how close a detection has to be.

    The stats are triples (label, score, hits), one for each object and each detection. Hits have a bit for each limit
    within which an object is hit, and above these one for each within which an excused object is. Among detections of
    one score false alarms go first, so that neither the order of the samples nor giving all of them one score changes
    or helps a score.
    """

    limits: ClassVar[tuple[float, ...]]
    """How close a hit is at least, in rising order."""
    most: ClassVar[int] = 100
    """Detections of one label in one frame that count, the best-scored ones."""

    @abstractmethod
    def groups(self, part: Part) -> Mapping[Group, Sequence[FoundT]]:
        """What the part holds, if it can be computed with; InvalidInputError otherwise."""

    @abstractmethod
    def closeness(self, found: Sequence[FoundT], objects: Sequence[FoundT]) -> Sequence[Sequence[float]]:
        """For each detection, how close it is to each object; higher is closer. Neither is empty."""

    @abstractmethod
    def area(self, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
        """What lies under the curve, which has a point for each detection by falling score."""

    def is_excused(self, wanted: FoundT) -> bool:
        """Whether an object need not be found; what hits no other is then neither right nor wrong."""
        return False

    def is_crowd(self, wanted: FoundT) -> bool:
        """Whether an excused object is many in one, so that any number of detections may hit it."""
        return False

    def tried(self, close: Sequence[float], places: Sequence[int]) -> Sequence[int]:
        """Which of these objects a detection tries to hit, in turn, by how close it is to each."""
        return sorted(places, key=close.__getitem__, reverse=True)

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self._stats(*read_both(self.groups, prediction, reference))

    def worst(self, references: Sequence[Part]) -> Stats:
        # Rightly seeing nothing must not look the same as failing.
        return self._stats({}, read_reference(self.groups, references[0])) or (NO_LABEL, 1.0, MISSES)

    def heaviest(self, rows: Sequence[Stats], worst: Stats) -> Stats:
        """All objects missed of the label that has the fewest, as many as a sample has at most."""
        counts = [Counter(row[::3][at] for at, kind in enumerate(row[2::3]) if kind == OBJECT) for row in rows]
        total = sum(counts, Counter[float]())
        if not total:
            return worst
        rarest = min(total, key=lambda label: (total[label], label))
        return (rarest, 0.0, OBJECT) * max(count[rarest] for count in counts)

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        records = np.concatenate([np.asarray(row, np.float64) for row in rows]).reshape(-1, 3)
        is_object = records[:, 2] == OBJECT
        labels, counts = np.unique(records[is_object, 0], return_counts=True)
        found = records[~is_object]
        areas: list[float] = []
        for label, count in zip(labels, counts, strict=True):
            _, scores, marks = found[found[:, 0] == label].T
            order = np.argsort(-scores)
            distinct = bool(np.diff(scores[order]).all())
            bits = marks.astype(np.int64)
            some_excused = bool((bits >> len(self.limits)).any())
            for place in range(len(self.limits)):
                hit = bits >> place & 1
                ranked = order if distinct else np.lexsort((hit, -scores))
                if some_excused:
                    ranked = ranked[(bits[ranked] >> place + len(self.limits) & 1) == 0]
                caught = hit[ranked].cumsum()
                areas.append(self.area(caught / np.arange(1, len(ranked) + 1), caught / count))
        return ratio(fsum(areas), len(areas), empty=0.0 if len(found) else 1.0)

    def _stats(
        self, given: Mapping[Group, Sequence[FoundT]], wanted: Mapping[Group, Sequence[FoundT]]
    ) -> tuple[float, ...]:
        excused_throughout = self._everywhere << len(self.limits)
        records: list[float] = []
        for group in sorted(given.keys() | wanted.keys()):
            objects = wanted.get(group, ())
            code = label_code(group[1])
            found = sorted(given.get(group, ()), key=score_of, reverse=True)[: self.most]
            for each, hits in zip(found, self._hits(found, objects) if objects else repeat(0), strict=False):
                if hits != excused_throughout:
                    records += (code, score_of(each), float(hits))
            records += (code, 0.0, OBJECT) * sum(not self.is_excused(each) for each in objects)
        return tuple(records)

    @property
    def _everywhere(self) -> int:
        """A bit for each limit."""
        return (1 << len(self.limits)) - 1

    def _hits(self, found: Sequence[FoundT], objects: Sequence[FoundT]) -> Iterator[int]:
        """For each detection, best first, the limits within which it hits the closest object still free there.

        Excused objects come after all others.
        """
        excused = [place for place, each in enumerate(objects) if self.is_excused(each)]
        due = [place for place in range(len(objects)) if place not in excused] if excused else range(len(objects))
        crowds = {place for place in excused if self.is_crowd(objects[place])}
        free = [self._everywhere] * len(objects)
        for close in self.closeness(found, objects):
            hits = self._taken(close, due, free, self._everywhere)
            missing = self._everywhere & ~hits
            if excused and missing:
                hits |= self._taken(close, excused, free, missing, crowds) << len(self.limits)
            yield hits

    def _taken(
        self, close: Sequence[float], places: Sequence[int], free: list[int], open_: int, crowds: Collection[int] = ()
    ) -> int:
        """The limits, of those that are open, within which one of these objects is hit; it is then no longer free."""
        hits = 0
        for place in self.tried(close, places):
            within = (1 << bisect_right(self.limits, close[place] + SLACK)) - 1
            if not within:
                break
            taken = within & free[place] & open_ & ~hits
            hits |= taken
            if place not in crowds:
                free[place] &= ~taken
        return hits


class CocoDetection(Detection[FoundT]):
    """COCO's average precision: Lin et al. 2014, arXiv 1405.0312."""

    def tried(self, close: Sequence[float], places: Sequence[int]) -> Sequence[int]:
        """The closest first, and of objects that are equally close the last, as in COCO's code."""
        return sorted(places, key=close.__getitem__)[::-1]

    def area(self, precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
        """The mean, over 101 recalls, of the best precision at that recall or above."""
        import numpy as np

        best = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(recall, np.linspace(0, 1, RECALLS))
        return fsum(best[at[at < len(best)]]) / RECALLS


COCO_LIMITS = tuple(0.5 + 0.05 * step for step in range(10))
"""The overlaps over which COCO averages."""


def score_of(found: Found) -> float:
    """A detection without a score is as sure as can be."""
    return 1.0 if found.score is None else found.score
