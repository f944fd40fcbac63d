"""A run's answers as prediction files, for submission, for the official evaluators, or to be scored here again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echelon.adapters import Audio, Boxes, Choice, Image, Json, Mask, Number, Part, PointCloud, Tensor, Text, Video
from echelon.adapters.content import Box, Role
from echelon.adapters.errors import ConfigurationError
from echelon.adapters.plain import to_plain
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.extract import InvalidAnswer, extract
from echelon.scorer.general_bench.annotations import id_text
from echelon.scorer.general_bench.layout import PREDICTION
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.predicted_outcomes import answer
from echelon.scorer.general_bench.task_media import TaskMedia
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.suites.media_types import CLIP_TYPES, IMAGE_TYPES, SOUND_TYPES
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    from echelon.scorer.store import Store

MEDIA = "predictions"
"""The folder beside a prediction file that holds what was generated."""
INLINE_CHARACTERS = 2**16
"""The longest answer that stands in the prediction file itself; longer ones become files of their own."""
_SUFFIXES = {
    name: suffix
    for types in (IMAGE_TYPES, SOUND_TYPES, CLIP_TYPES)
    for suffix, name in types.items()
    if suffix != ".jpeg"
}


class PredictionForm(StrEnum):
    """How a prediction file is written."""

    ECHELON = "echelon"
    """The documented object, whose items also hold what else a score depends on: states, and answers in full."""
    DOCUMENTED = "documented"
    """The documented object, {"task", "skill", "type", "data"}, with an id and a prediction for every item."""
    LIST = "list"
    """The bare list of these items, which the official scripts write and their evaluator of language reads."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written for one task; `problem` says why nothing was."""

    task: str
    file: Path | None
    samples: int = 0
    empty: int = 0
    """Predictions that are an empty text."""
    changed: tuple[str, ...] = ()
    """Samples that read otherwise from the file than from the journal, so that their score may be another."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Written:
    """One item of a prediction file but for its id."""

    item: dict[str, Any]
    changed: bool = False


def write_predictions(
    suite: GeneralBench,
    run: str,
    store: Store,
    tasks: tuple[Task, ...],
    folder: Path,
    form: PredictionForm = PredictionForm.ECHELON,
) -> list[Exported]:
    """Write a prediction file for every task of a run that is complete.

    Where a model failed a sample its prediction is an empty text: the official forms want one for every sample.
    """
    return [_write_task(suite, run, store, task, folder, form) for task in tasks if suite.sample_ids(task)]


def _write_task(
    suite: GeneralBench, run: str, store: Store, task: Task, folder: Path, form: PredictionForm
) -> Exported:
    ids = suite.sample_ids(task)
    done = len(store.done(run, task.id))
    if not done:
        return Exported(task.id, None, problem="was not asked")
    if done < len(ids):
        return Exported(
            task.id, None, problem=f"{len(ids) - done} of {len(ids)} samples have no outcome; resume the run"
        )
    document = suite.document(task)
    assert document is not None
    header = {"task": document.said("task") or task.title, "skill": task.skill, "type": document.said("type")}
    official = {id_text(item["id"]): item["id"] for item in document.items if "id" in item}
    target = folder.joinpath(*_place(suite, task))
    try:
        target.mkdir(parents=True, exist_ok=True)
        writer = _Writer(task, target, form)
        # One outcome at a time: media may be large.
        written = {
            outcome.sample: writer.write(index, outcome)
            for index, outcome in enumerate(store.outcomes(run, task.id, ids))
            if outcome is not None
        }
        data = [{"id": official.get(sample, sample), **each.item} for sample, each in written.items()]
        content = data if form is PredictionForm.LIST else {**header, "data": data}
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (target / PREDICTION).write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write predictions to {target}: {error.strerror}") from error
    except InvalidSuiteError as error:
        return Exported(task.id, None, problem=str(error))
    empty = sum(each.item["prediction"] == "" for each in written.values())
    changed = tuple(sample for sample, each in written.items() if each.changed)
    return Exported(task.id, target / PREDICTION, len(ids), empty, changed)


def _place(suite: GeneralBench, task: Task) -> Iterator[str]:
    """Where the task lies in the benchmark's own tree."""
    yield (
        "nlp"
        if task.modality is Modality.LANGUAGE
        else "3D"
        if task.modality is Modality.THREE_D
        else task.modality.value
    )
    if task.paradigm is not Paradigm.LANGUAGE:
        yield task.paradigm.value
    folder = suite.folder(task)
    assert folder is not None
    yield folder.name


class _Writer:
    """Writes the answers of one task; media become files beside the prediction file."""

    def __init__(self, task: Task, folder: Path, form: PredictionForm) -> None:
        self._task = task
        self._folder = folder
        self._whole = form is PredictionForm.ECHELON

    def write(self, index: int, outcome: SampleOutcome) -> _Written:
        """The item of an outcome; InvalidSuiteError where the form cannot hold it."""
        if outcome.state is not State.ANSWERED:
            if not self._whole:
                return _Written({"prediction": ""}, changed=not self._reads_as("", None))
            failure = {"state": outcome.state.value, "reason": outcome.reason, "detail": outcome.detail}
            return _Written({"prediction": "", **failure})
        try:
            wanted = extract(self._task.extractor, outcome.parts, self._task)
        except InvalidAnswer:
            wanted = None
        try:
            value = self._value(index, outcome)
        except InvalidSuiteError:
            if not self._whole:
                raise
            return _Written({"prediction": "", "answer": self._answer(index, outcome)})
        if self._reads_as(value, wanted):
            return _Written({"prediction": value})
        if not self._whole:
            return _Written({"prediction": value}, changed=True)
        return _Written({"prediction": value, "answer": self._answer(index, outcome)})

    def _reads_as(self, value: Any, wanted: Part | None) -> bool:
        """Whether a prediction is read again as the part `wanted`, or as invalid where that is None."""
        try:
            part = answer(value, self._task, TaskMedia([self._folder], ""))
            found = extract(self._task.extractor, (part,), self._task)
        except (InvalidSuiteError, InvalidAnswer):
            return wanted is None
        return wanted is not None and _comparable(found) == _comparable(wanted)

    def _answer(self, index: int, outcome: SampleOutcome) -> Any:
        """All parts of an answer in full, or the path of a file that holds them."""
        parts = [to_plain(part) for part in outcome.parts]
        text = json.dumps(parts, ensure_ascii=False)
        if len(text) <= INLINE_CHARACTERS:
            return parts
        name = f"{MEDIA}/{index:05}.json"
        self._write(name, text.encode())
        return name

    def _value(self, index: int, outcome: SampleOutcome) -> Any:
        """The prediction as the documented form has it."""
        task = self._task
        # The official evaluators compare spelling: labels of one word go out as the model wrote them.
        spelled = replace(task, extractor="label") if task.extractor == "term" else task
        try:
            return self._plain(index, extract(spelled.extractor, outcome.parts, spelled)) if outcome.parts else ""
        except InvalidAnswer:
            return next((part.value for part in outcome.parts if isinstance(part, Text)), "")

    def _plain(self, index: int, part: Part) -> Any:
        match part:
            case Text() | Number():
                return part.value
            case Choice():
                return "<p>".join(scored.label for scored in part.labels)
            case Boxes():
                return _boxes(part)
            case Json():
                return _json(part)
            case _:
                return self._file(index, part)

    def _file(self, index: int, part: Part) -> str:
        name = f"{MEDIA}/{index:05}"
        if isinstance(part, Video) and part.frames:
            for number, frame in enumerate(part.frames):
                self._write(f"{name}/{number:05}{_suffix(frame.image)}", frame.image.data)
            return name
        suffix, data = _encoded(part)
        self._write(name + suffix, data)
        return name + suffix

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _comparable(part: Part) -> Any:
    """What a metric can see of a part: neither its name nor its role, nor what a medium's own bytes say again."""
    match part:
        case Text():
            return part.kind, part.value
        case Image() | Audio():
            return part.kind, part.media_type, part.data
        case Video():
            frames = [(frame.time_us, _comparable(frame.image)) for frame in part.frames]
            return part.kind, part.media_type, part.data, frames
        case Json():
            return part.kind, _dumped(part.value)
    return replace(part, name="", role=Role.INPUT)


def _dumped(text: str) -> str:
    """JSON in one spelling; what is no JSON, or too deep, as it is."""
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _json(part: Json) -> Any:
    """The value; its text where that is no JSON, or has infinities, lone surrogates or too many levels for a file."""
    try:
        value = json.loads(part.value)
        # In the file it stands three levels down.
        json.dumps([[[value]]], indent=1, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return part.value
    return value


def _suffix(part: Image | Audio | Video) -> str:
    if part.media_type not in _SUFFIXES:
        raise InvalidSuiteError(f"no file is known for a {part.kind} of type {part.media_type!r}")
    return _SUFFIXES[part.media_type]


def _encoded(part: Part) -> tuple[str, bytes]:
    match part:
        case Image() | Audio() | Video():
            return _suffix(part), part.data
        case Mask():
            return ".png", part.png or Mask.from_array(part.array()).png
        case PointCloud() | Tensor():
            return ".npy", _npy(part)
    raise InvalidSuiteError(f"no form of General-Bench says how a {part.kind} is written")


def _npy(part: PointCloud | Tensor) -> bytes:
    import io

    import numpy as np

    out = io.BytesIO()
    np.save(out, part.array(), allow_pickle=False)
    return out.getvalue()


def _boxes(part: Boxes) -> dict[str, Any]:
    """{frame: {"bbox": [x, y, width, height]}}, which holds one box a frame and no label."""
    flat = [box for box in part.boxes if isinstance(box, Box)]
    if len(flat) != len(part.boxes) or len({box.frame_index for box in flat}) != len(flat):
        raise InvalidSuiteError("the documented form holds one flat box a frame, and these are others")
    return {
        str(box.frame_index): {"bbox": [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min]}
        for box in flat
    }
