"""Blind answers that are ways of a camera or vehicle: tensors of poses, (n, 3, 4) or (n, 4, 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echelon.adapters import Part, Tensor
from echelon.scorer.chance.candidate import Candidate, Inputs
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Poses = NDArray[np.float64]

TYPICAL = 4
AXES = {"x": 0, "y": 1, "z": 2}


class PoseObserver:
    """Learns how far references go from pose to pose, and keeps some."""

    def __init__(self, seeded: SeededHash) -> None:
        self._steps: list[Poses] = []
        self._kept: Reservoir[Poses] = Reservoir(seeded, TYPICAL)
        self._inputs = Inputs(Tensor)

    def see(self, sample: Sample) -> None:
        import numpy as np

        self._inputs.see(sample)
        poses = _poses(sample)
        if poses is not None and len(poses) > 1:
            steps = np.diff(poses[:, :3, 3], axis=0)
            # As seen from the pose before.
            self._steps.append(np.einsum("nij,ni->nj", poses[:-1, :3, :3], steps).mean(axis=0))
            self._kept.offer(sample.id, poses)

    def candidates(self) -> Iterator[Candidate]:
        import numpy as np

        yield from self._inputs.candidates()
        steps = np.array(self._steps) if self._steps else np.zeros((1, 3))
        yield self._straight("standing still", np.zeros(3))
        yield self._straight("straight on with the mean step", steps.mean(axis=0))
        yield self._straight("straight on with the median step", np.median(steps, axis=0))
        length = float(np.median(np.linalg.norm(steps, axis=1)))
        for name, axis in AXES.items():
            yield self._straight(f"straight along {name}", length * np.eye(3)[axis])
        for source, poses in self._kept.items:
            yield Candidate("one reference", _Fitted(poses), source)

    def _straight(self, name: str, step: Poses) -> Candidate:
        import numpy as np

        def answer(sample: Sample) -> Part | None:
            wanted = _poses(sample)
            if wanted is None:
                return None
            poses = np.zeros(wanted.shape)
            poses[:, : wanted.shape[1], : wanted.shape[1]] = np.eye(wanted.shape[1])
            poses[:, :3, 3] = np.arange(len(wanted))[:, None] * step
            return Tensor.from_array(poses)

        return Candidate(name, answer)


class _Fitted:
    """Answers with one reference, cut or held at its end."""

    def __init__(self, poses: Poses) -> None:
        self._poses = poses

    def __call__(self, sample: Sample) -> Part | None:
        import numpy as np

        wanted = _poses(sample)
        if wanted is None or wanted.shape[1:] != self._poses.shape[1:]:
            return None
        return Tensor.from_array(self._poses[np.arange(len(wanted)).clip(max=len(self._poses) - 1)])


def _poses(sample: Sample) -> Poses | None:
    import numpy as np

    for part in sample.references:
        if isinstance(part, Tensor) and len(part.shape) == 3 and part.shape[2] == 4:
            return np.asarray(part.array(), np.float64)
    return None
