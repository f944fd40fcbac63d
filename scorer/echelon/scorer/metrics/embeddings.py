"""Metrics of vectors that an embedder gives: how alike answers are to prompts, to references, and to themselves.

Without an embedder of the metric's role nothing is computed. A cosine below 0 counts 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from echelon.adapters import Image, InvalidInputError, Json, Kind, Part, Tensor, Text, Video
from echelon.scorer.instruments import Embedder, instrument_id, measured
from echelon.scorer.metrics.metric import InvalidAnswer, MeanMetric, Metric, read_answer, read_reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]


class Embedded(Metric):
    """A metric that takes an embedder."""

    role: ClassVar[str]
    """What the embedder is listed under."""
    others: ClassVar[tuple[Kind, ...]] = ()
    """Kinds that are embedded, beside `kind`."""

    @property
    def id(self) -> str:
        return f"{super().id};{self.role}={instrument_id(self.embedder)}"

    @property
    def embedder(self) -> Embedder:
        """The embedder of the metric's role; NotComputedError where there is none."""
        return self.instruments.embedder(self.role)

    def takes(self, kind: Kind) -> bool:
        return kind in (self.kind, *self.others, Kind.TENSOR)


class EmbeddingMetric(Embedded, MeanMetric):
    """A metric of an answer's unit vectors: one, or one for each frame of a video.

    A tensor is one vector, or several, for an embedder that takes tensors.
    """

    references_are_answers = False

    def answer(self, part: Part) -> Vectors:
        """The answer's unit vectors."""
        return read_answer(lambda read: directions(self.embedder, views(read)), part)

    def reference(self, part: Part) -> Vectors:
        """A reference's unit vectors."""
        return read_reference(lambda read: directions(self.embedder, views(read)), part)


class _Likeness(EmbeddingMetric):
    """The mean over the samples of the mean cosine between the answer's and the reference's vectors."""

    variant = "@1;negative=0;vectors=all-pairs"

    def value(self, prediction: Part, reference: Part) -> float:
        return mean_cosine(self.answer(prediction), self.reference(reference))


class ClipScore(_Likeness):
    """How well pictures, frames or views fit the prompt, which is the reference.

    Hessel et al. 2021, arXiv 2104.08718, without its factor of 2.5.
    """

    name = "clip_score"
    kind = Kind.IMAGE
    others = (Kind.VIDEO, Kind.POINT_CLOUD, Kind.MESH)
    role = "clip"


class ClipImageScore(_Likeness):
    """How alike pictures are to the reference picture."""

    name = "clip_image_score"
    kind = Kind.IMAGE
    others = (Kind.VIDEO,)
    role = "clip"


class ClipStyle(_Likeness):
    """How alike the frames are to the picture, or pictures as frames of one video, whose style is wanted."""

    name = "clip_style"
    kind = Kind.VIDEO
    others = (Kind.IMAGE,)
    role = "clip"


class Clap(_Likeness):
    """How well sounds fit the prompt, which is the reference. Elizalde et al. 2022, arXiv 2206.04769."""

    name = "clap"
    kind = Kind.AUDIO
    role = "clap"


class StyleClap(_Likeness):
    """How well sounds fit the style that the reference, text or sound, has."""

    name = "style_clap"
    kind = Kind.AUDIO
    role = "clap"


class _Consistency(EmbeddingMetric):
    """The mean over videos of how alike a frame is to the first one and the one before, both halves alike.

    Huang et al. 2024, arXiv 2311.17982. References are not looked at.
    """

    variant = "@1;negative=0;frames=first-and-previous"
    kind = Kind.VIDEO

    def value(self, prediction: Part, reference: Part) -> float:
        return consistency(self.answer(prediction))


class DinoScore(_Consistency):
    """Whether the subject of a video stays the same."""

    name = "dino_score"
    role = "dino"


class ClipConsistency(_Consistency):
    """Whether the background of a video stays the same."""

    name = "clip_consistency"
    role = "clip"


class FrameAccuracy(EmbeddingMetric):
    """The mean over videos of the share of frames that fit the target better than the source.

    The reference is JSON, {"target": prompt, "source": prompt}, or a tensor with these two vectors. General-Level's
    evaluator pools the frames of all videos.
    """

    name = "frame_accuracy"
    variant = "@1;ties=wrong;frames=mean"
    kind = Kind.VIDEO
    role = "clip"

    def value(self, prediction: Part, reference: Part) -> float:
        frames = self.answer(prediction)
        target, source = read_reference(self._prompts, reference)
        return float((frames @ target > frames @ source).mean())

    def _prompts(self, part: Part) -> Vectors:
        vectors = directions(self.embedder, _prompts(part)) if isinstance(part, Json) else self.reference(part)
        if len(vectors) != 2:
            raise InvalidInputError(f"a target and a source are wanted, not {len(vectors)} vectors")
        return vectors


class _Prompts(msgspec.Struct, forbid_unknown_fields=True):
    """What `frame_accuracy` compares with."""

    target: str
    source: str


def directions(embedder: Embedder, parts: Sequence[Part]) -> Vectors:
    """The unit vectors of parts."""
    import numpy as np

    vectors = measured(embedder, lambda: embedder.embed(parts))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise InvalidInputError("an embedding has the length 0, and so no direction")
    return np.asarray(vectors / lengths)


def views(part: Part) -> list[Part]:
    """What is embedded by itself: the frames of a video, the rows of a matrix, or the part."""
    if isinstance(part, Video):
        return [frame.image for frame in part.frames] or [Image.from_array(frame) for frame in part.array()]
    if isinstance(part, Tensor) and len(part.shape) == 2:
        return [Tensor.from_array(row, name=part.name) for row in part.array()]
    return [part]


def mean_cosine(given: Vectors, wanted: Vectors) -> float:
    """The mean cosine between any of these and any of those unit vectors, those below 0 as 0."""
    import numpy as np

    if given.shape[1] != wanted.shape[1]:
        raise InvalidAnswer(f"the embedding has {given.shape[1]} elements, {wanted.shape[1]} are wanted")
    return float(np.clip(given @ wanted.T, 0, 1).mean())


def consistency(frames: Vectors) -> float:
    """How alike a frame is to the first one and the one before, on average from the second frame on."""
    import numpy as np

    if len(frames) < 2:
        raise InvalidAnswer("a video of one frame says nothing of consistency")
    to_first, to_previous = frames[1:] @ frames[0], (frames[1:] * frames[:-1]).sum(axis=1)
    return float((np.clip(to_first, 0, 1) + np.clip(to_previous, 0, 1)).mean() / 2)


def _prompts(part: Json) -> tuple[Text, Text]:
    try:
        prompts = msgspec.json.decode(part.value, type=_Prompts)
    except msgspec.DecodeError as error:
        raise InvalidInputError(f"{{target, source}} is wanted: {error}") from error
    return Text(prompts.target), Text(prompts.source)
