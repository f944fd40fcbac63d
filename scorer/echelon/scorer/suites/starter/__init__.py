"""The starter suite: sixteen small tasks, generated from a seed, over every modality and both paradigms.

A demonstration: it says nothing about General-Bench.
"""

from __future__ import annotations

from pathlib import Path

from echelon.adapters.errors import ConfigurationError
from echelon.scorer.suites.starter import audio, image, language, space, video
from echelon.scorer.suites.starter.example import Example, Split, StarterTask
from echelon.scorer.suites.starter.writing import SuiteWriter

__all__ = ["TASKS", "Example", "Split", "Starter", "StarterTask"]

TASKS: tuple[StarterTask, ...] = (*image.TASKS, *video.TASKS, *audio.TASKS, *space.TASKS, *language.TASKS)


class Starter:
    """Writes the starter suite as a folder."""

    title = "Starter"
    description = (
        "Sixteen small tasks on images, film, sound, solids and text, generated from a seed. "
        "A demonstration: it says nothing about General-Bench."
    )
    version = "2"

    def build(self, folder: Path, *, samples: int, seed: int) -> None:
        """Write the suite with `samples` samples a task; more samples only add to the same first ones."""
        if seed < 0:
            raise ConfigurationError(f"the starter suite takes a seed of 0 or more, not {seed}")
        writer = SuiteWriter(folder)
        head = {
            "name": "starter",
            "version": self.version,
            "title": self.title,
            "description": self.description,
            "licence": "CC-BY-4.0",
        }
        writer.manifest(head, (starter.task for starter in TASKS))
        for starter in TASKS:
            writer.samples(
                starter.task,
                ((f"{index:06d}", starter.example(index, seed=seed)) for index in range(samples)),
            )
