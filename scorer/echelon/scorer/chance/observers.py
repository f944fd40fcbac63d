"""Which observer learns blind answers of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from echelon.adapters import Kind
from echelon.scorer.chance.boxes import BoxObserver
from echelon.scorer.chance.candidate import Observer
from echelon.scorer.chance.fields import FieldObserver
from echelon.scorer.chance.labels import LabelObserver
from echelon.scorer.chance.numbers import NumberObserver
from echelon.scorer.chance.poses import PoseObserver
from echelon.scorer.chance.records import RecordObserver
from echelon.scorer.chance.seeding import SeededHash
from echelon.scorer.chance.shapes import ShapeObserver
from echelon.scorer.chance.sounds import SoundObserver
from echelon.scorer.chance.texts import TextObserver
from echelon.scorer.extract import extractor
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.suites.suite import Task
from echelon.scorer.verdict.evidence import is_mean

OBSERVERS: Mapping[Kind, Callable[[Task, SeededHash, int], Observer]] = MappingProxyType(
    {
        Kind.TEXT: lambda task, seeded, draws: TextObserver(seeded, draws),
        Kind.NUMBER: lambda task, seeded, draws: NumberObserver(seeded, draws),
        Kind.CHOICE: LabelObserver,
        Kind.IMAGE: lambda task, seeded, draws: FieldObserver(task, Kind.IMAGE, seeded, draws),
        Kind.VIDEO: lambda task, seeded, draws: FieldObserver(task, Kind.VIDEO, seeded, draws),
        Kind.MASK: lambda task, seeded, draws: FieldObserver(task, Kind.MASK, seeded, draws),
        Kind.TENSOR: lambda task, seeded, draws: FieldObserver(task, Kind.TENSOR, seeded, draws),
        Kind.AUDIO: lambda task, seeded, draws: SoundObserver(seeded),
        Kind.POINT_CLOUD: lambda task, seeded, draws: ShapeObserver(Kind.POINT_CLOUD, seeded, draws),
        Kind.MESH: lambda task, seeded, draws: ShapeObserver(Kind.MESH, seeded, draws),
        Kind.BOXES: lambda task, seeded, draws: BoxObserver(seeded, draws),
        Kind.JSON: lambda task, seeded, draws: RecordObserver(seeded, draws),
    }
)
POSES = frozenset({"rte", "rpe"})
"""Metrics of tensors that are poses."""
DRAWS = 8


def observer_of(task: Task, measure: Metric, seeded: SeededHash) -> Observer:
    """What learns blind answers for a task."""
    if task.metric in POSES:
        return PoseObserver(seeded)
    return OBSERVERS[extractor(task.extractor).kind](task, seeded, draws_of(measure))


def draws_of(measure: Metric) -> int:
    """How often references are drawn at random, sample by sample.

    Never where the metric compares all answers with all references, which a mere shuffle has in common with them. Of
    a mean over samples a draw has no better score to expect than the best constant, so it could only add luck.
    """
    if measure.depends_on_count or not measure.references_are_answers or is_mean(measure):
        return 0
    return DRAWS
