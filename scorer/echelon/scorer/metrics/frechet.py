"""Fréchet distances between what a model makes and what it should make, as clouds of features."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from echelon.adapters import InvalidInputError, Kind, Part
from echelon.scorer.instruments import measured
from echelon.scorer.metrics.embeddings import Embedded
from echelon.scorer.metrics.metric import InvalidAnswer, Stats, declared, read_answer, read_reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]

FEW = 256
"""Dimensions up to which singular values cost next to nothing."""


class FrechetDistance(Embedded):
    """The squared Fréchet distance between Gaussians of the answers' and of the references' features.

    All references of a sample count. The stats are (1 or 0 for failed, length of a vector, the answer's vector where
    there is one, the references' vectors). A share of failed samples counts as the declared `worst`, by its size;
    never is the distance larger. It depends on the number of samples: compare like with like. Heusel et al. 2017,
    arXiv 1706.08500; Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X.
    """

    variant = "@1;covariance=sample;failed=worst-by-share"
    depends_on_count = True
    higher_is_better = False
    unit = ""
    range = (0.0, inf)

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        super().__init__(worst, labels)
        self.limit = declared(self.name, worst)

    @property
    def id(self) -> str:
        return f"{super().id};worst={self.limit:.17g}"

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        wanted = [self._reference(reference) for reference in references]
        given = read_answer(self._features, prediction)
        if len(given) != len(wanted[0]):
            raise InvalidAnswer(f"the features have {len(given)} elements, {len(wanted[0])} are wanted")
        return _row(1.0, len(given), given, *wanted)

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.sample(prediction, [reference])

    def worst(self, references: Sequence[Part]) -> Stats:
        wanted = [self._reference(reference) for reference in references]
        return _row(0.0, len(wanted[0]), *wanted)

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        # In an order of their own, for sums of floats depend on theirs.
        ordered = sorted((np.asarray(row, np.float64) for row in rows), key=lambda row: row.tobytes())
        given = [vector for row in ordered if row[0] for vector in _vectors(row)[:1]]
        wanted = [vector for row in ordered for vector in _vectors(row)[int(row[0]) :]]
        failed = 1 - len(given) / len(ordered)
        distance = min(self.limit, frechet(np.stack(given), np.stack(wanted))) if given else self.limit
        return (1 - failed) * distance + failed * self.limit

    def _reference(self, part: Part) -> Vectors:
        return read_reference(self._features, part)

    def _features(self, part: Part) -> Vectors:
        import numpy as np

        vectors = np.asarray(measured(self.embedder, lambda: self.embedder.embed([part])), np.float64)
        if not np.isfinite(vectors).all():
            raise InvalidInputError("features must be finite")
        first: Vectors = vectors[0]
        return first


class FrechetImage(FrechetDistance):
    """FID, with whatever features `inception` is given for; those of shapes and of motion go by that name too."""

    name = "fid"
    kind = Kind.IMAGE
    others = (Kind.VIDEO, Kind.POINT_CLOUD, Kind.MESH)
    role = "inception"


class FrechetVideo(FrechetDistance):
    """FVD, with whatever features of whole videos `video_features` is given for: Unterthiner et al. 2018."""

    name = "fvd"
    kind = Kind.VIDEO
    role = "video_features"


class FrechetAudio(FrechetDistance):
    """FAD, with whatever features `audio_features` is given for: Kilgour et al. 2019."""

    name = "fad"
    kind = Kind.AUDIO
    role = "audio_features"


def frechet(given: Vectors, wanted: Vectors) -> float:
    """The squared Fréchet distance between Gaussians of two clouds, (points, dimensions) each.

    One point alone has no covariance, which is then 0.
    """
    apart = given.mean(axis=0) - wanted.mean(axis=0)
    ours, theirs = _spread(given), _spread(wanted)
    # A trace is that of the product of a spread with itself.
    traces = float((ours * ours).sum() + (theirs * theirs).sum())
    return max(0.0, float(apart @ apart) + traces - 2 * _common(ours, theirs))


def _spread(points: Vectors) -> Vectors:
    """A factor of the covariance: its product with itself is that."""
    spread: Vectors = (points - points.mean(axis=0)) / max(1, len(points) - 1) ** 0.5
    return spread


def _common(ours: Vectors, theirs: Vectors) -> float:
    """The trace of the root of the product of two covariances, from their factors, which have a row for each point.

    Singular values are exact, also where a covariance is singular. A Cholesky factor and symmetric eigenvalues are
    good to half the digits and several times as fast, so they serve where there are many dimensions and more points.
    """
    import numpy as np
    from scipy.linalg import LinAlgError, cholesky, eigvalsh, qr, svdvals

    dimensions = ours.shape[1]
    if min(len(ours), len(theirs)) > dimensions > FEW:
        # A singular covariance has no Cholesky factor.
        with suppress(LinAlgError):
            factor = cholesky(ours.T @ ours, lower=True, check_finite=False)
            middle = factor.T @ (theirs.T @ theirs) @ factor
            return float(np.sqrt(np.maximum(eigvalsh(middle, check_finite=False), 0)).sum())
    small = [each if len(each) <= dimensions else qr(each, mode="r", check_finite=False)[0] for each in (ours, theirs)]
    return float(svdvals(small[0] @ small[1].T, check_finite=False).sum())


def _row(answered: float, length: int, *vectors: Vectors) -> Stats:
    import numpy as np

    row: NDArray[np.float64] = np.concatenate([[answered, length], *vectors])
    return row  # type: ignore[return-value]  # an array is a sequence of its numbers


def _vectors(row: NDArray[np.float64]) -> NDArray[np.float64]:
    vectors: NDArray[np.float64] = row[2:].reshape(-1, int(row[1]))
    return vectors
