"""From a task of the catalogue and its annotation to a task of a suite: what is asked, read and measured."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

from echelon.adapters import Kind
from echelon.scorer.errors import InvalidSuiteError, NotComputedError, UnknownNameError
from echelon.scorer.extract import EXTRACTORS
from echelon.scorer.general_bench.catalogue import Entry
from echelon.scorer.general_bench.items import PROMPT, VERSION, Form
from echelon.scorer.general_bench.measures import measure
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric
from echelon.scorer.metrics.spellings import canonical
from echelon.scorer.results import Sota
from echelon.scorer.suites.suite import Modality, Paradigm, Task

WORST_IN_SOTAS = 100
"""What a failed sample counts where the metric has no worst value: so many times the sota."""
SOURCE = "General-Bench's published figure"

_READ_AS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.CHOICE: "term",
        Kind.TEXT: "text",
        Kind.NUMBER: "number",
        Kind.MASK: "mask",
        Kind.BOXES: "boxes",
        Kind.IMAGE: "image",
        Kind.AUDIO: "audio",
        Kind.VIDEO: "video",
        Kind.POINT_CLOUD: "points",
        Kind.TENSOR: "tensor",
    }
)
_ANSWERED_WITH: Mapping[Kind, tuple[Kind, ...]] = MappingProxyType(
    {
        Kind.CHOICE: (Kind.CHOICE, Kind.TEXT),
        Kind.NUMBER: (Kind.NUMBER, Kind.TEXT),
        Kind.POINT_CLOUD: (Kind.POINT_CLOUD, Kind.MESH),
    }
)
"""The kinds of answer from which a kind can be had, where these are more than itself."""
_GENERATED: Mapping[Modality, Kind] = MappingProxyType(
    {
        Modality.IMAGE: Kind.IMAGE,
        Modality.VIDEO: Kind.VIDEO,
        Modality.AUDIO: Kind.AUDIO,
        Modality.THREE_D: Kind.POINT_CLOUD,
    }
)
_SETS = frozenset({"micro_f1"})
"""Metrics of label sets."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer is turned into, how, and why it is not measured (empty where it is)."""

    metric: str
    kind: Kind
    extractor: str
    worst: float | None
    chance: float
    problem: str


def task_of(entry: Entry, form: Form, reading: Reading, letters: tuple[str, ...]) -> Task:
    """The task of a catalogue's entry, whose answers may be one of `letters`."""
    return Task(
        id=task_id(entry),
        title=entry.task,
        modality=entry.modality,
        paradigm=entry.paradigm,
        skill=entry.skill,
        instruction=form.instruction,
        output=_ANSWERED_WITH.get(reading.kind, (reading.kind,)),
        extractor=reading.extractor,
        metric=reading.metric,
        chance=reading.chance,
        labels=letters,
        worst=reading.worst,
        instruction_version=VERSION,
        not_computed=reading.problem,
    )


def absent_task(entry: Entry, problem: str) -> Task:
    """The task of an entry of which nothing can be asked; it still counts among the tasks of the benchmark."""
    return Task(
        id=task_id(entry),
        title=entry.task,
        modality=entry.modality,
        paradigm=entry.paradigm,
        skill=entry.skill,
        instruction=PROMPT,
        output=(Kind.TEXT,),
        extractor="text",
        metric=_metric_name(entry),
        chance=0.0,
        not_computed=problem,
    )


def reading_of(entry: Entry, letters: float, name: str = "") -> Reading:
    """How answers of an entry's task are read and measured, with the metric `name` where it is not the sheet's.

    `letters` is the chance of guessing right where answers are letters of options, else 0.
    """
    name = name or _metric_name(entry)
    told = measure(entry.metric)
    worst = None if told.higher_is_better or not entry.sota else WORST_IN_SOTAS * entry.sota
    generated = _GENERATED.get(entry.modality) if entry.paradigm is Paradigm.GENERATION else None
    try:
        measured = metric(name, worst)
    except (InvalidSuiteError, UnknownNameError, NotComputedError) as error:
        kind = generated or Kind.TEXT
        return Reading(name, kind, _READ_AS[kind], worst, 0.0, f"{entry.metric}: {error}")
    kind = generated or measured.kind
    extractor = "label" if letters else "terms" if name in _SETS else _READ_AS.get(kind, kind.value)
    chance = letters or _blind(measured, worst)
    return Reading(name, kind, extractor, worst, chance, _misfit(entry, measured, kind, extractor))


def _metric_name(entry: Entry) -> str:
    return canonical(entry.metric, modality=entry.modality.value, task=entry.task)


def _misfit(entry: Entry, measured: Metric, kind: Kind, extractor: str) -> str:
    if measured.kind is not kind:
        return f"{entry.metric}: the metric takes {measured.kind}, and nothing makes that of an answer of {kind}"
    if extractor not in EXTRACTORS:
        return f"{entry.metric}: nothing takes a {kind} from an answer"
    return ""


def _blind(measured: Metric, worst: float | None) -> float:
    """The score that can be had for nothing: the metric's worst."""
    low, high = measured.range
    if measured.higher_is_better:
        return low
    return high if isfinite(high) else worst or 0.0


def sota_of(entry: Entry) -> Sota | None:
    """The published sota in the metric's own unit."""
    if entry.sota is None:
        return None
    return Sota(measure(entry.metric).own_unit(entry.sota), SOURCE)


def task_id(entry: Entry) -> str:
    """The id of an entry's task: its sheet and its name in plain letters."""
    return f"{_slug(entry.sheet)}-{_slug(entry.task)}"


def _slug(name: str) -> str:
    plain = re.sub(r"\([^)]*(?:\?\?|[\u3400-\u9fff])[^)]*\)", "", unicodedata.normalize("NFKC", name))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", plain)
    return "-".join(re.findall(r"[a-z0-9]+", spaced.casefold()))


def letters_chance(counts: Sequence[int]) -> float:
    """The chance of guessing the right option, over items with so many options each."""
    return sum(1 / count for count in counts if count) / len(counts) if counts else 0.0
