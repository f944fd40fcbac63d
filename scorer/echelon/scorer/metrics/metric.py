"""What a metric is, and what most metrics share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from math import fsum, inf, isfinite
from typing import ClassVar, TypeAlias, TypeVar

from echelon.adapters import Kind, Part
from echelon.adapters.errors import OutputInvalidError
from echelon.scorer.errors import InvalidSuiteError

Stats: TypeAlias = tuple[float, ...]
"""What one sample contributes; rows of all samples are all that a score needs."""

PartT = TypeVar("PartT", bound=Part)


class InvalidAnswer(OutputInvalidError):  # noqa: N818  (a sample's state, not a fault of the run)
    """The answer cannot be scored; its sample counts as `invalid`, for the reason in the text."""


class Metric(ABC):
    """One way to turn answers into a score: sample by sample into stats, then all stats into one number.

    A class is built with the task's declared `worst` and `labels` and holds no other state. A failed sample counts as
    a wholly wrong answer of the reference's size, so that failing never pays.
    """

    name: ClassVar[str]
    variant: ClassVar[str]
    """Version and every choice that changes the number, as they stand behind the name in the id."""
    kind: ClassVar[Kind]
    """The kind of part that predictions and references have."""
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "fraction"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        self.declared_worst = worst
        self.labels = labels

    @property
    def id(self) -> str:
        """Two scores compare only if their metrics' ids are equal."""
        return self.name + self.variant

    @abstractmethod
    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        """The stats of an answer, against the reference that suits it best; InvalidAnswer if it cannot be scored."""

    @abstractmethod
    def worst(self, references: Sequence[Part]) -> Stats:
        """The stats of a sample that the model failed."""

    @abstractmethod
    def finish(self, rows: Sequence[Stats]) -> float:
        """The score of all samples, the same to the bit in whatever order they come."""


class MeanMetric(Metric):
    """The mean of a number per sample, the stats being (number, 1)."""

    floor: ClassVar[float] = 0.0
    """What a failed sample counts."""

    @abstractmethod
    def value(self, prediction: Part, reference: Part) -> float:
        """The number of a sample, against one reference."""

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        return max(self.value(prediction, reference) for reference in references), 1.0

    def worst(self, references: Sequence[Part]) -> Stats:
        return self.floor, 1.0

    def finish(self, rows: Sequence[Stats]) -> float:
        return ratio(column(rows, 0), column(rows, 1))


class ErrorMetric(Metric):
    """The mean of an error per sample that no more than the task's declared `worst` can come of."""

    higher_is_better = False
    range = (0.0, inf)
    unit = ""

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        super().__init__(worst, labels)
        if worst is None or not (isfinite(worst) and worst > 0):
            raise InvalidSuiteError(
                f"metric {self.name!r} has no worst value of its own: give the task a `worst` above 0, not {worst}"
            )
        self._worst = worst

    @property
    def id(self) -> str:
        return f"{super().id};worst={self._worst!r}"

    @abstractmethod
    def error(self, prediction: Part, reference: Part) -> float:
        """How far a sample is from one reference."""

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        return min(self._worst, *(self.error(prediction, reference) for reference in references)), 1.0

    def worst(self, references: Sequence[Part]) -> Stats:
        return self._worst, 1.0

    def finish(self, rows: Sequence[Stats]) -> float:
        return ratio(column(rows, 0), column(rows, 1))


def column(rows: Iterable[Stats], index: int) -> float:
    """The exact sum of one column."""
    return fsum(row[index] for row in rows)


def ratio(numerator: float, denominator: float, *, empty: float = 0.0) -> float:
    """The quotient, or `empty` where there is nothing to divide by."""
    return numerator / denominator if denominator else empty


def expect(part: Part, part_type: type[PartT]) -> PartT:
    """The part as the metric needs it; InvalidSuiteError where extractor, references and metric do not fit."""
    if not isinstance(part, part_type):
        raise InvalidSuiteError(
            f"the metric takes {part_type.kind}, not {part.kind}: choose an extractor and references of that kind"
        )
    return part
