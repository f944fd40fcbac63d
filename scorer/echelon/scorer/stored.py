"""Results of stored runs, from journal and suite alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from echelon.adapters import Card
from echelon.adapters.file_digests import default_cache
from echelon.scorer.chance.cache import FILE as CHANCES
from echelon.scorer.chance.cache import ChanceCache
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.evaluate import VIEWED, Evaluation, evaluate
from echelon.scorer.identity import identity_from_plain
from echelon.scorer.instruments import Instruments
from echelon.scorer.results import RunResult, TaskSota
from echelon.scorer.sota import from_plain
from echelon.scorer.stability import stability
from echelon.scorer.store import RunRecord, Store
from echelon.scorer.suites.formats import open_folder
from echelon.scorer.suites.suite import StoredSuite, Suite, Task
from echelon.scorer.verdict.tries import alpha_of


def stored_result(
    store: Store,
    record: RunRecord,
    *,
    sota: Mapping[str, TaskSota] | None = None,
    viewed: int = VIEWED,
    instruments: Instruments | None = None,
    alpha: float | None = None,
) -> RunResult:
    """The result of a stored run as far as it has come; `alpha` is the run's own unless it is given."""
    suite = reopen_suite(record)
    return result_of(suite, record, store, sota=sota, viewed=viewed, instruments=instruments, alpha=alpha)


def result_of(
    suite: Suite,
    record: RunRecord,
    store: Store,
    *,
    sota: Mapping[str, TaskSota] | None = None,
    viewed: int = VIEWED,
    instruments: Instruments | None = None,
    alpha: float | None = None,
) -> RunResult:
    """As `stored_result`, where the suite is open already."""
    chosen = set(record.suite["tasks"])
    tasks = tuple(task for task in suite.tasks if task.id in chosen)
    unsupported = frozenset(task.id for task in tasks if not is_supported(suite, record.card, task))
    evaluation = Evaluation(
        suite,
        record.run,
        record.card,
        record.target,
        record.seed,
        record.settings,
        tasks,
        unsupported,
        instruments,
        alpha_of(record) if alpha is None else alpha,
        cache=ChanceCache(default_cache() / CHANCES),
    )
    opponents = from_plain(record.sota) if sota is None else sota
    result = evaluate(evaluation, store, opponents, viewed=viewed)
    return replace(
        result,
        usage=store.usage(record.run),
        untied=_untied(store, record, opponents),
        identity=identity_from_plain(record.identity),
        stability=stability(store.probes(record.run)),
    )


def _untied(store: Store, record: RunRecord, sota: Mapping[str, TaskSota]) -> dict[str, int]:
    references = sorted({each.run for each in sota.values() if each.run})
    return {each.run: each.store_version for each in (record, *map(store.run, references)) if not each.tied}


def reopen_suite(record: RunRecord) -> StoredSuite:
    """The suite of a stored run; InvalidSuiteError where it is gone or has changed."""
    folder, run, digest = Path(record.suite["folder"]), record.run[:12], record.suite["digest"]
    if not folder.is_dir():
        raise InvalidSuiteError(
            f"the suite of run {run} is no longer in {folder}; put it back, or name its new place to the same "
            "`echelon run`, which then asks nothing again"
        )
    suite = open_folder(folder)
    if suite.info.digest != digest:
        raise InvalidSuiteError(
            f"the suite in {folder} has changed since run {run}: its digest was {digest[:12]} and is "
            f"{suite.info.digest[:12]}; put the old files back, or run again"
        )
    return suite


def is_supported(suite: Suite, card: Card, task: Task) -> bool:
    """Whether the card lists the task's call, an output kind it wants, and the inputs its first sample has."""
    first = next(iter(suite.samples(task)), None)
    support = card.support(task.call)
    if first is None or support is None:
        return first is None
    inputs = {part.kind for part in first.parts}
    return bool(set(task.output) & set(support.output_kinds)) and inputs <= set(support.input_kinds)
