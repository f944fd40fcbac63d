"""Media as processors take them: decoded by us, and never named by an address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from echelon.adapters.content import Audio, Image, Video


def picture(part: Image) -> Any:
    """An image as Pillow's, in RGB."""
    return _rgb(part.array())


def frames(part: Video, most: int) -> list[Any]:
    """At most that many frames of a video, evenly picked, first and last included."""
    import numpy as np

    pixels = part.array()
    picked = np.linspace(0, len(pixels) - 1, min(most, len(pixels))).round().astype(int)
    return [_rgb(pixels[place]) for place in picked]


def _rgb(pixels: NDArray[np.uint8]) -> Any:
    from PIL import Image

    return Image.fromarray(pixels).convert("RGB")


@dataclass(frozen=True, slots=True)
class Ear:
    """What a model hears: samples per second, and for how long; None is without end."""

    rate_hz: int
    seconds: float | None
    cut: bool

    def hear(self, part: Audio) -> NDArray[np.float32]:
        """A sound in one channel at the model's rate; InvalidInputError where it is too long and may not be cut."""
        samples, rate = part.array()
        lasts = len(samples) / rate
        if self.seconds is not None and lasts > self.seconds:
            if not self.cut:
                raise InvalidInputError(
                    f"the sound lasts {lasts:.1f} s, the model hears {self.seconds:g}; 'cut_audio' leaves the rest out"
                )
            samples = samples[: round(self.seconds * rate)]
        return resampled(samples.mean(axis=1), rate, self.rate_hz)


def resampled(samples: NDArray[np.floating], rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    """The sound at another rate, band-limited: its spectrum is cut, or continued with silence."""
    import numpy as np

    if rate_hz == wanted_hz or not len(samples):
        return samples.astype(np.float32)
    count = max(1, round(len(samples) * wanted_hz / rate_hz))
    changed = np.fft.irfft(np.fft.rfft(samples), count) * (count / len(samples))
    return changed.astype(np.float32)


def seen_size(image_processor: Any, grid: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which the model sees an image of `size`: what its grid of patches covers, if it has one."""
    if grid is None:
        return size
    side = int(image_processor.patch_size)
    return int(grid[0][1]) * side, int(grid[0][2]) * side
