"""The main flow: suite, model and store in; a result out, whether begun now or resumed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from echelon.adapters import Card, EchelonError
from echelon.adapters.errors import ModelNotReadyError
from echelon.adapters.settings import nearest
from echelon.clients import AsyncClient, ModelInfo, Options, Pipeline, Target
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.evaluate import VIEWED, Evaluation, evaluate
from echelon.scorer.failures import rule
from echelon.scorer.journal import Journal
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.runner import GaveUpError, Pace, Runner, Watcher, supported
from echelon.scorer.sota import from_plain, to_plain
from echelon.scorer.store import RunRecord, Store, run_id
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.suites.suite import Suite, Task


@dataclass(frozen=True)
class Assignment:
    """What to run: a suite, perhaps some of its tasks only, against a model."""

    suite: FolderSuite
    target: Target
    options: Options = field(default_factory=Options)
    only: tuple[str, ...] = ()
    """Ids of tasks; none for all."""
    seed: int = 0
    new: bool = False
    """Begin another run although one of this identity may exist."""
    sota: Mapping[str, Sota] | None = None
    pace: Pace = field(default_factory=Pace)

    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks, in the suite's order."""
        known = {task.id: task for task in self.suite.tasks}
        for name in self.only:
            if name not in known:
                raise UnknownNameError(f"{self.suite.info.name} has no task {name!r}{nearest(name, known)}")
        return tuple(task for task in self.suite.tasks if not self.only or task.id in self.only)


async def assess(assignment: Assignment, store: Store, watcher: Watcher) -> tuple[RunResult, str]:
    """Run what is missing and evaluate; the result, and why it is incomplete (empty when it is not)."""
    async with AsyncClient(assignment.target.address, assignment.options) as client:
        info = await _wait_until_ready(client, assignment, watcher)
        record = _record(assignment, info.card)
        store.create(record)
        reason = await _ask_missing(assignment, record, client, store, watcher)
    return evaluate(_evaluation(assignment.suite, record), store, from_plain(store.run(record.run).sota)), reason


async def _ask_missing(
    assignment: Assignment, record: RunRecord, client: AsyncClient, store: Store, watcher: Watcher
) -> str:
    todo, progress = [], []
    for task in assignment.tasks():
        if not is_supported(assignment.suite, record.card, task):
            continue
        done = store.done(record.run, task.id)
        todo.append((task, frozenset(done)))
        progress.append((task, len(assignment.suite.sample_ids(task)), len(done)))
    watcher.begin(progress)
    journal = Journal(store, record.run)
    try:
        async with Pipeline(client) as pipeline:
            runner = Runner(
                assignment.suite,
                pipeline,
                journal,
                watcher,
                run=record.run,
                model=assignment.target.model,
                seed=assignment.seed,
                pace=assignment.pace,
            )
            await runner.run(todo)
    except GaveUpError as error:
        return str(error)
    finally:
        await journal.close()
    return ""


async def _wait_until_ready(client: AsyncClient, assignment: Assignment, watcher: Watcher) -> ModelInfo:
    """The model's card; waits, within the run's patience, for a server that is away or still loading."""
    until = monotonic() + assignment.pace.patience_s
    while True:
        try:
            info = await client.model(assignment.target.model)
        except EchelonError as error:
            if not rule(error).patient or monotonic() > until:
                raise
            watcher.trouble(str(error))
        else:
            if info.ready:
                watcher.trouble("")
                return info
            if info.state != "loading" or monotonic() > until:
                raise ModelNotReadyError(f"model {info.card.name!r} is {info.state}; the server's log says why")
            watcher.trouble(f"model {info.card.name!r} is loading")
        await asyncio.sleep(1.0)


def is_supported(suite: Suite, card: Card, task: Task) -> bool:
    """Whether the card lists the task's call, an output kind it wants, and the inputs its first sample has."""
    first = next(iter(suite.samples(task)), None)
    return first is None or supported(card, task, {part.kind for part in first.parts})


def _record(assignment: Assignment, card: Card) -> RunRecord:
    tasks = assignment.tasks()
    settings = {"temperature": "0"}
    identity = {
        "suite": assignment.suite.info.digest,
        "samples": _sample_set(assignment.suite, tasks),
        "card": _card_digest(card),
        "settings": settings,
        "seed": assignment.seed,
        "nonce": secrets.token_hex(8) if assignment.new else "",
    }
    return RunRecord(
        run=run_id(identity),
        suite={
            "folder": str(assignment.suite.path.resolve()),
            "tasks": [task.id for task in tasks],
            **_info(assignment.suite),
        },
        card=card,
        target=str(assignment.target),
        seed=assignment.seed,
        settings=settings,
        created=datetime.now(UTC).isoformat(timespec="microseconds"),
        sota=to_plain(assignment.sota) if assignment.sota is not None else None,
    )


def _info(suite: Suite) -> dict[str, Any]:
    return asdict(suite.info)


def _sample_set(suite: Suite, tasks: Sequence[Task]) -> str:
    digest = hashlib.sha256()
    for task in tasks:
        for sample in suite.sample_ids(task):
            digest.update(f"{task.id}\n{sample}\n".encode())
    return digest.hexdigest()


def _card_digest(card: Card) -> str:
    # How large a batch pays is measured anew at every start and never changes an answer.
    plain = asdict(replace(card, max_batch_size=0))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def stored_result(
    store: Store, record: RunRecord, *, sota: Mapping[str, Sota] | None = None, viewed: int = VIEWED
) -> RunResult:
    """The result of a stored run, from its journal and its suite alone."""
    suite = reopen_suite(record)
    found = from_plain(record.sota) if sota is None else sota
    return evaluate(_evaluation(suite, record), store, found, viewed=viewed)


def reopen_suite(record: RunRecord) -> FolderSuite:
    """The suite of a stored run; InvalidSuiteError where it is gone or has changed."""
    folder = Path(record.suite["folder"])
    suite = FolderSuite(folder)
    if suite.info.digest != record.suite["digest"]:
        raise InvalidSuiteError(
            f"the suite in {folder} has changed since run {record.run[:12]}: its digest was "
            f"{record.suite['digest'][:12]} and is {suite.info.digest[:12]}; put the old files back, or run again"
        )
    return suite


def _evaluation(suite: FolderSuite, record: RunRecord) -> Evaluation:
    chosen = set(record.suite["tasks"])
    tasks = tuple(task for task in suite.tasks if task.id in chosen)
    unsupported = frozenset(task.id for task in tasks if not is_supported(suite, record.card, task))
    return Evaluation(suite, record.run, record.card, record.target, record.seed, record.settings, tasks, unsupported)
