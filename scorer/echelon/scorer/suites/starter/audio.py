"""Tasks on sound: naming notes, and cleaning a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters import Audio, Kind, Text
from echelon.scorer.suites.starter.example import Example, Split, StarterTask
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE_HZ = 4000
NOTE_SAMPLES = 512
SLOTS = 5
NOISE = 0.65
NOTES = {"do": 261.6, "re": 293.7, "mi": 329.6, "fa": 349.2, "sol": 392.0, "la": 440.0, "ti": 493.9}
"""Each note's frequency in Hz."""


def notes(rng: np.random.Generator, split: Split) -> Example:
    """A noisy melody and the names of its notes."""
    sound, names = melody(rng)
    return Example((recording(noisy(rng, sound)),), Text(" ".join(names)))


def denoising(rng: np.random.Generator, split: Split) -> Example:
    """A noisy melody and the melody itself."""
    sound, _ = melody(rng)
    return Example((recording(noisy(rng, sound)),), recording(sound))


def melody(rng: np.random.Generator) -> tuple[NDArray[np.float64], list[str]]:
    """Three to five notes of one length, then silence; and their names."""
    import numpy as np

    names = [str(name) for name in rng.choice(list(NOTES), rng.integers(3, SLOTS + 1))]
    sound = np.zeros(SLOTS * NOTE_SAMPLES)
    for slot, name in enumerate(names):
        sound[slot * NOTE_SAMPLES : (slot + 1) * NOTE_SAMPLES] = tone(rng, NOTES[name])
    return sound, names


def tone(rng: np.random.Generator, hertz: float) -> NDArray[np.float64]:
    """One plucked note, a little out of tune, with an overtone."""
    import numpy as np

    seconds = np.arange(NOTE_SAMPLES) / RATE_HZ
    phase = 2 * np.pi * (hertz * rng.uniform(0.985, 1.015) * seconds + rng.uniform())
    wave = np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase)
    fade = np.exp(-seconds * rng.uniform(2, 12)) * np.minimum(1, np.arange(NOTE_SAMPLES) / 32)
    return rng.uniform(0.25, 0.6) * fade * wave


def noisy(rng: np.random.Generator, sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sound as a bad microphone hears it."""
    return sound + rng.normal(0, NOISE, sound.shape)


def recording(sound: NDArray[np.float64]) -> Audio:
    """A mono recording."""
    return Audio.from_array(sound, RATE_HZ)


TASKS = (
    StarterTask(
        Task(
            id="audio-notes",
            title="Naming notes",
            modality=Modality.AUDIO,
            paradigm=Paradigm.COMPREHENSION,
            skill="transcription",
            instruction="Name the notes in the order in which they sound.",
            output=(Kind.TEXT,),
            extractor="text",
            metric="wer",
            chance=0.81,
        ),
        notes,
    ),
    StarterTask(
        Task(
            id="audio-denoising",
            title="Cleaning a recording",
            modality=Modality.AUDIO,
            paradigm=Paradigm.GENERATION,
            skill="audio restoration",
            instruction="Remove the noise from this recording.",
            output=(Kind.AUDIO,),
            extractor="audio",
            metric="psnr_audio",
            chance=14.6,
        ),
        denoising,
    ),
)
