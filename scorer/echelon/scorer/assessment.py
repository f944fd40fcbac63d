"""A run, begun or resumed: finds the model, makes or finds the run in the store, and asks what is missing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

from echelon.adapters import EchelonError
from echelon.adapters.errors import ModelNotReadyError
from echelon.adapters.settings import nearest
from echelon.clients import AsyncClient, ModelInfo, Options, Pipeline, Target
from echelon.scorer.asking import Pace
from echelon.scorer.errors import StoreError, UnknownNameError
from echelon.scorer.failures import rule
from echelon.scorer.identity import (
    card_digest,
    describe_change,
    identity_from_plain,
    identity_of,
    latest_under_another_identity,
    run_id,
    sample_set,
)
from echelon.scorer.journal import Journal
from echelon.scorer.probes import MOST, Prober, choose
from echelon.scorer.results import TaskSota
from echelon.scorer.runner import Left, Runner, Watcher
from echelon.scorer.sota import to_plain
from echelon.scorer.stability import Phase
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
    """Begin another run although one of this identity may exist; otherwise the latest is resumed."""
    sota: Mapping[str, TaskSota] | None = None
    pace: Pace = field(default_factory=Pace)
    probes: int = MOST
    """Samples that are asked again, at most, to see whether the model repeats itself."""

    @property
    def resuming(self) -> str:
        """What resumes the run, in words."""
        return "the same command without --new" if self.new else "the same command"

    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks, in the suite's order."""
        known = {task.id: task for task in self.suite.tasks}
        for name in self.only:
            if name not in known:
                raise UnknownNameError(f"{self.suite.info.name} has no task {name!r}{nearest(name, known)}")
        return tuple(task for task in self.suite.tasks if not self.only or task.id in self.only)


async def carry_out(assignment: Assignment, store: Store, watcher: Watcher) -> tuple[RunRecord, str]:
    """Ask what has no outcome yet; return the run as it is stored, and why it is incomplete (empty when it is not).

    A run belongs to one identity of its model. Under another one this begins another run, and says so.
    """
    async with AsyncClient(assignment.target.address, assignment.options) as client:
        info = await _info(client, assignment, watcher)
        record = _record(assignment, info, store.runs())
        _warn_of_another_model(record, store, watcher)
        if assignment.suite.info.closed:
            record = replace(record, suite={**record.suite, "attempt": attempt(record, store.runs())})
        store.create(record)
        # With the nonce of its first creation.
        record = store.run(record.run)
        left = await _ask_missing(assignment, record, client, store, watcher, asserted=info.identity is not None)
        return record, await _describe(left, record, client, assignment)


def _warn_of_another_model(record: RunRecord, store: Store, watcher: Watcher) -> None:
    known = store.runs()
    identity = identity_from_plain(record.identity)
    before = latest_under_another_identity(record, known)
    if before is None or identity is None or any(each.run == record.run for each in known):
        return
    if difference := describe_change(before, identity):
        watcher.notice(f"another run begins, and run {before.run[:12]} keeps {_kept(before, store)}: {difference}")


def _kept(run: RunRecord, store: Store) -> str:
    try:
        return f"its {sum(sum(states.values()) for states in store.counts(run.run).values())} outcomes"
    except StoreError:
        # Nothing in the run that begins depends on it.
        return "its outcomes, of which some are damaged (`echelon runs verify` names them)"


async def _describe(left: Left, record: RunRecord, client: AsyncClient, assignment: Assignment) -> str:
    if not left.reason:
        return ""
    if not left.is_other_model:
        return f"the run is incomplete: {left.reason}; {assignment.resuming} resumes it"
    try:
        difference = describe_change(record, identity_of(await client.model(assignment.target.model)))
    except EchelonError:
        # The server has just refused under the old identity; its words say the rest.
        difference = ""
    return f"the run is incomplete: {difference or left.reason}; the same command begins another run"


async def _ask_missing(
    assignment: Assignment,
    record: RunRecord,
    client: AsyncClient,
    store: Store,
    watcher: Watcher,
    *,
    asserted: bool,
) -> Left:
    suite = assignment.suite
    tasks = [task for task in assignment.tasks() if is_supported(suite, record.card, task)]
    counts = store.counts(record.run)
    sizes = [(task, len(suite.sample_ids(task)), sum(counts.get(task.id, {}).values())) for task in tasks]
    watcher.begin([size for size in sizes if size[1]])
    journal = Journal(store, record.run)
    expected_identity = str((record.identity or {}).get("digest", "")) if asserted else ""
    try:
        async with Pipeline(client) as pipeline:
            runner = Runner(
                suite,
                pipeline,
                journal,
                watcher,
                nonce=record.nonce,
                expected_identity=expected_identity,
                model=assignment.target.model,
                seed=assignment.seed,
                pace=assignment.pace,
            )
            prober = Prober(
                suite,
                pipeline,
                journal,
                assignment.target.model,
                record.nonce,
                assignment.seed,
                expected_identity,
                assignment.pace,
            )
            if not any(done for _, _, done in sizes) and not store.probes(record.run):
                await prober.ask(choose(suite, tasks, record.run, assignment.probes), (Phase.START,))
            left = await runner.run(tasks, lambda task: store.done(record.run, task.id))
            if not left.reason and assignment.probes:
                await prober.ask(*_unfinished_probes(store, record.run))
            return left
    finally:
        await journal.close()


def _unfinished_probes(store: Store, run: str) -> tuple[list[tuple[str, str]], tuple[Phase, ...]]:
    """Return the samples that were probed when the run began and not yet when it ended, and what to ask them."""
    probes = store.probes(run)
    ended = {(probe.task, probe.sample) for probe in probes if probe.phase is not Phase.START}
    begun = [(probe.task, probe.sample) for probe in probes if probe.phase is Phase.START]
    return [each for each in begun if each not in ended], (Phase.END, Phase.AGAIN)


async def _info(client: AsyncClient, assignment: Assignment, watcher: Watcher) -> ModelInfo:
    """Return the model's card and identity; waits, within the run's patience, for a server that is not ready."""
    until = monotonic() + assignment.pace.patience_s
    while True:
        info, error = await _look(client, assignment.target.model)
        if info is not None and info.ready:
            watcher.trouble("")
            return info
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


def _record(assignment: Assignment, info: ModelInfo, known: Sequence[RunRecord]) -> RunRecord:
    suite, tasks, identity = assignment.suite, assignment.tasks(), identity_of(info)
    settings = {"temperature": "0"}
    values = {
        "suite": suite.info.digest,
        "samples": sample_set(suite, tasks),
        "card": card_digest(info.card),
        "identity": identity.digest,
        "settings": settings,
        "seed": assignment.seed,
    }
    return RunRecord(
        run=run_id(values, {each.run for each in known}, new=assignment.new),
        suite={"folder": str(suite.path.resolve()), "tasks": [task.id for task in tasks], **asdict(suite.info)},
        card=info.card,
        target=str(assignment.target),
        seed=assignment.seed,
        settings=settings,
        created=datetime.now(UTC).isoformat(timespec="microseconds"),
        sota=to_plain(assignment.sota) if assignment.sota is not None else None,
        nonce=secrets.token_hex(16),
        identity={**asdict(identity), "unverified": list(identity.unverified)},
    )
