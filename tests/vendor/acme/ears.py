"""A reader that hears words: each is a tone of its own, as long as the others."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from echelon.adapters import Audio, InvalidInputError, Part, Text

LOWEST_HZ, STEP_HZ = 300, 100


@dataclass(frozen=True)
class Vocabulary:
    """The words, from the lowest tone up, and how long each lasts."""

    words: tuple[str, ...]
    word_ms: int = 50


class Ears:
    """Finds the strongest tone of each stretch of a sound; silence is no word."""

    settings_type = Vocabulary
    name = "acme ears"

    def __init__(self, settings: Vocabulary) -> None:
        self._settings = settings
        self.heard = 0
        self.digest = sha256(repr(settings).encode()).hexdigest()

    def read(self, answer: Part) -> Part:
        if not isinstance(answer, Audio):
            raise InvalidInputError(f"{self.name} hear sounds, this is {answer.kind}")
        self.heard += 1
        samples, rate = answer.array()
        step = rate * self._settings.word_ms // 1000
        mono = samples.mean(axis=1)
        stretches = [mono[start : start + step] for start in range(0, len(mono) - step + 1, step)]
        return Text(" ".join(self._word(stretch, rate) for stretch in stretches if abs(stretch).max() > 0.01))

    def _word(self, stretch: NDArray[np.float32], rate: int) -> str:
        strongest = np.abs(np.fft.rfft(stretch)).argmax() * rate / len(stretch)
        place = round((strongest - LOWEST_HZ) / STEP_HZ)
        if not 0 <= place < len(self._settings.words):
            raise RuntimeError(f"no word sounds like {strongest:g} Hz")
        return self._settings.words[place]
