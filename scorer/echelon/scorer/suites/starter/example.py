"""What a starter task is: its entry in the manifest and a generator of examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from echelon.adapters import Part
from echelon.scorer.suites.suite import Task

if TYPE_CHECKING:
    import numpy as np


class Split(IntEnum):
    """What examples are for; the three never share a seed or a source."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


@dataclass(frozen=True, slots=True)
class Example:
    """One generated sample; `fields` fill the instruction, `cluster` names the source where several share one."""

    parts: tuple[Part, ...]
    reference: Part
    fields: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""


Generate = Callable[["np.random.Generator", Split], Example]


@dataclass(frozen=True, slots=True)
class StarterTask:
    """A task whose every example comes from its own seed, so that a larger suite begins with the smaller one."""

    task: Task
    generate: Generate

    def example(self, index: int, *, seed: int, split: Split = Split.TEST) -> Example:
        """The example at `index`."""
        import numpy as np

        # The task is seeded by its name: adding another task changes no example.
        entropy = (seed, int(split), *self.task.id.encode(), index)
        return self.generate(np.random.default_rng(entropy), split)
