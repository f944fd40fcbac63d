"""Metrics of what a reader makes of generated media: what is said in a sound, what a picture shows, how music goes.

Without a reader of the metric's role nothing is computed. A reference is what should be read, or a medium that is read
as answers are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import ClassVar

from echelon.adapters import Choice, Kind, Part
from echelon.scorer.errors import InvalidSuiteError, NotComputedError
from echelon.scorer.instruments import Reader, instrument_id, measured
from echelon.scorer.metrics.captions import Cider
from echelon.scorer.metrics.characters import CharacterErrorRate
from echelon.scorer.metrics.labels import Accuracy, EAccuracy
from echelon.scorer.metrics.metric import Metric, Stats, read_answer, read_reference
from echelon.scorer.metrics.numbers import Correlation
from echelon.scorer.metrics.text import WordErrorRate
from echelon.scorer.reading import folded


class Read(Metric):
    """Puts a reader before the metric that stands behind it among the bases."""

    role: ClassVar[str]
    """What the reader is listed under."""
    reads: ClassVar[Kind]
    """The kind of the readings, which the metric behind it compares."""
    others: ClassVar[tuple[Kind, ...]] = ()
    """Kinds that are read, beside `kind`."""
    references_are_answers = False

    @property
    def id(self) -> str:
        return f"{super().id};{self.role}={instrument_id(self.reader)}"

    @property
    def reader(self) -> Reader:
        """The reader of the metric's role; NotComputedError where there is none."""
        return self.instruments.reader(self.role)

    def takes(self, kind: Kind) -> bool:
        return kind in (self.kind, *self.others)

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        if not self.takes(prediction.kind):
            raise InvalidSuiteError(f"the metric takes {self.kind}, not {prediction.kind}: choose another extractor")
        return super().sample(read_answer(self.reading, prediction), self._read(references))

    def worst(self, references: Sequence[Part]) -> Stats:
        return super().worst(self._read(references))  # type: ignore[safe-super]  # the metric behind it has one

    def check_reference(self, part: Part) -> None:
        """InvalidSuiteError for a part that is neither a reading nor can be read."""
        if part.kind is not self.reads and not self.takes(part.kind):
            media = " or ".join((self.kind, *self.others))
            raise InvalidSuiteError(f"{self.name} compares {self.reads}, also read from {media}, and not {part.kind}")

    def reading(self, part: Part) -> Part:
        """What is read from a part; what needs no reading stays as it is."""
        if not self.takes(part.kind):
            return part
        reader = self.reader
        read = measured(reader, lambda: reader.read(part))
        if getattr(read, "kind", None) is not self.reads:
            given = getattr(read, "kind", type(read).__name__)
            raise NotComputedError(f"{reader.name} reads {given} from {part.kind}, {self.name} compares {self.reads}")
        return read

    def _read(self, references: Sequence[Part]) -> list[Part]:
        return [read_reference(self._reference, reference) for reference in references]

    def _reference(self, part: Part) -> Part:
        self.check_reference(part)
        return self._remembered(part) if self.takes(part.kind) else self.reading(part)

    @cached_property
    def _remembered(self) -> Callable[[Part], Part]:
        # A sample's references are asked for several times in a row; few are kept, for media are large.
        return lru_cache(maxsize=4)(self.reading)


class _ReadLabel(Read):
    """Puts a reader of labels before a metric of labels."""

    variant = "@1;match=folded"
    role = "class"
    reads = Kind.CHOICE

    def reading(self, part: Part) -> Part:
        """The label, but for case, spaces and quotation marks, so that reader and reference may spell as they like."""
        read = super().reading(part)
        return Choice.of(*(folded(each.label) for each in read.labels)) if isinstance(read, Choice) else read


class SpeechWordErrorRate(Read, WordErrorRate):
    """Word edits by reference words, between what is heard in generated speech and what should be said."""

    name = "wer_speech"
    kind = Kind.AUDIO
    role = "transcript"
    reads = Kind.TEXT


class SpeechCharacterErrorRate(Read, CharacterErrorRate):
    """Character edits by reference characters, between what is heard in generated speech and what should be said."""

    name = "cer_speech"
    kind = Kind.AUDIO
    role = "transcript"
    reads = Kind.TEXT


class SpeechCider(Read, Cider):
    """CIDEr-D of what is heard in generated speech."""

    name = "cider_speech"
    kind = Kind.AUDIO
    role = "transcript"
    reads = Kind.TEXT


class ReadAccuracy(_ReadLabel, Accuracy):
    """Share of the generated media in which the right class is seen or heard."""

    name = "accuracy_read"
    kind = Kind.IMAGE
    others = (Kind.VIDEO, Kind.AUDIO)


class ReadEAccuracy(_ReadLabel, EAccuracy):
    """The same for sounds; General-Bench says neither what its E stands for nor what is read."""

    name = "e_accuracy_read"
    kind = Kind.AUDIO


class ReadCorrelation(Read, Correlation):
    """The mean over the samples of Pearson's correlation of series that are read from sounds, of one length all.

    General-Bench does not say which series it correlates; that is the reader's.
    """

    name = "pcc_read"
    kind = Kind.AUDIO
    role = "series"
    reads = Kind.TENSOR
