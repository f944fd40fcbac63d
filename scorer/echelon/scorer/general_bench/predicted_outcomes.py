"""Predictions in the place of a journal, and how they become parts of answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from echelon.adapters import Choice, Kind, Number, Part, Text
from echelon.adapters.errors import SettingsError
from echelon.adapters.plain import from_plain
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.extract import EXTRACTORS
from echelon.scorer.general_bench import official
from echelon.scorer.general_bench.annotations import MAX_BYTES
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.predictions import Prediction, Predictions, TaskPredictions
from echelon.scorer.general_bench.task_media import TaskMedia
from echelon.scorer.general_bench.values import line_of
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.suites.suite import Task

MISSING = "MISSING"
"""Why a sample without a prediction is invalid."""


class PredictedOutcomes:
    """Predictions in the place of a journal: what a model would have answered."""

    def __init__(self, suite: GeneralBench, predictions: Predictions) -> None:
        self._tasks = {task.id: task for task in suite.tasks}
        self._official = suite.official
        self._by_task = predictions.by_task

    def tried(self, run: str, task: str) -> set[str]:
        """None: predictions come from no service that could have failed."""
        return set()

    def outcomes(self, run: str, task: str, samples: Sequence[str]) -> Iterator[SampleOutcome | None]:
        """The outcome of each sample; what has no usable prediction is invalid."""
        predicted = self._by_task.get(task)
        if predicted is None:
            yield from (SampleOutcome(task, sample, State.UNSUPPORTED) for sample in samples)
            return
        media = TaskMedia([predicted.file.parent], "")
        for sample in samples:
            yield self._outcome(self._tasks[task], sample, predicted, media)

    def _outcome(self, task: Task, sample: str, predicted: TaskPredictions, media: TaskMedia) -> SampleOutcome:
        if sample in predicted.contradicted:
            return SampleOutcome(task.id, sample, State.INVALID, (), "CONTRADICTED", "predicted in two ways")
        if sample not in predicted.values:
            return SampleOutcome(task.id, sample, State.INVALID, (), MISSING, "no prediction")
        found = predicted.values[sample]
        if found.state is not State.ANSWERED and not self._official:
            return SampleOutcome(task.id, sample, found.state, (), found.reason, found.detail)
        try:
            return SampleOutcome(task.id, sample, State.ANSWERED, self._parts(found, task, media))
        except InvalidSuiteError as error:
            return SampleOutcome(task.id, sample, State.INVALID, (), "UNREADABLE", str(error))

    def _parts(self, found: Prediction, task: Task, media: TaskMedia) -> tuple[Part, ...]:
        if self._official and EXTRACTORS[task.extractor].kind is Kind.TEXT:
            return (official.prediction(found.value, task),)
        if found.answer is None or self._official:
            return (answer(found.value, task, media),)
        return whole_answer(found.answer, media)


def whole_answer(value: Any, media: TaskMedia) -> tuple[Part, ...]:
    """The parts of an exported answer; InvalidSuiteError where they cannot be read."""
    if isinstance(value, str):
        value = _json_in(media.path(media.find(value)))
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidSuiteError("'answer' is not a list of parts")
    try:
        return tuple(from_plain(each, where="answer") for each in value)
    except SettingsError as error:
        raise InvalidSuiteError(str(error)) from error


def _json_in(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidSuiteError(f"{path.name} has more than {MAX_BYTES} bytes")
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidSuiteError(f"{path.name} cannot be read: {error}") from error


def answer(value: Any, task: Task, media: TaskMedia) -> Part:
    """A prediction as the part that a model would have answered; InvalidSuiteError where it can be none."""
    kind = EXTRACTORS[task.extractor].kind
    if kind is Kind.CHOICE and isinstance(value, list):
        return Choice.of(*map(str, value))
    if kind in (Kind.CHOICE, Kind.TEXT, Kind.NUMBER):
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise InvalidSuiteError(f"{value!r} is no answer of kind {kind}")
        try:
            return Number(float(value)) if kind is Kind.NUMBER and not isinstance(value, str) else Text(str(value))
        except OverflowError:
            raise InvalidSuiteError(f"{value!r} is beyond any float") from None
    return line_of(value, kind, media).read(media)
