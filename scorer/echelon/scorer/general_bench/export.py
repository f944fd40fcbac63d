"""Results in the benchmark's own forms: prediction files for submission, and a filled official workbook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echelon.adapters import Audio, Boxes, Choice, Image, Json, Mask, Number, Part, PointCloud, Tensor, Text, Video
from echelon.adapters.content import Box
from echelon.adapters.errors import ConfigurationError
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.extract import InvalidAnswer, extract
from echelon.scorer.general_bench.annotations import id_text
from echelon.scorer.general_bench.catalogue import SHEETS, Entry, catalogue
from echelon.scorer.general_bench.layout import PREDICTION
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.mapping import task_id
from echelon.scorer.general_bench.measures import measure
from echelon.scorer.outcomes import SampleOutcome
from echelon.scorer.results import RunResult, TaskResult
from echelon.scorer.suites.media_types import CLIP_TYPES, IMAGE_TYPES, SOUND_TYPES
from echelon.scorer.suites.suite import Modality, Paradigm, Task

if TYPE_CHECKING:
    from echelon.scorer.store import Store

MEDIA = "predictions"
"""The folder beside a prediction file that holds what was generated."""
_COLUMNS = ("No", "Task Name", "Task Short Name", "Metrics")
_UNSUPPORTED_ERROR = "\N{INFINITY}"
_SUFFIXES = {
    name: suffix
    for types in (IMAGE_TYPES, SOUND_TYPES, CLIP_TYPES)
    for suffix, name in types.items()
    if suffix != ".jpeg"
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written for one task, and how many of its predictions are empty; `problem` says why nothing was."""

    task: str
    file: Path | None
    samples: int = 0
    empty: int = 0
    problem: str = ""


def write_predictions(
    suite: GeneralBench, run: str, store: Store, tasks: tuple[Task, ...], folder: Path
) -> list[Exported]:
    """Write a prediction file, in the documented form, for every task of a run that is complete.

    Where a model failed a sample its prediction is an empty text: the form wants one for every sample.
    """
    return [_write_task(suite, run, store, task, folder) for task in tasks if suite.sample_ids(task)]


def _write_task(suite: GeneralBench, run: str, store: Store, task: Task, folder: Path) -> Exported:
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
        writer = _Writer(task, target)
        # One outcome at a time: media may be large.
        data = [
            {"id": official.get(outcome.sample, outcome.sample), "prediction": writer.value(index, outcome)}
            for index, outcome in enumerate(store.outcomes(run, task.id, ids))
            if outcome is not None
        ]
        written = json.dumps({**header, "data": data}, ensure_ascii=False, indent=1)
        (target / PREDICTION).write_text(f"{written}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write predictions to {target}: {error.strerror}") from error
    except InvalidSuiteError as error:
        return Exported(task.id, None, problem=str(error))
    empty = sum(each["prediction"] == "" for each in data)
    return Exported(task.id, target / PREDICTION, len(ids), empty)


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

    def __init__(self, task: Task, folder: Path) -> None:
        self._task = task
        self._folder = folder

    def value(self, index: int, outcome: SampleOutcome) -> Any:
        """The prediction as the form has it."""
        task = self._task
        # The official evaluators compare spelling: labels of one word go out as the model wrote them.
        said = replace(task, extractor="label") if task.extractor == "term" else task
        try:
            return self._plain(index, extract(said.extractor, outcome.parts, said)) if outcome.parts else ""
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
                return json.loads(part.value)
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


def write_workbook(path: Path, result: RunResult) -> None:
    """Write the official workbook with a column of this result's scores, in the units of the published sotas.

    A task that is missing, incomplete or not computed stays blank; one that is unsupported, or of which nothing was
    answered, is 0, or infinite where lower is better, as the official form wants it.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import XlsxWriterException

    scores = {task.task.id: task for task in result.tasks}
    try:
        # Text that looks like a formula or a link stays text.
        book = xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False})
        # The same result gives the same file.
        book.set_properties({"created": datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)})
        for name in SHEETS:
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, [*_COLUMNS, result.card.name or "model"])
            for row, cells in enumerate(_rows(name, scores), start=1):
                sheet.write_row(row, 0, cells)
        book.close()
    except (OSError, XlsxWriterException) as error:
        raise ConfigurationError(f"cannot write the workbook to {path}: {error}") from error


def _rows(sheet: str, scores: Mapping[str, TaskResult]) -> Iterator[list[Any]]:
    for entry in catalogue().entries:
        if entry.sheet == sheet:
            number = int(entry.no) if entry.no.isdigit() else entry.no
            yield [number, entry.task, entry.short_name, entry.metric, _cell(entry, scores.get(task_id(entry)))]


def _cell(entry: Entry, task: TaskResult | None) -> float | str | None:
    told = measure(entry.metric)
    if task is None or not task.sample_count or task.not_computed:
        return None
    if not task.supported or (task.complete and task.nothing_answered):
        return 0.0 if told.higher_is_better else _UNSUPPORTED_ERROR
    if task.score is None:
        return None
    return task.score * 100 if told.per_cent else task.score
