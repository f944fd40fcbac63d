"""Blind answers that are labels, one or a set of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias, TypeVar

from echelon.adapters import Choice, Part, Text
from echelon.scorer.chance.candidate import Candidate, Inputs, constant
from echelon.scorer.chance.excerpts import excerpts
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample, Task

MOST_LABELS = 32
"""Labels that are each tried as a constant, the most common ones."""
MOST_SET = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 21, 34)
"""Sizes of sets of the most common labels."""
SHARES = (0.5, 0.33, 0.25, 0.15, 0.1, 0.05)
"""A set holds each label that so many references have."""
KEPT = 512

Labels: TypeAlias = tuple[str, ...]
KeyT = TypeVar("KeyT", str, Labels)


class LabelObserver:
    """Learns how common labels are, and which occur together."""

    def __init__(self, task: Task, seeded: SeededHash, draws: int) -> None:
        self._task, self._seeded, self._draws = task, seeded, draws
        self._labels: Counter[str] = Counter()
        self._sets: Counter[Labels] = Counter()
        self._kept: Reservoir[Labels] = Reservoir(seeded, KEPT)
        self._inputs = Inputs(Choice, Text)
        self._seen = 0

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        found = [_labels_of(part) for part in sample.references]
        self._seen += 1
        self._labels.update({label for labels in found for label in labels})
        self._sets.update(set(found))
        if found and found[0]:
            self._kept.offer(sample.id, found[0])

    def candidates(self) -> Iterator[Candidate]:
        yield from self._inputs.candidates()
        yield from excerpts(Choice.of)
        sets = self._task.extractor in ("labels", "terms")
        common = _ranked(self._labels)
        for label in dict.fromkeys((*common[:MOST_LABELS], *self._task.labels[:1])):
            yield constant(f"always {label!r}", Choice.of(label))
        if sets:
            yield from self._constant_sets(common)
        for draw in range(self._draws):
            yield Candidate(f"the labels of a random reference, {draw + 1}", self._from_kept(draw))
        if self._task.labels:
            for draw in range(self._draws):
                yield Candidate(f"a random label, {draw + 1}", self._from_all(draw))

    def _constant_sets(self, common: Sequence[str]) -> Iterator[Candidate]:
        yield constant("the empty set", Choice(()))
        sizes = [count for count in MOST_SET if count <= len(common)]
        shares = [sum(self._labels[label] >= share * self._seen for label in common) for share in SHARES]
        for count in dict.fromkeys((*sizes, *shares)):
            if count:
                yield constant(f"always the {count} most common labels", Choice.of(*common[:count]))
        for labels in _ranked(self._sets)[:8]:
            yield constant(f"always {', '.join(map(repr, labels))}", Choice.of(*labels))
        for source, labels in self._kept.items[:8]:
            yield constant("the labels of one reference", Choice.of(*labels), source)

    def _from_kept(self, draw: int) -> _Drawn:
        return _Drawn(self._seeded, [labels for _, labels in self._kept.items], f"reference {draw}")

    def _from_all(self, draw: int) -> _Drawn:
        return _Drawn(self._seeded, [(label,) for label in self._task.labels], f"label {draw}")


class _Drawn:
    """Answers with labels drawn for each sample anew."""

    def __init__(self, seeded: SeededHash, options: Sequence[Labels], purpose: str) -> None:
        self._seeded, self._options, self._purpose = seeded, options, purpose

    def __call__(self, sample: Sample) -> Part | None:
        return Choice.of(*self._seeded.pick(self._options, self._purpose, sample.id)) if self._options else None


def _ranked(counts: Counter[KeyT]) -> list[KeyT]:
    """What was counted, the most common first and equals in their own order."""
    return sorted(counts, key=lambda each: (-counts[each], each))


def _labels_of(part: Part) -> Labels:
    return tuple(scored.label for scored in part.labels) if isinstance(part, Choice) else ()
