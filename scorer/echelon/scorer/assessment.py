"""A run, begun or resumed: finds the model, makes or finds the run in the store, and asks what is missing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

from echelon.adapters import Card, EchelonError
from echelon.adapters.errors import ModelNotReadyError
from echelon.adapters.settings import nearest
from echelon.clients import AsyncClient, ModelInfo, Options, Pipeline, Target
from echelon.scorer.asking import Pace
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.failures import rule
from echelon.scorer.identity import card_digest, run_id, sample_set
from echelon.scorer.journal import Journal
from echelon.scorer.results import TaskSota
from echelon.scorer.runner import Runner, Watcher
from echelon.scorer.sota import to_plain
from echelon.scorer.store import RunRecord, Store
from echelon.scorer.stored import is_supported
from echelon.scorer.suites.suite import StoredSuite, Task
from echelon.scorer.verdict.tries import attempt

_LOOK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Assignment:
    """What to run: a suite, perhaps some of its tasks only, against a model."""

    suite: StoredSuite
    target: Target
    options: Options = field(default_factory=Options)
    only: tuple[str, ...] = ()
    """Ids of tasks; none for all."""
    seed: int = 0
    new: bool = False
    """Begin another run although one of this identity may exist."""
    sota: Mapping[str, TaskSota] | None = None
    pace: Pace = field(default_factory=Pace)

    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks, in the suite's order."""
        known = {task.id: task for task in self.suite.tasks}
        for name in self.only:
            if name not in known:
                raise UnknownNameError(f"{self.suite.info.name} has no task {name!r}{nearest(name, known)}")
        return tuple(task for task in self.suite.tasks if not self.only or task.id in self.only)


async def carry_out(assignment: Assignment, store: Store, watcher: Watcher) -> tuple[RunRecord, str]:
    """Ask what has no outcome yet; the run as it is stored, and why it is incomplete (empty when it is not)."""
    async with AsyncClient(assignment.target.address, assignment.options) as client:
        card = await _card(client, assignment, watcher)
        record = _record(assignment, card)
        if assignment.suite.info.closed:
            record = replace(record, suite={**record.suite, "attempt": attempt(record, store.runs())})
        store.create(record)
        left = await _ask_missing(assignment, record, client, store, watcher)
    return store.run(record.run), f"the run is incomplete: {left}; the same command resumes it" if left else ""


async def _ask_missing(
    assignment: Assignment, record: RunRecord, client: AsyncClient, store: Store, watcher: Watcher
) -> str:
    suite = assignment.suite
    tasks = [task for task in assignment.tasks() if is_supported(suite, record.card, task)]
    counts = store.counts(record.run)
    sizes = [(task, len(suite.sample_ids(task)), sum(counts.get(task.id, {}).values())) for task in tasks]
    watcher.begin([size for size in sizes if size[1]])
    journal = Journal(store, record.run)
    try:
        async with Pipeline(client) as pipeline:
            runner = Runner(
                suite,
                pipeline,
                journal,
                watcher,
                run=record.run,
                model=assignment.target.model,
                seed=assignment.seed,
                pace=assignment.pace,
            )
            return await runner.run(tasks, lambda task: store.done(record.run, task.id))
    finally:
        await journal.close()


async def _card(client: AsyncClient, assignment: Assignment, watcher: Watcher) -> Card:
    """The model's card; waits, within the run's patience, for a server that is away or not ready."""
    until = monotonic() + assignment.pace.patience_s
    while True:
        info, error = await _look(client, assignment.target.model)
        if info is not None and info.ready:
            watcher.trouble("")
            return info.card
        if monotonic() > until or (info is not None and info.state == "failed"):
            raise error
        watcher.trouble(str(error))
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _look(client: AsyncClient, model: str) -> tuple[ModelInfo | None, EchelonError]:
    """What the server says of the model, and what is wrong where it cannot answer."""
    try:
        info = await client.model(model)
    except EchelonError as error:
        if not rule(error).patient:
            raise
        return None, error
    return info, ModelNotReadyError(f"model {model!r} is {info.state}; the server's log says why")


def _record(assignment: Assignment, card: Card) -> RunRecord:
    suite, tasks = assignment.suite, assignment.tasks()
    settings = {"temperature": "0"}
    identity = {
        "suite": suite.info.digest,
        "samples": sample_set(suite, tasks),
        "card": card_digest(card),
        "settings": settings,
        "seed": assignment.seed,
        "nonce": secrets.token_hex(8) if assignment.new else "",
    }
    return RunRecord(
        run=run_id(identity),
        suite={"folder": str(suite.path.resolve()), "tasks": [task.id for task in tasks], **asdict(suite.info)},
        card=card,
        target=str(assignment.target),
        seed=assignment.seed,
        settings=settings,
        created=datetime.now(UTC).isoformat(timespec="microseconds"),
        sota=to_plain(assignment.sota) if assignment.sota is not None else None,
    )
