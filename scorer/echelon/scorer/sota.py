"""Where a task's sota comes from: a stored reference run, or a file of published figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.suites.suite import Suite


@dataclass(frozen=True)
class Published:
    """A figure in a sota file: `{"tasks": {TASK: {"score": 0.9, "source": "...", "n": 500}}}`."""

    score: float
    source: str
    n: int | None = None


@dataclass(frozen=True)
class SotaFile:
    """A file of published figures."""

    tasks: dict[str, Published]


def from_run(reference: RunResult) -> dict[str, Sota]:
    """The sota that a complete run gives, task by task; a task it did not finish gives none."""
    source = f"run {reference.run_id[:12]} of {reference.card.name}"
    return {
        result.task.id: Sota(result.score, source, result.sample_count, result.metric_id, reference.run_id)
        for result in reference.tasks
        if result.score is not None and result.complete and result.supported
    }


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
    return {task: Sota(figure.score, figure.source, figure.n) for task, figure in file.tasks.items()}


def to_plain(sota: Mapping[str, Sota]) -> dict[str, Any]:
    """Sota as it is stored beside a run."""
    return {task: asdict(each) for task, each in sota.items()}


def from_plain(values: Mapping[str, Any] | None) -> dict[str, Sota]:
    """The inverse of `to_plain`."""
    return {task: Sota(**each) for task, each in (values or {}).items()}
