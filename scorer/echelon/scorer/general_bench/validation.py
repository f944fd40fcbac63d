"""Everything that is wrong with a folder of General-Bench, found without a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from echelon.adapters.errors import EchelonError, MissingExtraError
from echelon.scorer.errors import InvalidSuiteError, NotComputedError
from echelon.scorer.extract import extract
from echelon.scorer.general_bench.loader import UNREADABLE, GeneralBench
from echelon.scorer.metrics.registry import metric
from echelon.scorer.suites.suite import Sample, Task
from echelon.scorer.suites.validation import Validation, opaque_notes, opaque_type


def validate(folder: Path) -> Validation:
    """Everything about the benchmark in `folder`; a task that is missing is no fault.

    All media are decoded that can be, and references are scored as if a model had answered them.
    """
    try:
        suite = GeneralBench(folder)
    except InvalidSuiteError as error:
        return Validation([str(error)], [])
    faults, notes = [*suite.gaps], []
    for task in suite.tasks:
        opaque: list[str] = []
        faults += _faults_of_task(suite, task, opaque)
        notes += opaque_notes(task, opaque)
    return Validation(faults, notes)


def _faults_of_task(suite: GeneralBench, task: Task, opaque: list[str]) -> Iterator[str]:
    """The faults; the types of media that are not decoded are added to `opaque`."""
    if task.not_computed.startswith(UNREADABLE):
        yield f"{task.id}: {task.not_computed}"
    for each in suite.attempts(task):
        try:
            if isinstance(each, InvalidSuiteError):
                raise each
            opaque += [name for part in each.parts if (name := opaque_type(part))]
            _inspect(task, each)
        except EchelonError as error:
            yield f"{task.id}: {error}"


def _inspect(task: Task, sample: Sample) -> None:
    for part in (*sample.parts, *sample.references):
        if hasattr(part, "array") and not opaque_type(part):
            part.array()
    if task.not_computed:
        return
    try:
        scored = metric(task.metric, task.worst, task.labels)
        for reference in sample.references if scored.references_are_answers else ():
            scored.sample(extract(task.extractor, (reference,), task), sample.references)
    except (NotComputedError, MissingExtraError):
        return
