"""Metrics of sounds."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from echelon.adapters import Audio, InvalidInputError, Kind, Part
from echelon.scorer.metrics.metric import ErrorMetric, expect, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

RATE_HZ = 22_050
WINDOW, HOP = 1024, 110
"""Samples: a window of 46 ms every 5 ms."""
WARP = 0.65
"""Of the all-pass filter, which makes the frequency axis much like mel at this rate."""
ORDER = 13
FLOOR = 1e-12
"""Of the power, where full scale is 1."""


class MelCepstralDistortion(ErrorMetric):
    """The mean over sounds of the mean distance between mel cepstra, in dB, frame by frame and not aligned.

    Kubichek 1993, doi:10.1109/PACRIM.1993.407206. Cepstra are those of the power spectrum, warped by an all-pass filter
    (Oppenheim and Johnson 1972, doi:10.1109/PROC.1972.8719), without the first one, which is loudness; the shorter
    sound is padded with silence. General-Level takes pymcd's, which takes
    a vocoder's power for amplitude, so that its figures are about twice as large.
    """

    name = "mcd"
    variant = (
        "/power-spectrum@1;rate=22050;window=hann-1024;hop=110;floor=-120dB;warp=0.65;order=13;c0=no;"
        "alignment=none;pad=silence"
    )
    kind = Kind.AUDIO
    unit = "dB"

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        given, wanted = read_both(_mono, prediction, reference)
        length = max(len(given), len(wanted), WINDOW)
        ours, theirs = (_cepstra(np.pad(sound, (0, length - len(sound)))) for sound in (given, wanted))
        distances = np.sqrt(2 * np.square(ours - theirs).sum(axis=1))
        return 10 / log(10) * float(distances.mean())


def _mono(part: Part) -> Values:
    """The sound at the rate that everything is compared at."""
    import numpy as np
    from scipy.signal import resample_poly

    samples, rate = expect(part, Audio).array()
    if not len(samples):
        raise InvalidInputError("the sound is empty")
    mono = samples.astype(np.float64).mean(axis=1)
    if rate == RATE_HZ:
        return np.asarray(mono)
    divisor = int(np.gcd(rate, RATE_HZ))
    return np.asarray(resample_poly(mono, RATE_HZ // divisor, rate // divisor))


def _cepstra(sound: Values) -> Values:
    """The mel cepstra of the frames from the second one on, (frames, ORDER)."""
    import numpy as np

    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2 / (WINDOW / 2) ** 2
    cepstra = np.fft.irfft(_warped(np.log(np.maximum(power, FLOOR)) / 2), axis=1)
    return np.asarray(2 * cepstra[:, 1 : ORDER + 1])


def _warped(spectra: Values) -> Values:
    """Spectra at frequencies that lie evenly behind the all-pass filter, by linear interpolation."""
    import numpy as np

    bins = spectra.shape[1]
    even = np.linspace(0, np.pi, bins)
    at = (even - 2 * np.arctan2(WARP * np.sin(even), 1 + WARP * np.cos(even))) / np.pi * (bins - 1)
    below = np.clip(at.astype(int), 0, bins - 2)
    share = at - below
    return np.asarray(spectra[:, below] * (1 - share) + spectra[:, below + 1] * share)
