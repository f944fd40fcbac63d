"""Where a task's sota comes from: a stored reference run, or a file of published figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from echelon.adapters.errors import MissingExtraError, SettingsError
from echelon.adapters.settings import load
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.registry import metric_type
from echelon.scorer.results import PendingSota, RunResult, Sota, TaskResult, TaskSota
from echelon.scorer.suites.suite import Suite, Task


@dataclass(frozen=True)
class Published:
    """A figure in a sota file: `{"tasks": {TASK: {"score": 0.9, "source": "...", "n": 500}}}`.

    `standard_error` is that of the score, in its own unit; with it `n` is not needed.
    """

    score: float
    source: str
    n: int | None = None
    standard_error: float | None = None

    def __post_init__(self) -> None:
        if not isfinite(self.score):
            raise ValueError(f"'score' must be finite, not {self.score}")
        if self.n is not None and self.n < 1:
            raise ValueError(f"'n' must be at least 1, not {self.n}")
        if self.standard_error is not None and not (isfinite(self.standard_error) and self.standard_error > 0):
            raise ValueError(f"'standard_error' must be above 0 and finite, not {self.standard_error}")


@dataclass(frozen=True)
class SotaFile:
    """A file of published figures."""

    tasks: dict[str, Published]


def from_run(reference: RunResult) -> dict[str, TaskSota]:
    """Return the sota that a run gives for each task it finished; pending where its metric is not computed."""
    return {
        result.task.id: sota
        for result in reference.tasks
        if result.complete and result.supported and (sota := _of_task(reference, result))
    }


def _of_task(reference: RunResult, result: TaskResult) -> TaskSota | None:
    source, n, run = f"run {reference.run_id[:12]} of {reference.card.name}", result.sample_count, reference.run_id
    if result.score is not None:
        return Sota(result.score, source, n, result.metric_id, run)
    return PendingSota(source, n, run) if result.not_computed else None


def check_comparable(reference: RunResult, suite: Suite) -> None:
    """Refuse a reference run that was asked other samples."""
    if reference.suite.digest != suite.info.digest:
        raise InvalidSuiteError(
            f"run {reference.run_id[:12]} is of {reference.suite.label}, this suite is {suite.info.label}; "
            "a reference run must be of the same samples: run it again on this suite"
        )


def from_file(path: Path, suite: Suite) -> dict[str, Sota]:
    """The figures in a JSON file; all faults are told at once."""
    try:
        values: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not valid JSON: {error}") from error
    file = load(SotaFile, values, where=str(path))
    known = {task.id for task in suite.tasks}
    strangers = sorted(set(file.tasks) - known)
    if strangers:
        raise SettingsError(f"{path}: {suite.info.name} has no task {', '.join(strangers)}")
    faults = [
        f"{path}: tasks.{task.id}: {fault}"
        for task in suite.tasks
        if task.id in file.tasks and (fault := _off_scale(task, file.tasks[task.id].score))
    ]
    if faults:
        raise SettingsError("\n".join(faults))
    return {
        task: Sota(figure.score, figure.source, figure.n, standard_error=figure.standard_error)
        for task, figure in file.tasks.items()
    }


def _off_scale(task: Task, score: float) -> str:
    """Why the figure cannot be a score of the task, empty where it can."""
    try:
        known = metric_type(task.metric)
    except MissingExtraError:
        return ""
    least, most = known.range
    if least <= score <= most:
        return ""
    fix = "a fraction, as 0.85 for 85 %" if known.unit == "fraction" else f"it in the unit of {task.metric}"
    return f"'score' must be from {least:g} to {most:g}, the scale of {task.metric}, not {score:g}; give {fix}"


def to_plain(sota: Mapping[str, TaskSota]) -> dict[str, Any]:
    """Sota as it is stored beside a run."""
    return {task: asdict(each) for task, each in sota.items()}


def from_plain(values: Mapping[str, Any] | None) -> dict[str, TaskSota]:
    """The inverse of `to_plain`."""
    return {task: Sota(**each) if "score" in each else PendingSota(**each) for task, each in (values or {}).items()}
