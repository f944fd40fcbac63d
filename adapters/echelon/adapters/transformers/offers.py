"""What a checkpoint that writes takes: processor, template and model alone know, so they are tried."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from echelon.adapters.calls import Call, Request, Sampling
from echelon.adapters.card import CallSupport
from echelon.adapters.content import Audio, Box, Boxes, Image, Json, Kind, Number, Part, Text, Video, VideoFrame
from echelon.adapters.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Attempt = Callable[[Request], None]

log = logging.getLogger(__name__)

TAKEN = (Kind.TEXT, Kind.NUMBER, Kind.IMAGE, Kind.AUDIO, Kind.VIDEO, Kind.BOXES, Kind.JSON)
GIVEN = (Kind.TEXT, Kind.NUMBER, Kind.CHOICE, Kind.BOXES, Kind.JSON)
WORDS = (Kind.TEXT, Kind.NUMBER, Kind.JSON)
"""The kinds that `language` takes."""
SIDE, RATE_HZ = 32, 16_000
"""Of the media that are tried."""


def supports_of(attempt: Attempt, *, has_boxes: bool) -> tuple[CallSupport, ...]:
    """The calls, with the kinds that are taken: those for which `attempt` raises no InvalidInputError.

    SettingsError where nothing is taken, with the last reason.
    """
    refusals: list[InvalidInputError] = []
    supports = []
    for call, kinds in ((Call.COMPREHEND, TAKEN), (Call.LANGUAGE, WORDS)):
        taken = tuple(
            kind for kind in kinds if (has_boxes or kind is not Kind.BOXES) and _takes(attempt, call, kind, refusals)
        )
        boxes = has_boxes and Kind.IMAGE in taken
        given = tuple(kind for kind in GIVEN if boxes or kind is not Kind.BOXES)
        if taken:
            supports.append(CallSupport(call, taken, given))
    if not supports:
        raise SettingsError(f"the checkpoint takes no request at all: {refusals[-1]}") from refusals[-1]
    return tuple(supports)


def probe(call: Call, kind: Kind, tokens: int) -> Request:
    """A typical request with a part of that kind."""
    sampling = Sampling(temperature=0.0, max_token_count=tokens)
    return Request(call, "Answer.", MADE_UP[kind](), (Kind.TEXT,), sampling=sampling)


def _takes(attempt: Attempt, call: Call, kind: Kind, refusals: list[InvalidInputError]) -> bool:
    # Some take text only beside what they were made for.
    beside = (Kind.IMAGE, Kind.AUDIO) if call is Call.COMPREHEND and kind in WORDS else ()
    sampling = Sampling(temperature=0.0, max_token_count=1)
    for parts in (MADE_UP[kind](), *(MADE_UP[medium]() + MADE_UP[kind]() for medium in beside)):
        try:
            attempt(Request(call, "Answer.", parts, sampling=sampling))
        except InvalidInputError as error:
            log.debug("%s with %s is not taken", call, " and ".join(part.kind for part in parts), exc_info=error)
            refusals.append(error)
            continue
        return True
    return False


def _image() -> Image:
    import numpy as np

    return Image.from_array(np.zeros((SIDE, SIDE, 3), np.uint8))


def _video() -> Video:
    return Video(frames=(VideoFrame(_image(), 0), VideoFrame(_image(), 500_000)))


def _audio() -> Audio:
    import numpy as np

    return Audio.from_array(np.zeros(RATE_HZ), RATE_HZ)


def _boxes() -> Boxes:
    return Boxes((Box(0, 0, 1, 1),))


MADE_UP: Mapping[Kind, Callable[[], tuple[Part, ...]]] = {
    Kind.TEXT: lambda: (Text("A text."),),
    Kind.NUMBER: lambda: (Number(1),),
    Kind.JSON: lambda: (Json("{}"),),
    Kind.IMAGE: lambda: (_image(),),
    Kind.AUDIO: lambda: (_audio(),),
    Kind.VIDEO: lambda: (_video(),),
    Kind.BOXES: lambda: (_image(), _boxes()),
}
"""The parts of a request that tells whether a checkpoint takes a kind."""
