"""Tasks on solids, seen as points: naming them, and completing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import Choice, Kind, PointCloud
from echelon.scorer.suites.starter.example import Example, Split, StarterTask
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS = 128
NOISE = 0.12
SOLIDS = ("ball", "box", "cylinder", "cone", "ring", "pyramid")


def naming(rng: np.random.Generator, split: Split) -> Example:
    """Half of a noisy solid, and its name."""
    name = str(rng.choice(SOLIDS))
    return Example((cloud(half(rng, solid(rng, name))),), Choice.of(name))


def completion(rng: np.random.Generator, split: Split) -> Example:
    """Half of a noisy solid, and points all over it."""
    points = solid(rng, str(rng.choice(SOLIDS)))
    return Example((cloud(half(rng, points)),), cloud(points[:POINTS]))


def solid(rng: np.random.Generator, name: str) -> NDArray[np.float64]:
    """Twice `POINTS` points on a solid that is stretched and turned at random."""
    points = _surface(rng, name) * rng.uniform(0.9, 1.4, 3)
    turned: NDArray[np.float64] = points @ _turn(rng).T
    return turned


def half(rng: np.random.Generator, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The `POINTS` points furthest to one side, with noise, in no order."""
    import numpy as np

    towards = rng.normal(size=3)
    seen = points[np.argsort(points @ towards)[:POINTS]]
    return rng.permutation(seen) + rng.normal(0, NOISE, seen.shape)


def cloud(points: NDArray[np.float64]) -> PointCloud:
    """Points with x, y and z."""
    return PointCloud.from_array(points)


def _surface(rng: np.random.Generator, name: str) -> NDArray[np.float64]:
    import numpy as np

    count = 2 * POINTS
    return SURFACES[name](rng, rng.uniform(0, 2 * np.pi, count), rng.uniform(-1, 1, count))


def _ball(rng: np.random.Generator, turn: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    reach = np.sqrt(1 - height**2)
    return np.stack([reach * np.cos(turn), reach * np.sin(turn), height], 1)


def _cylinder(rng: np.random.Generator, turn: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    return np.stack([np.cos(turn), np.sin(turn), height], 1)


def _cone(rng: np.random.Generator, turn: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    reach = (1 - height) / 2
    return np.stack([reach * np.cos(turn), reach * np.sin(turn), height], 1)


def _ring(rng: np.random.Generator, turn: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    tube = height * np.pi
    reach = 0.8 + 0.3 * np.cos(tube)
    return np.stack([reach * np.cos(turn), reach * np.sin(turn), 0.3 * np.sin(tube)], 1)


def _box(rng: np.random.Generator, turn: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the four walls around the square from -0.8 to 0.8."""
    import numpy as np

    along, side = rng.uniform(-0.8, 0.8, height.size), rng.choice([-0.8, 0.8], height.size)
    front = rng.random(height.size) < 0.5
    return np.stack([np.where(front, along, side), np.where(front, side, along), height], 1)


def _pyramid(rng: np.random.Generator, turn: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    shrink = np.stack([(1 - height) / 2, (1 - height) / 2, np.ones_like(height)], 1)
    shrunk: NDArray[np.float64] = _box(rng, turn, height) * shrink
    return shrunk


SURFACES = {
    "ball": _ball,
    "box": _box,
    "cylinder": _cylinder,
    "cone": _cone,
    "ring": _ring,
    "pyramid": _pyramid,
}
"""Points on each solid, given a turn about the upright axis and a height from -1 to 1 for each."""


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """Any turn about the upright axis, then a slight tilt."""
    import numpy as np

    turn, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(-0.5, 0.5)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    both: NDArray[np.float64] = about_x @ about_z
    return both


TASKS = (
    StarterTask(
        Task(
            id="3d-naming",
            title="Naming solids",
            modality=Modality.THREE_D,
            paradigm=Paradigm.COMPREHENSION,
            skill="shape classification",
            instruction="Which solid do these points lie on?",
            output=(Kind.CHOICE,),
            labels=SOLIDS,
            extractor="label",
            metric="accuracy",
            chance=0.167,
        ),
        naming,
    ),
    StarterTask(
        Task(
            id="3d-completion",
            title="Completing solids",
            modality=Modality.THREE_D,
            paradigm=Paradigm.GENERATION,
            skill="shape completion",
            instruction="Half of this solid is missing; give points all over the whole.",
            output=(Kind.POINT_CLOUD,),
            extractor="points",
            metric="chamfer",
            chance=0.57,
            worst=2.0,
        ),
        completion,
    ),
)
