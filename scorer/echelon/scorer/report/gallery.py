"""The samples to look at, within what one page can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from echelon.adapters import Part
from echelon.scorer.report.figures import Scene, figure
from echelon.scorer.results import TaskResult, ViewedSample

SAMPLES_PER_TASK = 3
PARTS_PER_SIDE = 6
PAGE_CHARACTERS = 2_400_000
"""What all samples of a page may take; the page stays below 3 MB for a suite of the starter's size."""
EXHIBIT_CHARACTERS = 600_000


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A sample with its parts drawn; a page without room for them leaves the sample `crowded_out`."""

    sample: ViewedSample
    inputs: Markup
    references: Markup
    answer: Markup
    crowded_out: bool = False

    @property
    def size(self) -> int:
        """Characters of everything drawn."""
        return len(self.inputs) + len(self.references) + len(self.answer)


def gallery(tasks: Sequence[TaskResult]) -> dict[str, list[Exhibit]]:
    """Exhibits by task: the first of every task before the second of any, so that no task crowds out another."""
    room = PAGE_CHARACTERS
    shown: dict[str, list[Exhibit]] = {task.task.id: [] for task in tasks}
    for rank in range(SAMPLES_PER_TASK):
        for task in tasks:
            for sample in task.viewed[rank : rank + 1]:
                exhibit = _exhibit(sample, min(room, EXHIBIT_CHARACTERS))
                room -= exhibit.size
                shown[task.task.id].append(exhibit)
    return shown


def _exhibit(sample: ViewedSample, room: int) -> Exhibit:
    scene = Scene.of(sample)
    answer = _figures(sample.answer, scene)
    if sample.reading:
        answer += Markup('<p class="muted">read as</p>') + _figures(sample.reading, scene)
    drawn = Exhibit(sample, _figures(sample.inputs, scene), _figures(sample.references, scene), answer)
    return drawn if drawn.size <= room else Exhibit(sample, Markup(), Markup(), Markup(), crowded_out=True)


def _figures(parts: Sequence[Part], scene: Scene) -> Markup:
    drawn = Markup("").join(figure(part, scene) for part in parts[:PARTS_PER_SIDE])
    rest = len(parts) - PARTS_PER_SIDE
    return drawn + Markup('<p class="muted">and {} more</p>').format(rest) if rest > 0 else drawn
