"""Scores predictions that exist already, without any model: the same evaluation as a run's, from other outcomes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import msgspec

from echelon.adapters import Card
from echelon.adapters.file_digests import default_cache
from echelon.scorer.chance.cache import FILE as CHANCES
from echelon.scorer.chance.cache import ChanceCache
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.official import conversion_fault
from echelon.scorer.general_bench.predicted_outcomes import PredictedOutcomes
from echelon.scorer.general_bench.predictions import Finding, Predictions, read_predictions
from echelon.scorer.instruments import Instruments
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.suites.suite import Sample, SuiteInfo, Task


@dataclass(frozen=True, slots=True)
class Scored:
    """What predictions amount to, and what was found on the way."""

    result: RunResult
    findings: tuple[Finding, ...]


def score(
    suite: GeneralBench,
    folder: Path,
    *,
    model: str,
    sota: Mapping[str, Sota] | None = None,
    instruments: Instruments | None = None,
) -> Scored:
    """The result of the predictions under `folder` for the samples of `suite`."""
    predictions = read_predictions(suite, folder)
    scope = Predicted(suite, predictions) if suite.official else suite
    unsupported = frozenset(
        task.id for task in suite.tasks if suite.sample_ids(task) and task.id not in predictions.by_task
    )
    evaluation = Evaluation(
        suite=scope,
        run=_identity(suite, predictions),
        card=Card("", (), name=model),
        target=str(folder),
        seed=0,
        settings={"profile": "official" if suite.official else "strict"},
        tasks=scope.tasks,
        unsupported=unsupported,
        instruments=instruments,
        whole=suite,
        cache=ChanceCache(default_cache() / CHANCES),
    )
    conversions = tuple(_conversions(suite))
    figures = suite.sota if sota is None else sota
    if suite.official:
        # What is measured otherwise than the figure was, cannot be held against it.
        figures = {task: each for task, each in figures.items() if task not in {fault.task for fault in conversions}}
    result = evaluate(evaluation, PredictedOutcomes(suite, predictions), figures, viewed=0)
    return Scored(result, (*predictions.findings, *conversions))


def _identity(suite: GeneralBench, predictions: Predictions) -> str:
    """The same suite and the same predictions are the same run."""
    told = {task: sorted(each.values.items()) for task, each in sorted(predictions.by_task.items())}
    digest = hashlib.sha256(suite.info.digest.encode())
    digest.update(msgspec.json.encode([suite.official, told]))
    return digest.hexdigest()


def _conversions(suite: GeneralBench) -> Iterator[Finding]:
    """What the official evaluator would compute for tasks whose row asks for something else."""
    for task in suite.tasks:
        document = suite.document(task) if suite.sample_ids(task) else None
        fault = conversion_fault(suite.entry(task), document) if document else ""
        if fault:
            yield Finding(str(suite.path), task.id, "", fault)


class Predicted:
    """The samples of a suite that have a prediction, which are all that the official evaluators look at."""

    def __init__(self, suite: GeneralBench, predictions: Predictions) -> None:
        self._suite = suite
        self._by_task = predictions.by_task
        self.tasks = suite.tasks

    @property
    def info(self) -> SuiteInfo:
        """Who the suite is."""
        return self._suite.info

    def sample_ids(self, task: Task) -> tuple[str, ...]:
        """The ids of the samples that are predicted."""
        predicted = self._by_task.get(task.id)
        return tuple(each for each in self._suite.sample_ids(task) if predicted and each in predicted.values)

    def samples(self, task: Task, skip: AbstractSet[str] = frozenset()) -> Iterator[Sample]:
        """The samples that are predicted."""
        return self._suite.samples(task, skip=skip | (set(self._suite.sample_ids(task)) - set(self.sample_ids(task))))
