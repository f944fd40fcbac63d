"""A model that answers at random within the form that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.calls import Answer, Call, Request
from echelon.adapters.content import (
    Audio,
    Box,
    Boxes,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.controls import form
from echelon.adapters.controls.luck import dice
from echelon.adapters.errors import EchelonError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from echelon.adapters.calls import PartT, Returned
    from echelon.adapters.card import Card
    from echelon.adapters.content import Part

PIXELS = (16, 16, 3)
FRAMES = 8
RATE_HZ = 8000
POINTS = 256
"""Sizes of what is made where the request shows none."""
CLASSES = 256
"""What the values of a mask can tell apart."""


@dataclass(frozen=True)
class ChanceSettings:
    """The same seed and the same request get the same answer."""

    seed: int = 0


class Chance(BatchAdapter[ChanceSettings]):
    """Picks an offered label, or makes noise of the input's size, whatever it is asked."""

    def open(self, settings: ChanceSettings) -> None:
        self._seed = settings.seed

    def card(self) -> Card:
        return form.card("Answers at random.")

    def probe(self, call: Call) -> Request:
        return Request(call, "Yes or no?", labels=("yes", "no"))

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return [self._answer(request) for request in requests]

    generate = language = comprehend

    def _answer(self, request: Request) -> Returned:
        try:
            return Answer((RANDOM[form.wanted(request)](request, dice(self._seed, request)),))
        except EchelonError as error:
            return error


def _given(request: Request, part_type: type[PartT]) -> PartT | None:
    return next((part for part in request.parts if isinstance(part, part_type)), None)


def _pixels(request: Request) -> tuple[int, ...]:
    """The shape of the first image or frame of the request."""
    image, video = _given(request, Image), _given(request, Video)
    if image is not None:
        return image.array().shape
    return video.array().shape[1:] if video is not None else PIXELS


def _bytes(dice: np.random.Generator, shape: tuple[int, ...], end: int = 256) -> Any:
    return dice.integers(0, end, shape, "uint8")


def _text(request: Request, dice: np.random.Generator) -> Part:
    given = _given(request, Text)
    words = (given.value if given is not None else request.instruction).split() or ["-"]
    return Text(" ".join(dice.permutation(words)))


def _number(request: Request, dice: np.random.Generator) -> Part:
    return Number(float(dice.integers(0, 10)))


def _choice(request: Request, dice: np.random.Generator) -> Part:
    return Choice.of(str(dice.choice(request.labels or ("yes", "no"))))


def _image(request: Request, dice: np.random.Generator) -> Part:
    return Image.from_array(_bytes(dice, _pixels(request)))


def _audio(request: Request, dice: np.random.Generator) -> Part:
    import numpy as np

    given = _given(request, Audio)
    like, rate = given.array() if given is not None else (np.zeros((RATE_HZ, 1)), RATE_HZ)
    return Audio.from_array(dice.uniform(-1, 1, like.shape), rate)


def _video(request: Request, dice: np.random.Generator) -> Part:
    given = _given(request, Video)
    shape = given.array().shape if given is not None else (FRAMES, *_pixels(request))
    return Video.from_array(_bytes(dice, shape), frames_per_second=FRAMES)


def _point_cloud(request: Request, dice: np.random.Generator) -> Part:
    given = _given(request, PointCloud)
    points = given.point_count if given is not None else POINTS
    return PointCloud.from_array(dice.uniform(-1, 1, (points, 3)))


def _mesh(request: Request, dice: np.random.Generator) -> Part:
    return Mesh.from_array(dice.uniform(-1, 1, (POINTS, 3)), dice.integers(0, POINTS, (POINTS, 3)))


def _mask(request: Request, dice: np.random.Generator) -> Part:
    labels = request.labels[:CLASSES]
    return Mask.from_array(_bytes(dice, _pixels(request)[:2], max(2, len(labels))), labels=labels)


def _boxes(request: Request, dice: np.random.Generator) -> Part:
    height, width = _pixels(request)[:2]
    boxes = []
    for _ in range(dice.integers(1, 4)):
        x, y = sorted(dice.uniform(0, width, 2)), sorted(dice.uniform(0, height, 2))
        label = str(dice.choice(request.labels)) if request.labels else ""
        boxes.append(Box(float(x[0]), float(y[0]), float(x[1]), float(y[1]), label, score=float(dice.random())))
    return Boxes(tuple(boxes))


def _tensor(request: Request, dice: np.random.Generator) -> Part:
    import numpy as np

    given = _given(request, Tensor)
    return Tensor.from_array(dice.standard_normal(given.shape if given is not None else (1,)).astype(np.float32))


def _json(request: Request, dice: np.random.Generator) -> Part:
    return Json(str(dice.integers(0, 10)))


RANDOM: Mapping[Kind, Callable[[Request, np.random.Generator], Part]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.IMAGE: _image,
    Kind.AUDIO: _audio,
    Kind.VIDEO: _video,
    Kind.POINT_CLOUD: _point_cloud,
    Kind.MESH: _mesh,
    Kind.MASK: _mask,
    Kind.BOXES: _boxes,
    Kind.TENSOR: _tensor,
    Kind.JSON: _json,
}
"""How each kind is made at random."""
