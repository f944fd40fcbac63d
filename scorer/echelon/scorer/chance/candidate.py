"""What a blind answer is, and what learns such answers from the references of one half of the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from echelon.adapters import Part
from echelon.scorer.suites.suite import Sample

MOST_INPUTS = 4
"""Parts of an input that are tried as answers."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to answer blindly: `answer` may use a sample's own input as it is, and its reference's size alone.

    It gives None where it has no answer to a sample. `source` is the id of the sample whose reference it repeats, empty
    for none: on that one the candidate is not judged.
    """

    name: str
    answer: Callable[[Sample], Part | None]
    source: str = ""


class Observer(Protocol):
    """Learns candidates from the references of some samples, and keeps no more of these than it needs."""

    def see(self, sample: Sample) -> None:
        """Take in one sample's references."""
        ...

    def candidates(self) -> Iterator[Candidate]:
        """What to try, from all that was seen; a bounded number."""
        ...


def constant(name: str, part: Part, source: str = "") -> Candidate:
    """The same answer to every sample."""
    return Candidate(name, lambda sample: part, source)


class Inputs:
    """The input itself as an answer: each of its first parts of a kind that can be one."""

    def __init__(self, *accepted: type[Part]) -> None:
        self._accepted = accepted
        self._most = 0

    def see(self, sample: Sample) -> None:
        """Count the parts of a sample that can be answers."""
        self._most = max(self._most, len(self.of(sample)))

    def of(self, sample: Sample) -> list[Part]:
        """The parts of a sample's input that can be answers."""
        return [part for part in sample.parts if isinstance(part, self._accepted)]

    def candidates(self) -> Iterator[Candidate]:
        """One for each place that a sample has filled, and one for the last of several."""
        for at in range(min(self._most, MOST_INPUTS)):
            yield Candidate(f"the input itself, part {at + 1}", partial(self._nth, at))
        if self._most > 1:
            yield Candidate("the input itself, its last part", self._last)

    def _nth(self, at: int, sample: Sample) -> Part | None:
        found = self.of(sample)
        return found[at] if at < len(found) else None

    def _last(self, sample: Sample) -> Part | None:
        found = self.of(sample)
        return found[-1] if found else None
