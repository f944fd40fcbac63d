"""Sounds as a player with a drawn envelope."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from markupsafe import Markup

from echelon.adapters import Audio, decode
from echelon.scorer.report.charts import waveform
from echelon.scorer.report.pictures import encoded_medium

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PLAYED_RATE_HZ = 16_000
PLAYED_S = 4.0


def audio(part: Audio) -> Markup:
    """A player, written anew as one channel of at most 16 kHz, and its envelope."""
    if not decode.decodes(part):
        return Markup("<p>{}</p>").format(encoded_medium(part))
    samples, rate = part.array()
    mono, played_rate = _thinned(samples.mean(axis=1), rate)
    heard = mono[: int(PLAYED_S * played_rate)]
    data = b64encode(decode.to_wav(heard, played_rate)).decode()
    return Markup(
        '{}<audio controls preload="metadata" src="data:audio/wav;base64,{}"></audio><figcaption>{}</figcaption>'
    ).format(waveform(heard), data, _caption(len(samples) / rate, len(heard) / played_rate, rate))


def _thinned(samples: NDArray[np.float32], rate: int) -> tuple[NDArray[np.float32], int]:
    """The sound at a whole fraction of its rate, each new sample the mean of those it stands for."""
    step = max(1, rate // PLAYED_RATE_HZ)
    whole = samples[: len(samples) // step * step]
    return whole.reshape(-1, step).mean(axis=1), rate // step


def _caption(length_s: float, heard_s: float, rate: int) -> str:
    about = f"{length_s:.2f} s at {rate:,} Hz"
    return about if length_s - heard_s < 0.01 else f"{about}, the first {heard_s:.0f} s are played"
