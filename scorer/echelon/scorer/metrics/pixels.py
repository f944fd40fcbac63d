"""Metrics that compare media value by value."""

from __future__ import annotations

from abc import abstractmethod
from math import log10
from typing import TYPE_CHECKING, Any, ClassVar

from echelon.adapters import Audio, Image, Kind, Part, Video
from echelon.scorer.metrics.metric import InvalidAnswer, MeanMetric, expect, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 1 << 20
"""Values that are compared at once, to bound the memory."""


class _Psnr(MeanMetric):
    """The mean over the samples of the peak signal-to-noise ratio; identical media count 100 dB."""

    unit = "dB"
    range = (0.0, 100.0)
    peak: ClassVar[float]

    @abstractmethod
    def values(self, part: Part) -> NDArray[Any]:
        """What is compared, between 0 or -peak and peak."""

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = _in_colour(*read_both(self.values, prediction, reference))
        if given.shape != wanted.shape:
            raise InvalidAnswer(f"the {self.kind} has the shape {given.shape}, {wanted.shape} is wanted")
        error = _mean_square(given.reshape(-1), wanted.reshape(-1)) / self.peak**2
        floor, ceiling = self.range
        return min(ceiling, max(floor, -10 * log10(error))) if error else ceiling


class ImagePsnr(_Psnr):
    """The mean over images of their peak signal-to-noise ratio."""

    name = "psnr"
    variant = "@1;peak=255;cap=100;floor=0;channels=pooled"
    kind = Kind.IMAGE
    peak = 255.0

    def values(self, part: Part) -> NDArray[np.uint8]:
        return expect(part, Image).array()


class VideoPsnr(_Psnr):
    """The mean over videos of their peak signal-to-noise ratio, all frames of one taken together."""

    name = "psnr_video"
    variant = "@1;peak=255;cap=100;floor=0;channels=pooled;frames=pooled"
    kind = Kind.VIDEO
    peak = 255.0

    def values(self, part: Part) -> NDArray[np.uint8]:
        return expect(part, Video).array()


class AudioPsnr(_Psnr):
    """The mean over sounds of their peak signal-to-noise ratio, where 1 is full scale."""

    name = "psnr_audio"
    variant = "@1;peak=1;cap=100;floor=0;channels=pooled"
    kind = Kind.AUDIO
    peak = 1.0

    def value(self, prediction: Part, reference: Part) -> float:
        rate, wanted = read_both(_sample_rate, prediction, reference)
        if rate != wanted:
            raise InvalidAnswer(f"the sound has {rate} samples per second, {wanted} are wanted")
        return super().value(prediction, reference)

    def values(self, part: Part) -> NDArray[np.float32]:
        return expect(part, Audio).array()[0]


def _sample_rate(part: Part) -> int:
    return expect(part, Audio).array()[1]


def _in_colour(given: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both with channels where one has them: grey is equal red, green and blue."""
    import numpy as np

    if given.ndim == wanted.ndim:
        return given, wanted
    grey, colour = sorted((given, wanted), key=np.ndim)
    spread = np.broadcast_to(grey[..., None], (*grey.shape, colour.shape[-1]))
    return (spread, wanted) if grey is given else (given, spread)


def _mean_square(given: NDArray[Any], wanted: NDArray[Any]) -> float:
    import numpy as np

    total = 0.0
    for at in range(0, given.size, BLOCK):
        block = slice(at, at + BLOCK)
        total += float(np.square(given[block].astype(np.float64) - wanted[block]).sum())
    return total / max(1, given.size)
