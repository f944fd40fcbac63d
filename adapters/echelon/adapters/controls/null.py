"""A model that gives the smallest valid answer at once; what it costs is the server's own cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from echelon.adapters.adapter import AsyncAdapter
from echelon.adapters.calls import Answer, Call, Request
from echelon.adapters.content import (
    Audio,
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

if TYPE_CHECKING:
    from echelon.adapters.calls import Outcome
    from echelon.adapters.card import Card
    from echelon.adapters.content import Part


@dataclass(frozen=True)
class NullSettings:
    """What a null model answers where text is wanted."""

    text: str = "-"


class Null(AsyncAdapter[NullSettings]):
    """Answers "-", 0, the first label, one black pixel: whatever is smallest in the wanted kind."""

    def open(self, settings: NullSettings) -> None:
        self._answers = {part.kind: Answer((part,)) for part in _smallest(settings.text)}

    def card(self) -> Card:
        return form.card("Gives the smallest valid answer.")

    def probe(self, call: Call) -> Request:
        return Request(call, "Answer.", (Text("-"),))

    async def comprehend(self, request: Request) -> Outcome:
        kind = form.wanted(request)
        if kind is Kind.CHOICE and request.labels:
            return Answer((Choice.of(request.labels[0]),))
        return self._answers[kind]

    generate = language = comprehend


def _smallest(text: str) -> tuple[Part, ...]:
    import numpy as np

    pixel = np.zeros((1, 1), np.uint8)
    point = np.zeros((1, 3), np.float32)
    return (
        Text(text),
        Number(0.0),
        Choice.of(text or "-"),
        Image.from_array(pixel),
        Audio.from_array(np.zeros(1), 8000),
        Video.from_array(pixel[None], frames_per_second=1),
        PointCloud.from_array(point),
        Mesh.from_array(point, np.zeros((1, 3), np.int32)),
        Mask.from_array(pixel),
        Boxes(()),
        Tensor.from_array(np.zeros(1, np.float32)),
        Json("{}"),
    )
