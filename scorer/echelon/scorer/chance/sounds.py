"""Blind answers that are sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from echelon.adapters import Audio, EchelonError, Part
from echelon.scorer.chance.candidate import Candidate, Inputs
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Sound = NDArray[np.floating]

TYPICAL = 2
FRAMES, RATE_HZ = 16_000, 16_000
"""What is made where neither a reference nor the input has a length."""
LOUDNESS = (0.1, 1.0)
"""Of noise, by how loud the references are."""


class SoundObserver:
    """Learns how loud references are, and keeps a few whole."""

    def __init__(self, seeded: SeededHash) -> None:
        self._seeded = seeded
        self._powers: list[float] = []
        self._kept: Reservoir[Sound] = Reservoir(seeded, TYPICAL)
        self._inputs = Inputs(Audio)

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        found = _sound(sample.references)
        if found is not None and found[0].size:
            samples = found[0]
            self._powers.append(float((samples.astype(float) ** 2).mean()))
            self._kept.offer(sample.id, samples)

    def candidates(self) -> Iterator[Candidate]:
        yield from self._inputs.candidates()
        yield Candidate("the input, as long as the reference", self._fitted_input)
        yield self._made("silence", lambda sample, length, channels: _silence(length, channels))
        loudness = (sum(self._powers) / len(self._powers)) ** 0.5 if self._powers else 0.1
        for share in LOUDNESS:
            yield self._made(f"noise, {share:g} times as loud as a reference", self._noise(share * loudness))
        for source, samples in self._kept.items:
            yield self._made("one reference", _looped(samples), source)

    def _made(self, name: str, make: Callable[[Sample, int, int], Sound], source: str = "") -> Candidate:
        def answer(sample: Sample) -> Part:
            length, channels, rate = _size(sample)
            return Audio.from_array(make(sample, length, channels), rate)

        return Candidate(name, answer, source)

    def _noise(self, loudness: float) -> Callable[[Sample, int, int], Sound]:
        import numpy as np

        def make(sample: Sample, length: int, channels: int) -> Sound:
            # RandomState promises the same numbers in every version of NumPy.
            seed = self._seeded.number("noise", sample.id) % (1 << 32)
            return np.clip(loudness * np.random.RandomState(seed).standard_normal((length, channels)), -1, 1)

        return make

    def _fitted_input(self, sample: Sample) -> Part | None:
        given = _sound(tuple(self._inputs.of(sample)))
        if given is None or not given[0].size:
            return None
        length, channels, rate = _size(sample)
        return Audio.from_array(_looped(given[0])(sample, length, channels), rate)


def _sound(parts: tuple[Part, ...]) -> tuple[Sound, int] | None:
    for part in parts:
        if isinstance(part, Audio):
            try:
                return part.array()
            except EchelonError:
                continue
    return None


def _size(sample: Sample) -> tuple[int, int, int]:
    """Frames, channels and rate of the reference, or else of the input."""
    found = _sound(sample.references) or _sound(sample.parts)
    return (FRAMES, 1, RATE_HZ) if found is None else (*found[0].shape[:2], found[1])


def _silence(length: int, channels: int) -> Sound:
    import numpy as np

    return np.zeros((length, channels))


def _looped(samples: Sound) -> Callable[[Sample, int, int], Sound]:
    """The same sound over and over, as long as is wanted."""
    import numpy as np

    def make(sample: Sample, length: int, channels: int) -> Sound:
        mono = samples.mean(axis=1, keepdims=True)
        return np.repeat(np.resize(mono, (length, 1)), channels, axis=1)

    return make
