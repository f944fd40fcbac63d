"""Blind models to try on synthetic tasks; they share no code with what measures chance."""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic_tasks import TERMS

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Boxes,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.controls.chance import Chance, ChanceSettings
from echelon.adapters.controls.null import Null, NullSettings
from echelon.scorer.extract import extract, extractor
from echelon.scorer.instruments import Instruments
from echelon.scorer.metrics.metric import InvalidAnswer, Metric
from echelon.scorer.metrics.registry import metric
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Sample, Suite, Task

Model = Callable[[Task, Metric, Sequence[Sample]], Sequence[Part | None]]


def null_model(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    """The control that always gives the smallest answer."""
    null = Null()
    null.open(NullSettings())

    async def answer() -> list[Any]:
        return [await null.comprehend(request_of(task, sample, 0)) for sample in samples]

    return [outcome.parts[0] if isinstance(outcome, Answer) else None for outcome in asyncio.run(answer())]


def chance_model(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    """The control that answers at random within the form that is asked for."""
    chance = Chance()
    chance.open(ChanceSettings())
    outcomes = chance.comprehend([request_of(task, sample, 0) for sample in samples])
    return [outcome.parts[0] if isinstance(outcome, Answer) else None for outcome in outcomes]


def hash_model(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    """Hashes of the sample's id, in the wanted kind."""
    return [_hashed(extractor(task.extractor).kind, task, sample) for sample in samples]


def _hashed(kind: Kind, task: Task, sample: Sample) -> Part | None:
    digest = hashlib.sha256(f"{task.id} {sample.id}".encode()).digest()
    match kind:
        case Kind.TEXT:
            return Text(digest.hex())
        case Kind.NUMBER:
            return Number(float(digest[0]))
        case Kind.CHOICE:
            options = task.labels or TERMS
            return Choice.of(options[digest[0] % len(options)])
        case Kind.IMAGE:
            return Image.from_array(np.resize(np.frombuffer(digest, np.uint8), (16, 16, 3)))
        case Kind.VIDEO:
            frames = np.resize(np.frombuffer(digest, np.uint8), (3, 16, 16, 3))
            return Video.from_array(frames, frames_per_second=8)
        case Kind.AUDIO:
            return Audio.from_array(np.resize(np.frombuffer(digest, np.uint8) / 128 - 1, 2048), 8000)
        case Kind.POINT_CLOUD:
            return PointCloud.from_array(np.frombuffer(digest[:30], np.uint8).reshape(10, 3) / 128 - 1)
        case Kind.BOXES:
            x, y, width, height = (float(byte % 48) for byte in digest[:4])
            return Boxes((Box(x, y, x + width, y + height, label=TERMS[digest[4] % 3]),))
        case Kind.JSON:
            return Json(json.dumps([TERMS[byte % len(TERMS)] for byte in digest[:3]]))
        case _:
            return _shaped(kind, sample, lambda shape: np.resize(np.frombuffer(digest, np.uint8), shape) / 255)


def _shaped(kind: Kind, sample: Sample, values: Callable[[tuple[int, ...]], NDArray[Any]]) -> Part | None:
    """An array of the reference's shape and type."""
    reference = sample.references[0]
    if not isinstance(reference, Mask | Tensor):
        return None
    known = reference.array()
    made = values(known.shape)
    if kind is Kind.MASK:
        return Mask.from_array((made * 2).astype(np.uint8))
    whole = isinstance(reference, Tensor) and known.dtype.kind in "biu"
    return Tensor.from_array((made * 2).astype(known.dtype) if whole else made.astype(np.float32))


def best_constant_model(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    """Of references that could be answers, forty at most, the one that does best for all samples, in hindsight."""
    kind = extractor(task.extractor).kind
    options = list(dict.fromkeys(sample.references[0] for sample in samples if sample.references[0].kind is kind))
    options = options[:40]
    if not options:
        return null_model(task, measure, samples)
    scores = [scored(task, measure, samples, [option] * len(samples)) for option in options]
    best = (max if measure.higher_is_better else min)(range(len(options)), key=scores.__getitem__)
    return [options[best]] * len(samples)


def neighbour_model(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    """The next sample's reference: as many of each answer as there are, at the wrong places."""
    kind = extractor(task.extractor).kind
    if measure.depends_on_count or samples[0].references[0].kind is not kind:
        return hash_model(task, measure, samples)
    return [samples[(at + 1) % len(samples)].references[0] for at in range(len(samples))]


def average_model(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    """The average of the first half of the references: mean values, the commonest label, the commonest words."""
    first = [sample.references[0] for sample in samples[: len(samples) // 2]]
    made = _average(first, extractor(task.extractor).kind)
    return [made] * len(samples) if made is not None else null_model(task, measure, samples)


def _average(parts: Sequence[Part], kind: Kind) -> Part | None:
    if any(part.kind is not kind for part in parts):
        return None
    match parts[0]:
        case Choice():
            counts = Counter(label.label for part in parts for label in part.labels)  # type: ignore[attr-defined]
            size = max(1, round(statistics.mean(len(part.labels) for part in parts)))  # type: ignore[attr-defined]
            return Choice.of(*(label for label, _ in counts.most_common(size)))
        case Number():
            return Number(statistics.median(part.value for part in parts))  # type: ignore[attr-defined]
        case Text():
            pairs = Counter(
                pair
                for part in parts
                for pair in zip(part.value.split(), part.value.split()[1:], strict=False)  # type: ignore[attr-defined]
            )
            return Text(" ".join(word for pair, _ in pairs.most_common(4) for word in pair) or "none")
        case Image():
            return Image.from_array(np.mean([part.array() for part in parts], axis=0).astype(np.uint8))  # type: ignore[attr-defined]
        case Video():
            frames = np.mean([part.array() for part in parts], axis=0).astype(np.uint8)  # type: ignore[attr-defined]
            return Video.from_array(frames, frames_per_second=8)
        case Audio():
            return Audio.from_array(np.mean([part.array()[0] for part in parts], axis=0), 8000)  # type: ignore[attr-defined]
        case Mask():
            stack = np.stack([part.array() for part in parts])  # type: ignore[attr-defined]
            votes = [(stack == value).sum(axis=0) for value in range(3)]
            return Mask.from_array(np.argmax(votes, axis=0).astype(np.uint8))
        case Tensor():
            values = np.stack([part.array() for part in parts])  # type: ignore[attr-defined]
            mean = np.median(values, axis=0)
            return Tensor.from_array(np.rint(mean).astype(values.dtype) if values.dtype.kind in "biu" else mean)
        case PointCloud():
            return PointCloud.from_array(np.concatenate([part.array()[::4] for part in parts]))  # type: ignore[attr-defined]
    return None


MODELS: Mapping[str, Model] = {
    "null": null_model,
    "chance": chance_model,
    "hashes": hash_model,
    "best constant": best_constant_model,
    "the neighbour's answer": neighbour_model,
    "the average": average_model,
}


def scored(task: Task, measure: Metric, samples: Sequence[Sample], answers: Sequence[Part | None]) -> float:
    """The score of answers."""
    rows = []
    for sample, given in zip(samples, answers, strict=True):
        try:
            if given is None:
                raise InvalidAnswer("none")
            rows.append(measure.sample(extract(task.extractor, (given,), task), sample.references))
        except InvalidAnswer:
            rows.append(measure.worst(sample.references))
    return measure.finish(rows)


class Answers:
    """A model's answers in the place of a journal."""

    def __init__(self, suite: Suite, model: Model, instruments: Instruments) -> None:
        self._of: dict[str, Mapping[str, Part | None]] = {}
        for task in suite.tasks:
            samples = list(suite.samples(task))
            measure = metric(task.metric, task.worst, task.labels, instruments=instruments)
            answers = model(task, measure, samples)
            self._of[task.id] = {sample.id: given for sample, given in zip(samples, answers, strict=True)}

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        for sample in samples:
            given = self._of[task][sample]
            if given is None:
                yield SampleOutcome(task, sample, State.REFUSED)
            else:
                yield SampleOutcome(task, sample, State.ANSWERED, (given,))

    def tried(self, run: str, task: str) -> set[str]:
        return set()
