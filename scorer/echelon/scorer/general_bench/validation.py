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


def faults_of(folder: Path) -> list[str]:
    """Every fault of the benchmark in `folder`, one line each; a task that is missing is none.

    All media are decoded, and references are scored as if a model had answered them.
    """
    try:
        suite = GeneralBench(folder)
    except InvalidSuiteError as error:
        return [str(error)]
    return [*suite.gaps, *(fault for task in suite.tasks for fault in _faults_of_task(suite, task))]


def _faults_of_task(suite: GeneralBench, task: Task) -> Iterator[str]:
    if task.not_computed.startswith(UNREADABLE):
        yield f"{task.id}: {task.not_computed}"
    for each in suite.attempts(task):
        try:
            if isinstance(each, InvalidSuiteError):
                raise each
            _inspect(task, each)
        except EchelonError as error:
            yield f"{task.id}: {error}"


def _inspect(task: Task, sample: Sample) -> None:
    for part in (*sample.parts, *sample.references):
        if hasattr(part, "array"):
            part.array()
    if task.not_computed:
        return
    try:
        scored = metric(task.metric, task.worst, task.labels)
        for reference in sample.references if scored.references_are_answers else ():
            scored.sample(extract(task.extractor, (reference,), task), sample.references)
    except (NotComputedError, MissingExtraError):
        return
