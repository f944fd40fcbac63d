"""What each kind of part is to a network before the steps: an array, text, or its file as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.content import (
    Audio,
    Box,
    Boxes,
    Image,
    Json,
    Kind,
    Mask,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.errors import InvalidInputError
from echelon.adapters.networks.steps import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

PART_TYPES: Mapping[str, type[Part]] = {
    part.kind: part for part in (Text, Number, Image, Audio, Video, PointCloud, Mask, Boxes, Tensor, Json)
}
"""The kinds that networks take."""


def values_of(part: Part) -> tuple[Any, Given]:
    """What the steps begin with."""
    if isinstance(part, Audio):
        samples, rate = part.array()
        return samples, Given(part.kind, rate)
    read = _READ.get(part.kind)
    values = part.array() if read is None else read(part)  # type: ignore[attr-defined]  # every kind left has array()
    return values, Given(part.kind)


def encoded(part: Image | Audio | Video) -> tuple[bytes, Given]:
    """The part's file as it came; InvalidInputError for a video that came as frames."""
    if not part.data:
        raise InvalidInputError("the model takes an encoded video, this one came as frames")
    return part.data, Given(part.kind)


def _number(part: Number) -> NDArray[Any]:
    import numpy as np

    return np.array(part.value, np.float32)


def _boxes(part: Boxes) -> NDArray[Any]:
    import numpy as np

    corners = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in part.boxes if isinstance(box, Box)]
    if len(corners) != len(part.boxes):
        raise InvalidInputError("the model takes boxes in two dimensions only")
    return np.array(corners, np.float32).reshape(-1, 4)


def _text(part: Text | Json) -> str:
    return part.value


_READ: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: _text,
    Kind.JSON: _text,
    Kind.NUMBER: _number,
    Kind.BOXES: _boxes,
}
