"""What a metric is, and what most metrics share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from math import fsum, inf, isfinite
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from echelon.adapters import InvalidInputError, Kind, Part
from echelon.adapters.errors import OutputInvalidError
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.instruments import Instruments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Stats: TypeAlias = Sequence[float]
"""What one sample contributes, mostly a tuple; the rows of all samples are all that a score needs."""

PartT = TypeVar("PartT", bound=Part)
T = TypeVar("T")
ArrayT = TypeVar("ArrayT", bound="NDArray[Any]")


class InvalidAnswer(OutputInvalidError):  # noqa: N818  (a sample's state, not a fault of the run)
    """The answer cannot be scored; its sample counts as `invalid`, for the reason in the text."""


class Metric(ABC):
    """One way to turn answers into a score: sample by sample into stats, then all stats into one number.

    It is built with the task's declared `worst` and `labels`, may be given `instruments`, and holds no other state. A
    failed sample counts as a wholly wrong answer of the reference's size, so that failing never pays.
    """

    name: ClassVar[str]
    variant: ClassVar[str]
    """Version and every choice that changes the number, as they stand behind the name in the id."""
    kind: ClassVar[Kind]
    """The kind of part that predictions have, and references too where they could be answers."""
    references_are_answers: ClassVar[bool] = True
    """Whether a reference is what a perfect answer would be, rather than a prompt, say."""
    depends_on_count: ClassVar[bool] = False
    """Whether the score to expect changes with the number of samples, so that only equally many compare."""
    higher_is_better: ClassVar[bool] = True
    unit: ClassVar[str] = "fraction"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        self.declared_worst = worst
        self.labels = labels
        self.instruments = Instruments()

    @property
    def id(self) -> str:
        """Two scores compare only if their metrics' ids are equal."""
        return self.name + self.variant

    def takes(self, kind: Kind) -> bool:
        """Whether an answer of that kind can be scored."""
        return kind is self.kind

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        """The stats of an answer against the reference that suits it best; InvalidAnswer if it cannot be scored."""
        candidates = [self.compare(prediction, reference) for reference in references]
        if len(candidates) == 1:
            return candidates[0]
        choose = max if self.higher_is_better else min
        return choose(candidates, key=lambda stats: self.finish([stats]))

    @abstractmethod
    def compare(self, prediction: Part, reference: Part) -> Stats:
        """The stats of an answer against one reference."""

    @abstractmethod
    def worst(self, references: Sequence[Part]) -> Stats:
        """The stats of a sample that the model failed."""

    def heaviest(self, rows: Sequence[Stats], worst: Stats) -> Stats:
        """The stats of the failed sample that would cost the score of `rows` most; `worst` are those of one of them."""
        return worst

    @abstractmethod
    def finish(self, rows: Sequence[Stats]) -> float:
        """The score of all samples, the same to the bit in whatever order they come."""


class RatioMetric(Metric):
    """A score that depends on the sums of the stats alone, so that it can be had for many samplings at once."""

    @abstractmethod
    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores of sums of stats, which lie along the last axis."""

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        return float(self.from_sums(np.array([column(rows, index) for index in range(len(rows[0]))])))


class MeanMetric(RatioMetric):
    """The mean of a value per sample; the stats are (value, 1)."""

    @abstractmethod
    def value(self, prediction: Part, reference: Part) -> float:
        """The value of a sample, against one reference."""

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.value(prediction, reference), 1.0

    def worst(self, references: Sequence[Part]) -> Stats:
        return self.range[0], 1.0

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


class ErrorMetric(MeanMetric):
    """The mean of an error per sample, which has no bound but the task's declared `worst`."""

    higher_is_better = False
    range = (0.0, inf)
    unit = ""

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        super().__init__(worst, labels)
        self.limit = declared(self.name, worst)

    @property
    def id(self) -> str:
        return f"{super().id};worst={self.limit:.17g}"

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return min(self.limit, self.value(prediction, reference)), 1.0

    def worst(self, references: Sequence[Part]) -> Stats:
        return self.limit, 1.0


def declared(name: str, worst: float | None) -> float:
    """The `worst` of a task whose metric has none of its own; InvalidSuiteError without one."""
    if worst is None or not (isfinite(worst) and worst > 0):
        raise InvalidSuiteError(
            f"metric {name!r} has no worst value of its own: give the task a `worst` above 0, not {worst}"
        )
    return worst


def column(rows: Iterable[Stats], index: int) -> float:
    """The sum of one column, rounded once, so that order does not matter; infinite where it is beyond any float."""
    values = [row[index] for row in rows]
    try:
        return fsum(values)
    except OverflowError:
        return sum(values)


def ratio(numerator: float, denominator: float, *, empty: float = 0.0) -> float:
    """The quotient, or `empty` where there is nothing to divide by."""
    return numerator / denominator if denominator else empty


def quotient(
    numerators: NDArray[np.float64], denominators: NDArray[np.float64], *, empty: float = 0.0
) -> NDArray[np.float64]:
    """`ratio` for arrays."""
    import numpy as np

    there = denominators != 0
    return np.divide(numerators, denominators, out=np.full(np.shape(there), empty), where=there)


def expect(part: Part, part_type: type[PartT]) -> PartT:
    """The part as the metric needs it; InvalidSuiteError where extractor, references and metric do not fit."""
    if not isinstance(part, part_type):
        raise InvalidSuiteError(
            f"the metric takes {part_type.kind}, not {part.kind}: choose an extractor and references of that kind"
        )
    return part


def alike(given: ArrayT, wanted: ArrayT, what: str) -> tuple[ArrayT, ArrayT]:
    """Both arrays; InvalidAnswer where they differ in shape."""
    if given.shape != wanted.shape:
        raise InvalidAnswer(f"the {what} has the shape {given.shape}, {wanted.shape} is wanted")
    return given, wanted


def read_both(read: Callable[[Part], T], prediction: Part, reference: Part) -> tuple[T, T]:
    """Both parts' values, as `read_answer` and `read_reference` have them."""
    return read_answer(read, prediction), read_reference(read, reference)


def read_answer(read: Callable[[Part], T], prediction: Part) -> T:
    """An answer's value; where `read` raises InvalidInputError, it becomes InvalidAnswer."""
    try:
        return read(prediction)
    except InvalidInputError as error:
        raise InvalidAnswer(str(error)) from error


def read_reference(read: Callable[[Part], T], reference: Part) -> T:
    """A reference's value; where `read` raises InvalidInputError, it becomes InvalidSuiteError."""
    try:
        return read(reference)
    except InvalidInputError as error:
        raise InvalidSuiteError(f"a reference cannot be used: {error}") from error
