"""Instruments that stand for a measurement made elsewhere: the parts are its results already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

from echelon.adapters import InvalidInputError, Number, Part, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Origin:
    """The network that made the numbers: what people call it, and the SHA-256 of its weights."""

    name: str
    digest: str

    def __post_init__(self) -> None:
        if not (self.name and self.digest):
            raise ValueError("name the network that made the numbers, and the digest of its weights")


class Given:
    """Says where given numbers come from."""

    settings_type: ClassVar = Origin

    def __init__(self, settings: Origin) -> None:
        self.name, self.digest = settings.name, settings.digest


class GivenEmbedder(Given):
    """Takes tensors as the embeddings that they are."""

    def embed(self, parts: Sequence[Part]) -> NDArray[np.float64]:
        """The tensors' elements, one row for each."""
        import numpy as np

        rows = [self._row(part) for part in parts]
        if len({row.size for row in rows}) > 1:
            raise InvalidInputError(f"embeddings of one length are wanted, not of {sorted({row.size for row in rows})}")
        return np.stack(rows)

    def _row(self, part: Part) -> NDArray[np.float64]:
        import numpy as np

        if not isinstance(part, Tensor):
            raise InvalidInputError(f"embeddings by {self.name} are given as tensors, this is {part.kind}")
        row = part.array().astype(np.float64).reshape(-1)
        if not row.size or not np.isfinite(row).all():
            raise InvalidInputError("an embedding needs at least one element, and all of them finite")
        return row


class GivenJudge(Given):
    """Takes numbers as the marks that they are."""

    def judge(self, answer: Part, references: Sequence[Part]) -> float:
        """The number's value."""
        if not isinstance(answer, Number):
            raise InvalidInputError(f"marks by {self.name} are given as numbers, this is {answer.kind}")
        if not isfinite(answer.value):
            raise InvalidInputError(f"a mark must be finite, not {answer.value}")
        return answer.value
