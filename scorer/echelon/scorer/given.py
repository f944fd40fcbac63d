"""Instruments that stand for a measurement made elsewhere: its results are the parts, or in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec

from echelon.adapters import Choice, InvalidInputError, Number, Part, Tensor, Text
from echelon.adapters.errors import SettingsError
from echelon.scorer.recorded import Recorded

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


@dataclass(frozen=True, slots=True)
class ReadingsFile:
    """A JSON Lines file: in each line `sha256`, of the file or text that was read, and `text`, `label` or `series`.

    `name` is that of the network that read.
    """

    path: Path
    name: str = "readings"


class GivenReader(Recorded[Part]):
    """Reads what the file says; an answer that nobody has read leaves its task not computed."""

    settings_type: ClassVar = ReadingsFile
    what = "reading"

    def read(self, answer: Part) -> Part:
        """The answer's reading."""
        return self.found(answer)

    def parsed(self, data: bytes, path: Path) -> Mapping[str, Part]:
        readings: dict[str, Part] = {}
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
            if not line.strip():
                continue
            try:
                read = msgspec.json.decode(line, type=_Line)
                digest, part = read.sha256.lower(), read.part()
            except (msgspec.DecodeError, ValueError) as error:
                raise SettingsError(f"{path}, line {number}: {error}") from error
            if readings.setdefault(digest, part) != part:
                raise SettingsError(f"{path}, line {number}: {digest} has another reading further up; take one away")
        return readings


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a file of readings."""

    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
    text: str | msgspec.UnsetType = msgspec.UNSET
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | msgspec.UnsetType = msgspec.UNSET
    series: Annotated[list[float], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET

    def part(self) -> Part:
        """The one thing that was read; ValueError where there are none or several."""
        import numpy as np

        read: list[Part] = []
        if self.text is not msgspec.UNSET:
            read.append(Text(self.text))
        if self.label is not msgspec.UNSET:
            read.append(Choice.of(self.label))
        if self.series is not msgspec.UNSET:
            read.append(Tensor.from_array(np.array(self.series, np.float64)))
        if len(read) != 1:
            raise ValueError("'text', 'label' or 'series' is wanted, one of them")
        return read[0]
