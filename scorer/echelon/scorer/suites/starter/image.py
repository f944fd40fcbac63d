"""Tasks on still images: digits, scenes of shapes, a gauge, and drawing from words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import Box, Boxes, Choice, Image, Kind, Mask, Number
from echelon.scorer.suites.starter import digits
from echelon.scorer.suites.starter.example import Example, Split, StarterTask
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

SIDE = 32
SHAPES = ("circle", "square", "triangle")
MASK_LABELS = ("background", *SHAPES)
NOISE = 0.3
GAUGE_NOISE = 0.38
PLACES = {
    "upper left": (9, 9), "top": (16, 9), "upper right": (23, 9),
    "left": (9, 16), "centre": (16, 16), "right": (23, 16),
    "lower left": (9, 23), "bottom": (16, 23), "lower right": (23, 23),
}  # fmt: skip
SIZES = {"small": 4.5, "large": 7.5}
LIGHTS = {"pale": 0.6, "bright": 1.0}


def digit(rng: np.random.Generator, split: Split) -> Example:
    """A handwritten digit, enlarged, moved about and noisy."""
    import numpy as np

    index, ink, label = digits.pick(rng, split)
    canvas = np.zeros((SIDE, SIDE))
    left, top = rng.integers(2, 7, 2)
    canvas[top : top + 24, left : left + 24] = np.kron(ink, np.ones((3, 3))) * rng.uniform(0.5, 1)
    noisy = canvas + rng.normal(0, NOISE, canvas.shape)
    verb = str(rng.choice(["written", "drawn", "shown"]))
    return Example((picture(noisy),), Choice.of(str(label)), {"verb": verb}, f"digit-{index}")


def segmentation(rng: np.random.Generator, split: Split) -> Example:
    """A noisy scene and the shape that each pixel belongs to."""
    clean, labels, _ = scene(rng)
    return Example((picture(noisy(rng, clean)),), Mask.from_array(labels, labels=MASK_LABELS))


def detection(rng: np.random.Generator, split: Split) -> Example:
    """A noisy scene and a box around each shape."""
    clean, _, boxes = scene(rng)
    return Example((picture(noisy(rng, clean)),), Boxes(boxes))


def denoising(rng: np.random.Generator, split: Split) -> Example:
    """A noisy scene and the scene itself."""
    clean, _, _ = scene(rng)
    return Example((picture(noisy(rng, clean)),), picture(clean))


def gauge(rng: np.random.Generator, split: Split) -> Example:
    """A half-round dial whose needle goes from 0 at the left to 1000 at the right."""
    import numpy as np

    reading = rng.uniform(0, 1000)
    angle = np.pi * (1 - reading / 1000)
    x, y = grid()
    x, y = x - 15.5 - rng.uniform(-1, 1), 24 + rng.uniform(-1, 1) - y
    along = x * np.cos(angle) + y * np.sin(angle)
    across = np.abs(x * np.sin(angle) - y * np.cos(angle))
    needle = soft(0.8 - across) * soft(along) * soft(rng.uniform(11, 15) - along)
    rim = 0.4 * soft(0.7 - np.abs(np.hypot(x, y) - 15)) * (y > 0)
    dial = np.maximum(needle, rim) + rng.normal(0, GAUGE_NOISE, x.shape)
    return Example((picture(dial),), Number(round(float(reading), 1)))


def drawing(rng: np.random.Generator, split: Split) -> Example:
    """A description and a drawing of it."""
    size, light, shape, place = (str(rng.choice(list(words))) for words in (SIZES, LIGHTS, SHAPES, PLACES))
    described = {"what": f"{size} {light} {shape}", "where": place}
    return Example((), drawn(rng, described), described)


def drawn(rng: np.random.Generator, described: Mapping[str, str]) -> Image:
    """The shape that is described; where exactly is left to the drawer."""
    import numpy as np

    size, light, shape = described["what"].split()
    x, y = np.array(PLACES[described["where"]]) + rng.uniform(-1, 1, 2)
    inside = soft(-distance(shape, x, y, SIZES[size] * rng.uniform(0.9, 1.1)))
    return picture(0.2 + (LIGHTS[light] - 0.2) * inside)


def scene(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint8], tuple[Box, ...]]:
    """One to three shapes that do not touch: the picture, each pixel's label, and the boxes."""
    import numpy as np

    canvas = np.full((SIDE, SIDE), rng.uniform(0.1, 0.4))
    labels = np.zeros((SIDE, SIDE), np.uint8)
    boxes: list[Box] = []
    for _ in range(rng.integers(1, 4)):
        index = int(rng.integers(len(SHAPES)))
        radius = rng.uniform(3.5, 6.5)
        x, y = rng.uniform(radius, SIDE - 1 - radius, 2)
        away = distance(SHAPES[index], x, y, radius)
        inside = away < 0
        if labels[away < 1.5].any():
            continue
        canvas += (rng.uniform(0.6, 1) - canvas) * soft(-away)
        labels[inside] = index + 1
        boxes.append(_box(inside, SHAPES[index]))
    return canvas, labels, tuple(boxes)


def distance(shape: str, x: float, y: float, radius: float) -> NDArray[np.float64]:
    """How far each pixel lies outside the shape, negative inside."""
    import numpy as np

    across, down = grid()
    across, down = across - x, down - y
    if shape == "circle":
        return np.hypot(across, down) - radius
    if shape == "square":
        return np.maximum(np.abs(across), np.abs(down)) - radius * 0.85
    slope = (2 * np.abs(across) - down - radius) / np.sqrt(5)
    outside: NDArray[np.float64] = np.maximum(slope, down - radius)
    return outside


def grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The x and y of every pixel."""
    import numpy as np

    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    return x, y


def soft(inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 inside, 0 outside, with an edge one pixel wide."""
    import numpy as np

    return np.clip(inside + 0.5, 0, 1)


def noisy(rng: np.random.Generator, clean: NDArray[np.float64]) -> NDArray[np.float64]:
    """The picture as a bad camera sees it."""
    return clean + rng.normal(0, NOISE, clean.shape)


def picture(values: NDArray[np.float64]) -> Image:
    """Values from 0 to 1 as a grey image."""
    import numpy as np

    return Image.from_array(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))


def _box(inside: NDArray[np.bool_], label: str) -> Box:
    import numpy as np

    rows, columns = np.nonzero(inside)
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1), label)


TASKS = (
    StarterTask(
        Task(
            id="image-digits",
            title="Handwritten digits",
            modality=Modality.IMAGE,
            paradigm=Paradigm.COMPREHENSION,
            skill="character recognition",
            instruction="Which digit is {verb} here?",
            output=(Kind.CHOICE,),
            labels=tuple("0123456789"),
            extractor="label",
            metric="accuracy",
            chance=0.1,
        ),
        digit,
    ),
    StarterTask(
        Task(
            id="image-segmentation",
            title="Pixels of shapes",
            modality=Modality.IMAGE,
            paradigm=Paradigm.COMPREHENSION,
            skill="segmentation",
            instruction="Mark each pixel with the shape that it belongs to.",
            output=(Kind.MASK,),
            labels=MASK_LABELS,
            extractor="mask",
            metric="miou",
            chance=0.226,
        ),
        segmentation,
    ),
    StarterTask(
        Task(
            id="image-detection",
            title="Boxes around shapes",
            modality=Modality.IMAGE,
            paradigm=Paradigm.COMPREHENSION,
            skill="object detection",
            instruction="Put a box around each circle, square and triangle.",
            output=(Kind.BOXES,),
            labels=SHAPES,
            extractor="boxes",
            metric="ap50",
            chance=0.003,
        ),
        detection,
    ),
    StarterTask(
        Task(
            id="image-gauge",
            title="Reading a gauge",
            modality=Modality.IMAGE,
            paradigm=Paradigm.COMPREHENSION,
            skill="measurement",
            instruction="What does the gauge read, from 0 to 1000?",
            output=(Kind.NUMBER,),
            extractor="number",
            metric="mae",
            chance=250.0,
            worst=1000.0,
        ),
        gauge,
    ),
    StarterTask(
        Task(
            id="image-denoising",
            title="Cleaning a picture",
            modality=Modality.IMAGE,
            paradigm=Paradigm.GENERATION,
            skill="image restoration",
            instruction="Remove the noise from this picture.",
            output=(Kind.IMAGE,),
            extractor="image",
            metric="psnr",
            chance=15.7,
        ),
        denoising,
    ),
    StarterTask(
        Task(
            id="image-drawing",
            title="Drawing from words",
            modality=Modality.IMAGE,
            paradigm=Paradigm.GENERATION,
            skill="text to image",
            instruction="Draw a {what}; its place is: {where}.",
            output=(Kind.IMAGE,),
            extractor="image",
            metric="psnr",
            chance=16.2,
        ),
        drawing,
        imagine=drawn,
    ),
)
