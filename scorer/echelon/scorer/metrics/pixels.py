"""Metrics that compare media value by value."""

from __future__ import annotations

from abc import abstractmethod
from math import fsum, log10, sqrt
from typing import TYPE_CHECKING, Any, TypeVar

from echelon.adapters import Audio, Image, InvalidInputError, Kind, Part, Tensor, Video
from echelon.adapters.decode import has_deep_colours
from echelon.scorer.metrics.metric import (
    ErrorMetric,
    InvalidAnswer,
    MeanMetric,
    RatioMetric,
    Stats,
    alike,
    expect,
    quotient,
    read_both,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

PixelT = TypeVar("PixelT", bound="np.generic")
PEAK = 255.0
INTEGER_PEAKS = {"uint8": 255, "uint16": 65_535}
"""Unsigned integers stand for fractions of these."""
BLOCK = 256
"""Squared differences of pixels that a float32 adds up exactly: 256 * 255^2 is less than 2^24."""
BLOCKS = 1 << 12
"""Blocks that are compared at once, to bound the memory."""


class _PixelPsnr(MeanMetric):
    """The mean over the samples of the peak signal-to-noise ratio; identical media count 100 dB."""

    unit = "dB"
    range = (0.0, 100.0)

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = read_both(self.values, prediction, reference)
        return decibels(mean_square(*_in_colour(given, wanted)))

    @abstractmethod
    def values(self, part: Part) -> NDArray[Any]:
        """The pixels, in steps of 255."""


class ImagePsnr(_PixelPsnr):
    """The mean over images of their peak signal-to-noise ratio."""

    name = "psnr"
    variant = "@2;peak=255;cap=100;floor=0;channels=pooled"
    kind = Kind.IMAGE

    def values(self, part: Part) -> NDArray[Any]:
        return pixels_in_steps(part)


class VideoPsnr(_PixelPsnr):
    """The mean over videos of their peak signal-to-noise ratio, all frames of one taken together."""

    name = "psnr_video"
    variant = "@1;peak=255;cap=100;floor=0;channels=pooled;frames=pooled"
    kind = Kind.VIDEO

    def values(self, part: Part) -> NDArray[np.uint8]:
        return expect(part, Video).array()


class OfficialVideoPsnr(RatioMetric):
    """The mean over the frames of all videos of their peak signal-to-noise ratio, identical frames left out.

    So does General-Level's evaluator of restored videos, without a ceiling: one step in one of 10^14 pixels is below
    200 dB. The stats are (sum over the frames that differ, their number).
    """

    name = "psnr_video_official"
    variant = "@2;peak=255;channels=pooled;frames=each;identical=skipped"
    kind = Kind.VIDEO
    unit = "dB"
    range = (0.0, 200.0)

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = _in_colour(*read_both(lambda part: expect(part, Video).array(), prediction, reference))
        errors = [mean_square(*frames) for frames in zip(given, wanted, strict=True)]
        marks = [-10 * log10(error / PEAK**2) for error in errors if error]
        return fsum(marks), float(len(marks))

    def worst(self, references: Sequence[Part]) -> Stats:
        return 0.0, float(len(expect(references[0], Video).array()))

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


class AudioPsnr(MeanMetric):
    """The mean over sounds of their peak signal-to-noise ratio, where 1 is full scale."""

    name = "psnr_audio"
    variant = "@1;peak=1;cap=100;floor=0;channels=pooled"
    kind = Kind.AUDIO
    unit = "dB"
    range = (0.0, 100.0)

    def value(self, prediction: Part, reference: Part) -> float:
        (given, rate), (wanted, wanted_rate) = read_both(_sound, prediction, reference)
        if rate != wanted_rate:
            raise InvalidAnswer(f"the sound has {rate} samples per second, {wanted_rate} are wanted")
        return decibels(mean_square(given, wanted), peak=1.0)


class ImageRmse(ErrorMetric):
    """The mean over images of the root of the mean squared difference, in steps of 255."""

    name = "rmse_image"
    variant = "@2;peak=255;channels=pooled;space=rgb"
    kind = Kind.IMAGE

    def value(self, prediction: Part, reference: Part) -> float:
        return sqrt(mean_square(*_in_colour(*read_both(pixels_in_steps, prediction, reference))))


class _Matte(ErrorMetric):
    """A metric of alpha mattes, where 1 is opaque: grey images of 8 or 16 bits, or tensors of numbers from 0 to 1.

    Unsigned integers are fractions of their highest value, in tensors too.
    """

    kind = Kind.IMAGE

    def takes(self, kind: Kind) -> bool:
        return kind in (Kind.IMAGE, Kind.TENSOR)

    def differences(self, prediction: Part, reference: Part) -> NDArray[np.float64]:
        """Return the differences of opacity, pixel by pixel."""
        given, wanted = alike(*read_both(opacity, prediction, reference), "matte")
        return given - wanted


class MatteMse(_Matte):
    """The mean over alpha mattes of the mean squared difference, times 1000, where 1 is opaque.

    The scale is that of the literature on matting: Rhemann et al. 2009, doi:10.1109/CVPR.2009.5206503.
    """

    name = "mse"
    variant = "/matte@2;peak=1;scale=1000;region=image"

    def value(self, prediction: Part, reference: Part) -> float:
        return 1000 * float((self.differences(prediction, reference) ** 2).mean())


class MatteSad(_Matte):
    """The mean over alpha mattes of the sum of absolute differences, in thousands of pixels, where 1 is opaque.

    Rhemann et al. 2009, doi:10.1109/CVPR.2009.5206503.
    """

    name = "sad"
    variant = "@2;peak=1;scale=0.001;region=image"

    def value(self, prediction: Part, reference: Part) -> float:
        return float(abs(self.differences(prediction, reference)).sum()) / 1000


def opacity(part: Part) -> NDArray[np.float64]:
    """Return a matte as numbers from 0 to 1, (height, width); unsigned integers are fractions of their highest value.

    Raises InvalidInputError for colours, for what Pillow would read with fewer bits, and for numbers out of range.
    """
    import numpy as np

    if isinstance(part, Tensor):
        values = part.array()
    else:
        image = expect(part, Image)
        if has_deep_colours(image.data):
            raise InvalidInputError("of 16 bits a channel only 8 would be read: save the matte in grey")
        values = one_channel(image.deep_array())
    peak = INTEGER_PEAKS.get(values.dtype.name, 1)
    matte = values.astype(np.float64) / peak
    if not ((matte >= 0) & (matte <= 1)).all():
        raise InvalidInputError("a matte needs numbers from 0 to 1")
    return matte


def decibels(error: float, peak: float = PEAK) -> float:
    """The peak signal-to-noise ratio of a mean squared error, between 0 and 100."""
    return min(100.0, max(0.0, -10 * log10(error / peak**2))) if error else 100.0


def mean_square(given: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The mean squared difference; that of pixels is exact."""
    alike(given, wanted, "answer")
    pixels = given.dtype.kind == wanted.dtype.kind == "u"
    given, wanted = given.reshape(-1), wanted.reshape(-1)
    step = BLOCK * BLOCKS
    total = sum(_square_sum(given[at : at + step], wanted[at : at + step], pixels) for at in range(0, len(given), step))
    return total / max(1, len(given))


def grey(part: Part) -> NDArray[np.uint8]:
    """The pixels of a grey image."""
    return one_channel(expect(part, Image).array())


def one_channel(pixels: NDArray[PixelT]) -> NDArray[PixelT]:
    """Pixels without channels; where they have some, all must be equal."""
    if pixels.ndim == 2:
        return pixels
    if not (pixels == pixels[..., :1]).all():
        raise InvalidInputError("a grey image is wanted, this one has colours")
    return pixels[..., 0]


def _square_sum(given: NDArray[Any], wanted: NDArray[Any], pixels: bool) -> float:
    import numpy as np

    difference = np.subtract(given, wanted, dtype=np.float32 if pixels else np.float64)
    if not pixels:
        return float(difference @ difference)
    whole = len(difference) // BLOCK * BLOCK
    blocks, rest = difference[:whole].reshape(-1, BLOCK), difference[whole:]
    return float(np.einsum("ij,ij->i", blocks, blocks).sum(dtype=np.float64)) + float(rest @ rest)


def pixels_in_steps(part: Part) -> NDArray[Any]:
    """Return the pixels of an image in steps of 255: as uint8, or as float64 where a grey image has 16 bits."""
    pixels = expect(part, Image).deep_array()
    return pixels if pixels.dtype.name == "uint8" else pixels / (INTEGER_PEAKS["uint16"] / PEAK)


def _sound(part: Part) -> tuple[NDArray[np.float32], int]:
    return expect(part, Audio).array()


def _in_colour(given: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both, of one shape, with channels where one has them: grey is equal red, green and blue."""
    import numpy as np

    if given.ndim == wanted.ndim:
        return alike(given, wanted, "answer")
    plain, colour = sorted((given, wanted), key=np.ndim)
    spread = np.broadcast_to(plain[..., None], (*plain.shape, colour.shape[-1]))
    return alike(*((spread, wanted) if plain is given else (given, spread)), "answer")
