"""Checkpoints that draw: tokens of an image, which the model's own decoder turns into pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import Answer, Call, Outcome, Request, Usage
from echelon.adapters.card import CallSupport
from echelon.adapters.content import Image, Kind, Text
from echelon.adapters.errors import EchelonError
from echelon.adapters.transformers.brushes import BRUSHES
from echelon.adapters.transformers.inputs import Input, Reader, collated, grouped
from echelon.adapters.transformers.offers import narrowed
from echelon.adapters.transformers.prompts import Prompts
from echelon.adapters.transformers.rows import Chance, Row
from echelon.adapters.transformers.sampling import Choosing

if TYPE_CHECKING:
    from echelon.adapters.calls import Returned
    from echelon.adapters.pytorch import Ceiling
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.settings import TransformersSettings


class Sketch(Row):
    """The tokens of one image."""

    def __init__(self, request: Request, read: Input, most: int, chance: Chance | None) -> None:
        super().__init__(request, most, chance)
        self.read = read


class Painter:
    """Draws an image from a request's text, always by chance: the likeliest tokens make a flat one."""

    def __init__(self, checkpoint: Checkpoint, settings: TransformersSettings, ceiling: Ceiling) -> None:
        self._checkpoint = checkpoint
        self._settings = settings
        self._ceiling = ceiling
        self._reader = Reader(checkpoint, Prompts(checkpoint, settings))
        self._choosing = Choosing(checkpoint, settings)
        self._brush = BRUSHES[checkpoint.model.config.model_type](checkpoint, settings.drawing)
        self.supports = narrowed((CallSupport(Call.GENERATE, (Kind.TEXT,), (Kind.IMAGE,)),), settings)

    def probe(self, call: Call) -> Request | None:
        return Request(call, "Draw.", (Text("a cat"),), (Kind.IMAGE,))

    def answer(self, requests: Sequence[Request]) -> list[Returned]:
        returned: list[Returned | Sketch] = [self._sketch(request) for request in requests]
        sketches = [(place, item) for place, item in enumerate(returned) if isinstance(item, Sketch)]
        for group in grouped(sketches, lambda pair: self._group(*pair)):
            images = self._ceiling.run([sketch for _, sketch in group], self._run)
            for (place, sketch), image in zip(group, images, strict=True):
                returned[place] = self._returned(sketch, image)
        return [item for item in returned if not isinstance(item, Sketch)]

    def stream(self, request: Request) -> Iterator[str | Outcome] | None:
        return None

    def _sketch(self, request: Request) -> Sketch | EchelonError:
        try:
            read = self._reader.read(request, **self._brush.options)
        except EchelonError as error:
            return error
        chance = self._choosing.chance(request, temperature=self._settings.drawing.temperature)
        return Sketch(request, read, self._brush.token_count(read), chance)

    def _group(self, place: int, sketch: Sketch) -> object:
        return place if self._settings.deterministic else sketch.read.form

    def _run(self, sketches: Sequence[Sketch]) -> Sequence[Any]:
        for sketch in sketches:
            sketch.restart()
        tensors = collated([sketch.read for sketch in sketches], self._choosing.pad, on_the_left=True)
        config = self._choosing.config(sketches[0].most, is_scored=True)
        return self._brush.draw(tensors, sketches, config)

    def _returned(self, sketch: Sketch, image: Any) -> Returned:
        import numpy as np

        if isinstance(image, EchelonError):
            return image
        if sketch.error is not None:
            return sketch.error
        part = Image.from_array(np.asarray(image.convert("RGB")))
        return Answer((part,), usage=Usage(sketch.read.token_count, len(sketch.tokens)))
