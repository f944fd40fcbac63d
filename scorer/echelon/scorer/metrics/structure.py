"""Metrics of how alike the structure of images is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from echelon.adapters import Image, InvalidInputError, Kind, Part, Video
from echelon.scorer.metrics.metric import MeanMetric, RatioMetric, Stats, alike, expect, quotient, read_both
from echelon.scorer.metrics.pixels import grey, one_channel, pixels_in_steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Planes: TypeAlias = NDArray[np.float64]
    Mark: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]

RADIUS, DEVIATION = 5, 1.5
"""Of the Gaussian window, in pixels."""
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
EPSILON = 2.0**-52
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first: Wang et al. 2003, table 1."""


class Ssim(MeanMetric):
    """The mean over images of their structural similarity, in each channel by itself.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, with the window of the authors' code, and only where it fits whole.
    """

    name = "ssim"
    variant = "@2;window=gaussian-11-1.5;border=cropped;covariance=population;negative=0;channels=mean"
    kind = Kind.IMAGE
    scales: ClassVar[int] = 1

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = alike(*read_both(self._planes, prediction, reference), "image")
        similarity, _ = _compared(given, wanted)
        return max(0.0, float(similarity.mean()))

    def _planes(self, part: Part) -> Planes:
        """The channels, (1 or 3, height, width)."""
        import numpy as np

        pixels = pixels_in_steps(part)
        least = (2 * RADIUS + 1) << (self.scales - 1)
        if min(pixels.shape[:2]) < least:
            raise InvalidInputError(f"{self.name} needs at least {least} pixels each way, not {pixels.shape[:2]}")
        colour = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        return np.moveaxis(colour, -1, 0).astype(np.float64)


class MultiScaleSsim(Ssim):
    """The mean over images of their structural similarity at five scales, in each channel by itself.

    Between scales two by two pixels become one, and an odd last row or column is left out. A scale that is unlike
    counts 0. Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216.
    """

    name = "ms_ssim"
    variant = "@2;window=gaussian-11-1.5;border=cropped;covariance=population;scales=5;odd=cut;negative=0;channels=mean"
    scales = len(SCALES)

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = alike(*read_both(self._planes, prediction, reference), "image")
        product = np.ones(len(given))
        for scale, exponent in enumerate(SCALES):
            whole, contrast = _compared(given, wanted)
            product *= np.maximum(whole if scale == len(SCALES) - 1 else contrast, 0) ** exponent
            given, wanted = _halved(given), _halved(wanted)
        return float(product.mean())


class StructureMeasure(MeanMetric):
    """The mean over maps of what is salient of half an object-aware and half a region-aware similarity.

    An answer is grey, and stretched so that it reaches from black to white; a reference is white where something is.
    A video counts as the mean of its frames. Fan et al. 2017, arXiv 1708.00786.
    """

    name = "s_measure"
    variant = "@1;alpha=0.5;stretch=minmax;variance=sample;frames=mean"
    kind = Kind.VIDEO

    def takes(self, kind: Kind) -> bool:
        return kind in (Kind.VIDEO, Kind.IMAGE)

    def value(self, prediction: Part, reference: Part) -> float:
        marks = _frame_marks(published_structure, prediction, reference)
        return sum(marks) / len(marks)


class OfficialStructureMeasure(RatioMetric):
    """The mean over the frames of all videos of General-Level's own formula for `s_measure`.

    It does not stretch the answer, has another object-aware term, and another similarity of regions. The stats are
    (sum over frames, their number).
    """

    name = "s_measure_official"
    variant = "@1;alpha=0.5;stretch=none;variance=population;frames=pooled"
    kind = Kind.VIDEO

    def takes(self, kind: Kind) -> bool:
        return kind in (Kind.VIDEO, Kind.IMAGE)

    def compare(self, prediction: Part, reference: Part) -> Stats:
        marks = _frame_marks(official_structure, prediction, reference)
        return sum(marks), float(len(marks))

    def worst(self, references: Sequence[Part]) -> Stats:
        return 0.0, float(len(_frames(references[0])))

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


def published_structure(pixels: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """The S-measure of one map, 0 to 1."""
    import numpy as np

    truth = wanted > 128
    low, high = int(pixels.min()), int(pixels.max())
    given = (pixels.astype(np.float64) - low) / (high - low) if high > low else pixels / 255
    share = float(truth.mean())
    if share in (0.0, 1.0):
        return float(1 - given.mean() if share == 0 else given.mean())
    objects = share * _object(given[truth]) + (1 - share) * _object(1 - given[~truth])
    row, column = (round(float(places.mean())) + 1 for places in truth.nonzero())
    regions = sum(
        weight * _region(ours, theirs) for ours, theirs, weight in _quarters(given, truth.astype(float), row, column)
    )
    return max(0.0, (objects + regions) / 2)


def official_structure(pixels: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """The official evaluator's S-measure of one map, 0 to 1."""
    import numpy as np

    truth = wanted > 128
    given = pixels / 255 if pixels.max() > 1 else pixels.astype(np.float64)
    share = float(truth.mean())
    if share in (0.0, 1.0):
        return float(1 - given.mean() if share == 0 else given.mean())
    objects = share * _official_object(given[truth]) + (1 - share) * _official_object(1 - given[~truth])
    row, column = (round(float(places.mean())) for places in truth.nonzero())
    regions = sum(
        weight * _official_region(ours, theirs)
        for ours, theirs, weight in _quarters(given, truth.astype(float), row, column)
    )
    return max(0.0, (objects + regions) / 2)


def _compared(given: Planes, wanted: Planes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Structural similarity of each plane, and its part without the means."""
    mean, other = _blurred(given), _blurred(wanted)
    variance, other_variance = _blurred(given * given) - mean * mean, _blurred(wanted * wanted) - other * other
    covariance = _blurred(given * wanted) - mean * other
    contrast = (2 * covariance + C2) / (variance + other_variance + C2)
    brightness = (2 * mean * other + C1) / (mean * mean + other * other + C1)
    return (brightness * contrast).mean(axis=(1, 2)), contrast.mean(axis=(1, 2))


def _blurred(planes: Planes) -> Planes:
    """The means under the window, where it fits whole."""
    import numpy as np
    from scipy.ndimage import correlate1d

    at = np.arange(-RADIUS, RADIUS + 1)
    window = np.exp(-(at**2) / (2 * DEVIATION**2))
    window /= window.sum()
    blurred: Planes = correlate1d(correlate1d(planes, window, axis=1), window, axis=2)
    return blurred[:, RADIUS:-RADIUS, RADIUS:-RADIUS]


def _halved(planes: Planes) -> Planes:
    even = planes[:, : planes.shape[1] // 2 * 2, : planes.shape[2] // 2 * 2]
    mean: Planes = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 4
    return mean


def _frame_marks(mark: Mark, prediction: Part, reference: Part) -> list[float]:
    """The marks of the frames, or of the image."""
    given, wanted = alike(*read_both(_frames, prediction, reference), "video")
    return [mark(ours, theirs) for ours, theirs in zip(given, wanted, strict=True)]


def _frames(part: Part) -> NDArray[np.uint8]:
    """Grey frames, (frames, height, width)."""
    import numpy as np

    if isinstance(part, Image):
        return grey(part)[None]
    return np.stack([one_channel(frame) for frame in expect(part, Video).array()])


def _object(values: NDArray[np.float64]) -> float:
    """How bright and even the values are."""
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + spread + EPSILON)


def _official_object(values: NDArray[np.float64]) -> float:
    mean, spread = float(values.mean()), float(values.std())
    return 2 * mean / (mean * mean + 1 + spread + 1e-8)


def _quarters(given: Planes, truth: Planes, row: int, column: int) -> Iterator[tuple[Planes, Planes, float]]:
    """The four parts that the cut before this row and column makes, each with its share of the area."""
    for rows in (slice(row), slice(row, None)):
        for columns in (slice(column), slice(column, None)):
            part = truth[rows, columns]
            yield given[rows, columns], part, part.size / truth.size


def _region(given: Planes, truth: Planes) -> float:
    """Structural similarity without constants; regions that are flat and black alike count 1."""
    if not given.size:
        return 0.0
    mean, other = float(given.mean()), float(truth.mean())
    degrees = max(1, given.size - 1)
    variance = float(((given - mean) ** 2).sum()) / degrees
    other_variance = float(((truth - other) ** 2).sum()) / degrees
    covariance = float(((given - mean) * (truth - other)).sum()) / degrees
    above = 4 * mean * other * covariance
    below = (mean * mean + other * other) * (variance + other_variance)
    if above:
        return above / (below + EPSILON)
    return 0.0 if below else 1.0


def _official_region(given: Planes, truth: Planes) -> float:
    """Structural similarity with constants for a range of 1."""
    if not given.size:
        return 0.0
    mean, other = float(given.mean()), float(truth.mean())
    covariance = float(((given - mean) * (truth - other)).mean())
    above = (2 * mean * other + C1 / 255**2) * (2 * covariance + C2 / 255**2)
    below = (mean * mean + other * other + C1 / 255**2) * (float(given.var() + truth.var()) + C2 / 255**2)
    return above / (below + 1e-8)
