"""Metrics of dense fields of numbers: depth, optical flow, normals; answers and references are tensors.

Where a reference is NaN, nothing is known, and nothing is compared.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Part, Tensor
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import ErrorMetric, InvalidAnswer, Stats, alike, expect, read_answer, read_reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Field = NDArray[np.float64]

NEAREST, FARTHEST = 1e-3, 80.0
"""Depths between which the official evaluator compares."""


class TensorRmse(ErrorMetric):
    """The mean over the samples of the root of the mean squared difference of their elements."""

    name = "rmse_tensor"
    variant = "@1;nan=ignored;mean=samples"
    kind = Kind.TENSOR

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = _known(*_both(prediction, reference))
        return float(np.sqrt(np.mean((given - wanted) ** 2)))


class TensorRms(TensorRmse):
    """As `rmse_tensor`, under the name that General-Level maps on another scale."""

    name = "rms"


class NormalsRmse(ErrorMetric):
    """The mean over the samples of the root of the mean squared angle between normals, in degrees.

    Normals are three numbers along the last axis, of any length but 0.
    """

    name = "rmse_normals"
    variant = "@1;nan=ignored;mean=samples"
    kind = Kind.TENSOR
    unit = "degrees"

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = _vectors(*_both(prediction, reference), 3)
        given, wanted = _directions(given, "answer"), _directions(wanted, "reference")
        # Well conditioned at every angle, unlike the arc cosine.
        across, along = np.linalg.norm(np.cross(given, wanted), axis=-1), (given * wanted).sum(axis=-1)
        return sqrt(float(np.mean(np.degrees(np.arctan2(across, along)) ** 2)))


class EndPointError(ErrorMetric):
    """The mean over the samples of the mean distance between vectors, in pixels where they are optical flow.

    Vectors lie along the last axis. Otte and Nagel 1994, doi:10.1007/3-540-57956-7_5.
    """

    name = "epe"
    variant = "@1;nan=ignored;mean=samples"
    kind = Kind.TENSOR
    unit = "pixels"

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = _vectors(*_both(prediction, reference), 2)
        return float(np.linalg.norm(given - wanted, axis=-1).mean())


class RelativeDepthError(ErrorMetric):
    """The mean over the samples of the mean distance between depths, each by the true depth.

    What is not above 0 in a reference is unknown. Saxena et al. 2009, doi:10.1109/TPAMI.2008.132.
    """

    name = "abs_rel"
    variant = "@1;nan=ignored;alignment=none;mean=samples"
    kind = Kind.TENSOR

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = _both(prediction, reference)
        given, wanted = _known(given, np.where(wanted > 0, wanted, np.nan))
        return float(np.mean(np.abs(given - wanted) / wanted))


class OfficialRelativeDepthError(ErrorMetric):
    """`abs_rel` as General-Level's evaluator has it: between 0.001 and 80, scaled and shifted to the reference.

    Scale and shift are those of least squares, for each sample by itself. A failed sample counts the task's declared
    worst, which does not limit the error of others.
    """

    name = "abs_rel_official"
    variant = "@2;alignment=scale-shift;depths=0.001-80;mean=samples;limit=failed"
    kind = Kind.TENSOR

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.value(prediction, reference), 1.0

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = _both(prediction, reference)
        between = (wanted > NEAREST) & (wanted < FARTHEST)
        given, wanted = _known(given, np.where(between, wanted, np.nan))
        given = np.maximum(given, NEAREST)
        (scale, shift), *_ = np.linalg.lstsq(np.stack([given, np.ones_like(given)], axis=1), wanted, rcond=None)
        aligned = np.clip(scale * given + shift, NEAREST, FARTHEST)
        return float(np.mean(np.abs(aligned - wanted) / wanted))


def _both(prediction: Part, reference: Part) -> tuple[Field, Field]:
    """Both tensors, of one shape; an answer is finite."""
    return alike(read_answer(_answer, prediction), read_reference(_numbers, reference), "tensor")


def _answer(part: Part) -> Field:
    import numpy as np

    values = _numbers(part)
    if not np.isfinite(values).all():
        raise InvalidInputError("the elements of a tensor must be finite")
    return values


def _numbers(part: Part) -> Field:
    import numpy as np

    return expect(part, Tensor).array().astype(np.float64)


def _known(given: Field, wanted: Field) -> tuple[Field, Field]:
    """The elements of both where the reference is known."""
    import numpy as np

    known = np.isfinite(wanted)
    if not known.any():
        raise InvalidSuiteError("a reference cannot be used: not one of its elements is known")
    return given[known], wanted[known]


def _vectors(given: Field, wanted: Field, length: int) -> tuple[Field, Field]:
    """The vectors of both, (vectors, length), where the whole vector of the reference is known."""
    import numpy as np

    if wanted.ndim == 0 or wanted.shape[-1] != length:
        raise InvalidSuiteError(
            f"a reference cannot be used: {length} numbers along its last axis are wanted, its shape is {wanted.shape}"
        )
    known = np.isfinite(wanted).all(axis=-1)
    if not known.any():
        raise InvalidSuiteError("a reference cannot be used: not one of its vectors is known")
    return given[known], wanted[known]


def _directions(vectors: Field, whose: str) -> Field:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        error = InvalidAnswer if whose == "answer" else InvalidSuiteError
        raise error(f"a normal of the {whose} has the length 0")
    return np.asarray(vectors / lengths)
