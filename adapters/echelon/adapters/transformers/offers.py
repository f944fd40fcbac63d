"""What a checkpoint that writes takes: processor, template and model alone know, so they are tried."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from echelon.adapters.calls import Call, Request, Sampling
from echelon.adapters.card import CallSupport
from echelon.adapters.content import Audio, Box, Boxes, Image, Json, Kind, Number, Part, Text, Video, VideoFrame
from echelon.adapters.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from echelon.adapters.transformers.settings import TransformersSettings

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


def narrowed(supports: Sequence[CallSupport], settings: TransformersSettings) -> tuple[CallSupport, ...]:
    """The supports with no more kinds than the settings allow."""
    kept = [
        replace(
            support,
            input_kinds=_both(support.input_kinds, settings.input_kinds),
            output_kinds=_both(support.output_kinds, settings.output_kinds),
        )
        for support in supports
    ]
    return tuple(support for support in kept if support.input_kinds and support.output_kinds)


def check_kinds(supports: Sequence[CallSupport], settings: TransformersSettings) -> None:
    """SettingsError for a kind that the settings list and that no call has, or where they leave no call."""
    for key, allowed in (("input_kinds", settings.input_kinds), ("output_kinds", settings.output_kinds)):
        there = {kind for support in supports for kind in getattr(support, key)}
        missing = [kind for kind in allowed or () if kind not in there]
        if missing:
            raise SettingsError(f"'{key}' lists {', '.join(missing)}, which the checkpoint does not have")
    if not supports:
        raise SettingsError("'input_kinds' and 'output_kinds' leave the checkpoint no call to answer")


def _both(there: tuple[Kind, ...], allowed: tuple[Kind, ...] | None) -> tuple[Kind, ...]:
    return there if allowed is None else tuple(kind for kind in there if kind in allowed)


def probe(support: CallSupport, tokens: int) -> Request | None:
    """A typical request of a call; None where only text of a certain form would answer it."""
    taken, given = support.input_kinds, support.output_kinds
    kind = next(kind for kind in (Kind.IMAGE, Kind.AUDIO, *taken) if kind in taken)
    wanted = next((kind for kind in (Kind.TEXT, Kind.CHOICE) if kind in given), None)
    if wanted is None:
        return None
    labels = ("yes", "no") if wanted is Kind.CHOICE else ()
    sampling = Sampling(temperature=0.0, max_token_count=tokens)
    return Request(support.call, "Answer.", MADE_UP[kind](), (wanted,), labels, sampling)


def _takes(attempt: Attempt, call: Call, kind: Kind, refusals: list[InvalidInputError]) -> bool:
    # Some take text only beside what they were made for.
    beside = (Kind.IMAGE, Kind.AUDIO) if call is Call.COMPREHEND and kind in WORDS else ()
    sampling = Sampling(temperature=0.0, max_token_count=1)
    for parts in (MADE_UP[kind](), *(MADE_UP[medium]() + MADE_UP[kind]() for medium in beside)):
        try:
            attempt(Request(call, "Answer.", parts, sampling=sampling))
        except InvalidInputError as error:
            log.info("%s with %s is not taken", call, " and ".join(part.kind for part in parts), exc_info=error)
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
