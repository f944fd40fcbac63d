"""Tasks on film: where a spot moves, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import Choice, Kind, Video
from echelon.scorer.suites.starter.example import Example, Split, StarterTask
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 16
SEEN, NEXT = 6, 3
FRAMES_PER_SECOND = 8
NOISE = 0.3
DIRECTIONS = ("right", "lower right", "down", "lower left", "left", "upper left", "up", "upper right")
"""By angle, clockwise as y grows downwards."""


def direction(rng: np.random.Generator, split: Split) -> Example:
    """A noisy film of a moving spot, and where it goes."""
    frames, towards = film(rng)
    return Example((clip(noisy(rng, frames[:SEEN])),), Choice.of(DIRECTIONS[towards]))


def continuation(rng: np.random.Generator, split: Split) -> Example:
    """A noisy film of a moving spot, and the clean frames that follow."""
    frames, _ = film(rng)
    return Example((clip(noisy(rng, frames[:SEEN])),), clip(frames[SEEN:]))


def film(rng: np.random.Generator) -> tuple[NDArray[np.float64], int]:
    """Clean frames of a spot that crosses a shaded ground, and the index of its direction."""
    import numpy as np

    towards = int(rng.integers(len(DIRECTIONS)))
    angle = (towards + rng.uniform(-0.4, 0.4)) * np.pi / 4
    heading = np.array([np.cos(angle), np.sin(angle)])
    middle = rng.uniform(6, 9, 2)
    times = np.arange(SEEN + NEXT) - (SEEN + NEXT - 1) / 2
    path = middle + times[:, None] * heading * rng.uniform(0.6, 1.2)
    y, x = np.mgrid[:SIDE, :SIDE]
    away = (x - path[:, 0, None, None]) ** 2 + (y - path[:, 1, None, None]) ** 2
    slope = rng.uniform(-0.3, 0.3, 2)
    ground = rng.uniform(0.2, 0.4) + slope[0] * (x / SIDE - 0.5) + slope[1] * (y / SIDE - 0.5)
    spot = np.exp(-away / (2 * rng.uniform(1.3, 2.2) ** 2))
    return ground + (rng.uniform(0.7, 1) - ground) * spot, towards


def noisy(rng: np.random.Generator, frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """The film as a bad camera sees it."""
    return frames + rng.normal(0, NOISE, frames.shape)


def clip(frames: NDArray[np.float64]) -> Video:
    """Frames from 0 to 1 as a grey film."""
    import numpy as np

    pixels = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return Video.from_array(pixels, frames_per_second=FRAMES_PER_SECOND)


TASKS = (
    StarterTask(
        Task(
            id="video-direction",
            title="Where the spot moves",
            modality=Modality.VIDEO,
            paradigm=Paradigm.COMPREHENSION,
            skill="motion recognition",
            instruction="In which direction does the spot move?",
            output=(Kind.CHOICE,),
            labels=DIRECTIONS,
            extractor="label",
            metric="macro_f1",
            chance=0.125,
        ),
        direction,
    ),
    StarterTask(
        Task(
            id="video-continuation",
            title="The next frames",
            modality=Modality.VIDEO,
            paradigm=Paradigm.GENERATION,
            skill="frame prediction",
            instruction="Continue the film with the next three frames, without the noise.",
            output=(Kind.VIDEO,),
            extractor="video",
            metric="psnr_video",
            chance=17.8,
        ),
        continuation,
    ),
)
