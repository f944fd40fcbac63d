"""What a starter task is: its entry in the manifest and a generator of examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
Imagine = Callable[["np.random.Generator", Mapping[str, str]], Part]


@dataclass(frozen=True, slots=True)
class StarterTask:
    """A task whose every example comes from its own seed, so that a larger suite begins with the smaller one."""

    task: Task
    generate: Generate
    imagine: Imagine | None = None
    """Makes the reference where only the words of `fields` ask for it and leave something open."""

    def example(self, index: int, *, seed: int, split: Split = Split.TEST) -> Example:
        """The example at `index`."""
        example = self.generate(self._rng(seed, split, index), split)
        if self.imagine is None or split is not Split.TEST:
            return example
        # Samples that ask for the same in the same words want the same: no model could answer both otherwise.
        words = " ".join(example.fields.values())
        reference = self.imagine(self._rng(seed, split, *words.encode()), example.fields)
        return replace(example, reference=reference, cluster=words)

    def _rng(self, seed: int, split: Split, *place: int) -> np.random.Generator:
        import numpy as np

        # The task is seeded by its name: adding another task changes no example.
        return np.random.default_rng((seed, int(split), *self.task.id.encode(), *place))
