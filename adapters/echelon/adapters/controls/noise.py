"""Answers made clearly worse, whatever their kind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from echelon.adapters.content import (
    Audio,
    Box,
    Box3D,
    Boxes,
    Choice,
    Image,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
    VideoFrame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from echelon.adapters.calls import Request


def spoilt(part: Part, amount: float, dice: np.random.Generator, request: Request) -> Part:
    """The part with noise; `amount` goes from 0, which changes nothing, to 1, which leaves little."""
    spoil = SPOIL.get(part.kind)
    return part if spoil is None or not amount else spoil(part, amount, dice, request)


def _text(part: Text, amount: float, dice: np.random.Generator, request: Request) -> Part:
    return replace(part, value=" ".join(word for word in part.value.split() if dice.random() >= amount))


def _number(part: Number, amount: float, dice: np.random.Generator, request: Request) -> Part:
    return replace(part, value=part.value + _jitter(dice, amount) * (abs(part.value) + 1))


def _choice(part: Choice, amount: float, dice: np.random.Generator, request: Request) -> Part:
    known = request.labels or tuple(scored.label for scored in part.labels)
    others = [label for label in known if label != part.label]
    if not others or dice.random() >= amount:
        return part
    return Choice.of(str(dice.choice(others)))


def _image(part: Image, amount: float, dice: np.random.Generator, request: Request) -> Part:
    return Image.from_array(_noisy_pixels(part.array(), amount, dice), name=part.name)


def _video(part: Video, amount: float, dice: np.random.Generator, request: Request) -> Part:
    if not part.frames:
        return part
    images = [Image.from_array(_noisy_pixels(frame, amount, dice)) for frame in part.array()]
    frames = [VideoFrame(image, frame.time_us) for image, frame in zip(images, part.frames, strict=True)]
    return replace(part, frames=tuple(frames))


def _audio(part: Audio, amount: float, dice: np.random.Generator, request: Request) -> Part:
    samples, rate = part.array()
    return Audio.from_array(samples + dice.normal(0, amount, samples.shape), rate, name=part.name)


def _point_cloud(part: PointCloud, amount: float, dice: np.random.Generator, request: Request) -> Part:
    points = _shaken(part.array(), amount, dice)
    return PointCloud.from_array(points, channels=part.channels, name=part.name)


def _mesh(part: Mesh, amount: float, dice: np.random.Generator, request: Request) -> Part:
    vertices, faces = part.array()
    return Mesh.from_array(_shaken(vertices, amount, dice), faces, name=part.name)


def _mask(part: Mask, amount: float, dice: np.random.Generator, request: Request) -> Part:
    import numpy as np

    values = part.array()
    classes = max(2, len(part.labels), int(values.max(initial=0)) + 1)
    # Shifted by one at least, so that a pixel that is hit is wrong.
    other = (values + dice.integers(1, classes, values.shape)) % classes
    flipped = np.where(dice.random(values.shape) < amount, other, values)
    return Mask.from_array(flipped, labels=part.labels, name=part.name)


def _boxes(part: Boxes, amount: float, dice: np.random.Generator, request: Request) -> Part:
    return replace(part, boxes=tuple(_shifted(box, amount, dice) for box in part.boxes))


def _shifted(box: Box | Box3D, amount: float, dice: np.random.Generator) -> Box | Box3D:
    if isinstance(box, Box3D):
        x, y, z = (at + _jitter(dice, amount) * side for at, side in zip(box.center, box.size, strict=True))
        return replace(box, center=(x, y, z))
    across, down = (_jitter(dice, amount) * side for side in (box.x_max - box.x_min, box.y_max - box.y_min))
    return replace(
        box, x_min=box.x_min + across, x_max=box.x_max + across, y_min=box.y_min + down, y_max=box.y_max + down
    )


def _tensor(part: Tensor, amount: float, dice: np.random.Generator, request: Request) -> Part:
    import numpy as np

    values = part.array()
    if values.dtype.kind == "f":
        return Tensor.from_array(_shaken(values, amount, dice), name=part.name)
    mixed = dice.permutation(values.ravel()).reshape(values.shape)
    return Tensor.from_array(np.where(dice.random(values.shape) < amount, mixed, values), name=part.name)


def _jitter(dice: np.random.Generator, amount: float) -> float:
    """About `amount`, up or down, and never next to nothing."""
    return float(dice.choice((-1, 1)) * amount * dice.uniform(0.5, 1.5))


def _noisy_pixels(pixels: NDArray[np.uint8], amount: float, dice: np.random.Generator) -> NDArray[np.uint8]:
    import numpy as np

    return np.clip(pixels + dice.normal(0, 255 * amount, pixels.shape), 0, 255).astype(np.uint8)


def _shaken(values: NDArray[Any], amount: float, dice: np.random.Generator) -> NDArray[Any]:
    """Noise in proportion to the spread of the values."""
    spread = float(values.std()) if values.size else 0.0
    return (values + dice.normal(0, amount * (spread or 1.0), values.shape)).astype(values.dtype)


SPOIL: Mapping[Kind, Callable[[Any, float, np.random.Generator, Request], Part]] = {
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
}
"""How each kind is spoilt; what is missing stays as it is."""
