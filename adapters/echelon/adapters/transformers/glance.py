"""Checkpoints that answer in one run over an image and some phrases, without decoding tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from echelon.adapters.calls import Answer, Call, Outcome, Request, Usage
from echelon.adapters.card import CallSupport
from echelon.adapters.content import Image, Kind, Part, Text
from echelon.adapters.errors import EchelonError, InvalidInputError
from echelon.adapters.transformers import media
from echelon.adapters.transformers.inputs import Input, collated, grouped
from echelon.adapters.transformers.offers import narrowed

if TYPE_CHECKING:
    from echelon.adapters.calls import Returned
    from echelon.adapters.pytorch import Ceiling
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.settings import TransformersSettings

SIDE = 64
"""Of the probe's image."""


@dataclass(frozen=True, slots=True)
class Look:
    """An image, what to look for in it, and both as the model reads them."""

    phrases: tuple[str, ...]
    size: tuple[int, int]
    """Height and width of the image."""
    read: Input


class Glance(ABC):
    """Looks at the first image of a request for its labels or, without labels, for its text."""

    gives: ClassVar[Kind]
    probe_labels: ClassVar[tuple[str, ...]] = ()

    def __init__(self, checkpoint: Checkpoint, settings: TransformersSettings, ceiling: Ceiling) -> None:
        self._checkpoint = checkpoint
        self._settings = settings
        self._ceiling = ceiling
        self.supports = narrowed((CallSupport(Call.COMPREHEND, (Kind.TEXT, Kind.IMAGE), (self.gives,)),), settings)

    def probe(self, call: Call) -> Request | None:
        import numpy as np

        image = Image.from_array(np.zeros((SIDE, SIDE, 3), np.uint8))
        return Request(call, "a cat", (image,), (self.gives,), self.probe_labels)

    def answer(self, requests: Sequence[Request]) -> list[Returned]:
        returned: list[Returned | Look] = [self._look(request) for request in requests]
        looks = [(place, item) for place, item in enumerate(returned) if isinstance(item, Look)]
        for group in grouped(looks, lambda pair: self._group(*pair)):
            parts = self._ceiling.run([look for _, look in group], self._run)
            for (place, look), part in zip(group, parts, strict=True):
                returned[place] = part if isinstance(part, EchelonError) else _answer(look, part)
        return [item for item in returned if not isinstance(item, Look)]

    def stream(self, request: Request) -> Iterator[str | Outcome] | None:
        return None

    def _look(self, request: Request) -> Look | EchelonError:
        try:
            image = media.picture(request.first(Image))
            phrases = request.labels or (_phrase(request),)
            tensors = self.read(image, phrases)
        except EchelonError as error:
            return error
        return Look(phrases, (image.height, image.width), Input(tensors))

    def _group(self, place: int, look: Look) -> object:
        if self._settings.deterministic:
            return place
        return tuple((name, tuple(values.shape)) for name, values in sorted(look.read.tensors.items()))

    def _run(self, looks: Sequence[Look]) -> Sequence[Part]:
        import torch

        tensors = self._checkpoint.placed(collated([look.read for look in looks], 0, on_the_left=False))
        with torch.inference_mode():
            return self.parts(self._checkpoint.model(**tensors), tensors, looks)

    @abstractmethod
    def read(self, image: Any, phrases: tuple[str, ...]) -> dict[str, Any]:
        """The tensors for one image; the batch first, or as many rows as phrases."""

    @abstractmethod
    def parts(self, outputs: Any, tensors: dict[str, Any], looks: Sequence[Look]) -> Sequence[Part]:
        """What the model's outputs say, for each of the images."""


def _answer(look: Look, part: Part) -> Answer:
    return Answer((part,), usage=Usage(look.read.tensors["input_ids"].numel()))


def _phrase(request: Request) -> str:
    """What to look for: the request's own text, or the instruction where there is none."""
    words = [part.value for part in request.parts if isinstance(part, Text)] or [request.instruction]
    phrase = " ".join(" ".join(words).split())
    if not phrase:
        raise InvalidInputError("the call says not what to look for: it has no labels, no text and no instruction")
    return phrase
