"""Made-up parts that fit a route, to warm up and to measure with."""

from __future__ import annotations

from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import Call, Request
from echelon.adapters.content import (
    XYZ,
    Audio,
    Box,
    Boxes,
    Image,
    Json,
    Kind,
    Mask,
    Number,
    PointCloud,
    Tensor,
    Text,
    Video,
    VideoFrame,
)
from echelon.adapters.decode import MAX_FRAMES
from echelon.adapters.errors import EchelonError
from echelon.adapters.networks.steps import Resample, Resize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from echelon.adapters.content import Part
    from echelon.adapters.networks.routes import Feed

SIDE, FRAMES, RATE_HZ, POINTS = 32, 4, 16_000, 256
"""Sizes where the network leaves them open."""


def probe(feeds: Iterable[Feed]) -> tuple[Part, ...] | None:
    """Parts that the feeds of a route take; None where none were found."""
    parts = [_fitting(feed) for feed in feeds if feed.part_type is not None]
    return None if None in parts else tuple(part for part in parts if part is not None)


def _fitting(feed: Feed) -> Part | None:
    """The first made-up part from which the steps make what the network takes."""
    assert feed.part_type is not None
    for part in MADE_UP[feed.part_type.kind](feed):
        try:
            feed.values(Request(Call.COMPREHEND, parts=(part,)))
        except EchelonError:
            continue
        return part
    return None


def _sizes(feed: Feed) -> Iterator[tuple[int, int]]:
    """Heights and widths that may fit."""
    yield from (step.size for step in feed.steps if isinstance(step, Resize))
    yield from pairwise(length for length in feed.port.item if length is not None)
    yield SIDE, SIDE


def _lengths(feed: Feed, usual: int) -> Iterator[int]:
    """Lengths of a first axis that may fit."""
    known = [length for length in feed.port.item if length is not None]
    yield from known
    yield prod(known)
    yield usual


def _planes(feed: Feed) -> Iterator[Any]:
    import numpy as np

    for height, width in _sizes(feed):
        yield np.zeros((height, width), np.uint8)
        yield np.zeros((height, width, 3), np.uint8)


def _images(feed: Feed) -> Iterator[Part]:
    return (Image.from_array(pixels) for pixels in _planes(feed))


def _masks(feed: Feed) -> Iterator[Part]:
    return (Mask.from_array(pixels) for pixels in _planes(feed) if pixels.ndim == 2)


def _videos(feed: Feed) -> Iterator[Part]:
    for count, pixels in product(_lengths(feed, FRAMES), _planes(feed)):
        if count <= MAX_FRAMES:
            image = Image.from_array(pixels)
            yield Video(frames=tuple(VideoFrame(image, 100_000 * index) for index in range(count)))


def _sounds(feed: Feed) -> Iterator[Part]:
    import numpy as np

    rate = next((step.hz for step in feed.steps if isinstance(step, Resample)), RATE_HZ)
    for count, channels in product(_lengths(feed, rate), (1, 2)):
        yield Audio.from_array(np.zeros((count, channels)), rate)


def _clouds(feed: Feed) -> Iterator[Part]:
    import numpy as np

    for count, channels in product(_lengths(feed, POINTS), {3, feed.port.item[-1] or 3}):
        names = (*XYZ, *(f"channel{index}" for index in range(3, channels)))[:channels]
        yield PointCloud.from_array(np.zeros((count, channels), np.float32), channels=names)


def _boxes(feed: Feed) -> Iterator[Part]:
    return (Boxes((Box(0, 0, 1, 1),) * count) for count in _lengths(feed, 1))


def _tensors(feed: Feed) -> Iterator[Part]:
    import numpy as np

    yield Tensor.from_array(np.zeros([length or 1 for length in feed.port.item], feed.port.data_type))


def _texts(feed: Feed) -> Iterator[Part]:
    yield Text("A text.")


def _documents(feed: Feed) -> Iterator[Part]:
    yield Json("{}")


def _numbers(feed: Feed) -> Iterator[Part]:
    yield Number(0.0)


MADE_UP: Mapping[Kind, Callable[[Feed], Iterator[Part]]] = {
    Kind.TEXT: _texts,
    Kind.JSON: _documents,
    Kind.NUMBER: _numbers,
    Kind.IMAGE: _images,
    Kind.AUDIO: _sounds,
    Kind.VIDEO: _videos,
    Kind.POINT_CLOUD: _clouds,
    Kind.MASK: _masks,
    Kind.BOXES: _boxes,
    Kind.TENSOR: _tensors,
}
"""Guesses for each kind that networks take, the likeliest first."""
