"""From a task of the catalogue and its annotation to a task of a suite: what is asked, read and measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

from echelon.adapters import Kind
from echelon.scorer.errors import InvalidSuiteError, MissingLabelsError, NotComputedError, UnknownNameError
from echelon.scorer.extract import EXTRACTORS
from echelon.scorer.general_bench.annotations import Item
from echelon.scorer.general_bench.catalogue import Entry
from echelon.scorer.general_bench.items import PROMPT, VERSION, Form, option_letters
from echelon.scorer.general_bench.measures import measure
from echelon.scorer.general_bench.naming import slug
from echelon.scorer.general_bench.settings import SETTINGS
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.readings import Read
from echelon.scorer.metrics.registry import metric
from echelon.scorer.metrics.spellings import canonical
from echelon.scorer.reading import folded
from echelon.scorer.results import Sota
from echelon.scorer.suites.suite import Modality, Paradigm, Task

WORST_IN_SOTAS = 100
"""What a failed sample counts where the metric has no worst value: so many times the sota."""
MAX_LABELS = 4096
MAX_LABEL = 256
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
        Kind.JSON: (Kind.JSON, Kind.TEXT),
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
class Labels:
    """What answers are chosen from, empty where that is open, and the chance of guessing right."""

    names: tuple[str, ...] = ()
    chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer is turned into, how, and why it is not measured (empty where it is)."""

    metric: str
    kind: Kind
    extractor: str
    worst: float | None
    chance: float
    problem: str
    compares_prompts: bool = False
    """Whether references are prompts or examples, and not what would be right."""
    read_as: Kind | None = None
    """What a reader makes of answers, where one does; references are of that kind too, or media to be read."""


def labels_of(entry: Entry, form: Form, items: Collection[Item], told: tuple[str, ...] = ()) -> Labels:
    """What the answers of a task are chosen from: what was told, letters of options, or the annotation's answers.

    The last is what the official code offers to models of sound, and to no others.
    """
    if told:
        return Labels(told, 1 / len(told))
    if form.is_choice:
        letters = [option_letters(item) for item in items]
        return Labels(max(letters, key=len), sum(1 / max(1, len(each)) for each in letters) / len(letters))
    words = form.labels or (_words(form, items) if _is_closed_vocabulary(entry) else ())
    if not 2 <= len(words) <= MAX_LABELS or max(map(len, words)) > MAX_LABEL:
        return Labels()
    return Labels(words, 1 / len(words))


def _is_closed_vocabulary(entry: Entry) -> bool:
    sound = (entry.modality, entry.paradigm) == (Modality.AUDIO, Paradigm.COMPREHENSION)
    return sound and _metric_name(entry) == "accuracy"


def _words(form: Form, items: Collection[Item]) -> tuple[str, ...]:
    words: dict[str, str] = {}
    for item in items:
        for answer in form.answers(item):
            for word in answer if isinstance(answer, list) else [answer]:
                words.setdefault(folded(str(word)), str(word).strip())
    return tuple(sorted(words.values()))


def task_of(entry: Entry, form: Form, reading: Reading, labels: Labels) -> Task:
    """The task of a catalogue's entry."""
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
        labels=labels.names,
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


def reading_of(entry: Entry, labels: Labels = Labels(), name: str = "") -> Reading:
    """How answers of an entry's task are read and measured, with the metric `name` where it is not the sheet's."""
    name = name or _metric_name(entry)
    told = measure(entry.metric)
    worst = None if told.higher_is_better or not entry.sota else WORST_IN_SOTAS * entry.sota
    generated = _GENERATED.get(entry.modality) if entry.paradigm is Paradigm.GENERATION else None
    try:
        measured = metric(name, worst, labels.names)
    except (InvalidSuiteError, UnknownNameError, NotComputedError) as error:
        kind = generated or Kind.TEXT
        hint = f"; list them under 'labels' in {SETTINGS}" if isinstance(error, MissingLabelsError) else ""
        return Reading(name, kind, _READ_AS[kind], worst, 0.0, f"{entry.metric}: {error}{hint}")
    kind = generated or measured.kind
    extractor = _READ_AS.get(kind, kind.value)
    if kind is Kind.CHOICE and (labels.names or name in _SETS):
        extractor = "terms" if name in _SETS else "label"
    read_as = measured.reads if isinstance(measured, Read) else None
    chance = labels.chance if extractor == "label" or read_as is Kind.CHOICE else _blind(measured, worst)
    problem = _misfit(entry, measured, kind, extractor)
    compares_prompts = not measured.references_are_answers and read_as is None
    return Reading(name, kind, extractor, worst, chance, problem, compares_prompts, read_as)


def _metric_name(entry: Entry) -> str:
    return canonical(entry.metric, modality=entry.modality.value, task=entry.task)


def _misfit(entry: Entry, measured: Metric, kind: Kind, extractor: str) -> str:
    if not measured.takes(kind):
        return f"{entry.metric}: the metric takes {measured.kind}, and nothing makes that of an answer of {kind}"
    if extractor not in EXTRACTORS:
        return f"{entry.metric}: nothing takes a {kind} from an answer"
    return ""


def _blind(measured: Metric, worst: float | None) -> float:
    """The score that can be had for nothing: the metric's worst, or 0 where answers can be worse than nothing."""
    low, high = measured.range
    if measured.higher_is_better:
        return max(0.0, low)
    return high if isfinite(high) else worst or 0.0


def sota_of(entry: Entry) -> Sota | None:
    """The published sota in the metric's own unit."""
    if entry.sota is None:
        return None
    return Sota(measure(entry.metric).own_unit(entry.sota), SOURCE)


def task_id(entry: Entry) -> str:
    """The id of an entry's task: its sheet and its name in plain letters."""
    return f"{slug(entry.sheet)}-{slug(entry.task)}"
