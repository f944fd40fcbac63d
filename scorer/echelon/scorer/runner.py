"""Asks a model every sample that has no outcome yet, and journals what comes back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import Protocol

from echelon.adapters import Answer, Card, EchelonError, Kind, Part, Request
from echelon.adapters.errors import ServerBusyError
from echelon.clients import Pipeline, Retry
from echelon.scorer.concurrency import Window
from echelon.scorer.failures import Then, rule
from echelon.scorer.journal import Journal
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.store import Attempt
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Sample, Suite, Task

MIB = 1 << 20


@dataclass(frozen=True)
class Pace:
    """How hard and how long the runner tries; none of it changes a score."""

    timeout_s: float = 120.0
    """For one try of one call."""
    patience_s: float = 600.0
    """How long to wait for a server that is away or busy, counted from the last answer."""
    most_calls: int = 256
    most_bytes: int = 64 * MIB
    backoff: Retry = field(default_factory=lambda: Retry(attempts=1_000_000))


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """Each task with the number of its samples and of those that are done already."""

    def ended(self, task: Task, state: State) -> None:
        """A sample has its outcome."""

    def trouble(self, text: str) -> None:
        """Something is being waited for; empty when it is over."""


class GaveUpError(EchelonError):
    """Patience ended; the run is incomplete and can be resumed."""

    reason = "RUN_INCOMPLETE"


class Runner:
    """One pass over a run's samples."""

    def __init__(
        self,
        suite: Suite,
        pipeline: Pipeline,
        journal: Journal,
        watcher: Watcher,
        *,
        run: str,
        model: str,
        seed: int,
        pace: Pace,
    ) -> None:
        self._suite = suite
        self._pipeline = pipeline
        self._journal = journal
        self._watcher = watcher
        self._run = run
        self._model = model
        self._seed = seed
        self._pace = pace
        self._window = Window(pace.most_calls, pace.most_bytes)
        self._last_answer = monotonic()
        self._gave_up: GaveUpError | None = None
        self._troubled = False

    async def run(self, tasks: Sequence[tuple[Task, frozenset[str]]]) -> None:
        """Ask all samples of `tasks` that are not among the done ones given with each.

        Raises GaveUpError where the infrastructure kept some unanswered, and any other EchelonError where going on
        makes no sense; whatever was answered is journalled in either case.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for task, done in tasks:
                    await self._ask_task(group, task, done)
        except* EchelonError as errors:
            raise errors.exceptions[0] from None  # one tells enough; the others met the same
        if self._gave_up is not None:
            raise self._gave_up

    async def _ask_task(self, group: asyncio.TaskGroup, task: Task, done: frozenset[str]) -> None:
        for sample in self._suite.samples(task):
            if sample.id in done:
                continue
            if self._gave_up is not None:
                return
            request = replace(request_of(task, sample, self._seed), id=self._request_id(task, sample))
            size = sum(map(_size, request.parts))
            await self._window.enter(size)
            group.create_task(self._ask_sample(task, sample.id, request, size))

    def _request_id(self, task: Task, sample: Sample) -> str:
        # The same for every try, also after a crash of the scorer: the server need not answer twice.
        place = hashlib.blake2b(f"{task.id}\n{sample.id}".encode(), digest_size=16).hexdigest()
        return f"{self._run[:24]}-{place}"

    async def _ask_sample(self, task: Task, sample: str, request: Request, size: int) -> None:
        started = monotonic()
        try:
            outcome = await self._ask(task, sample, request)
            if outcome is not None:
                await self._journal.put(outcome, (monotonic() - started) * 1000)
                self._watcher.ended(task, outcome.state)
        finally:
            self._window.leave(size)

    async def _ask(self, task: Task, sample: str, request: Request) -> SampleOutcome | None:
        """The sample's outcome; None where the infrastructure has none to give."""
        noted: set[str] = set()
        for tries in count(1):
            try:
                returned = await self._pipeline.ask(self._model, request, timeout_s=self._pace.timeout_s)
            except EchelonError as error:
                found = rule(error)
                if error.reason not in noted and not isinstance(error, ServerBusyError):
                    noted.add(error.reason)
                    await self._journal.note(Attempt(task.id, sample, error.reason, str(error), _now()))
                if found.then is Then.STOP:
                    raise type(error)(f"task {task.id}, sample {sample}: {error}") from error
                if (found.patient and self._has_patience(error)) or tries <= found.retries:
                    await self._wait(tries, error)
                    continue
                if found.then is Then.COUNT:
                    self._good()
                    return SampleOutcome(task.id, sample, found.state, (), error.reason, str(error))
                self._leave(error, patient=found.patient)
                return None
            self._good()
            if isinstance(returned, Answer):
                return SampleOutcome(task.id, sample, State.ANSWERED, returned.parts)
            return SampleOutcome(task.id, sample, State.REFUSED, (), "REFUSED", returned.text or returned.category)
        raise AssertionError("count() does not end")

    def _good(self) -> None:
        self._last_answer = monotonic()
        self._window.answered()
        if self._troubled:
            self._troubled = False
            self._watcher.trouble("")

    def _has_patience(self, error: EchelonError) -> bool:
        if isinstance(error, ServerBusyError):
            self._window.busy()
        return self._gave_up is None and monotonic() - self._last_answer < self._pace.patience_s

    async def _wait(self, tries: int, error: EchelonError) -> None:
        if not isinstance(error, ServerBusyError):
            self._troubled = True
            self._watcher.trouble(str(error))
        await asyncio.sleep(self._pace.backoff.delay_s(tries, error) or self._pace.backoff.first_delay_s)

    def _leave(self, error: EchelonError, *, patient: bool) -> None:
        if not patient:
            self._watcher.trouble(f"a sample stays unanswered: {error}")
        elif self._gave_up is None:
            self._gave_up = GaveUpError(f"the run is incomplete: {error}; the same command resumes it")


def supported(card: Card, task: Task, inputs: AbstractSet[Kind]) -> bool:
    """Whether the card lists the task's call, a kind of answer it wants, and all kinds of `inputs`."""
    support = card.support(task.call)
    return (
        support is not None
        and bool(set(task.output) & set(support.output_kinds))
        and inputs <= set(support.input_kinds)
    )


def _size(part: Part) -> int:
    data = getattr(part, "data", None) or getattr(part, "png", None) or getattr(part, "value", None)
    frames = getattr(part, "frames", ())
    return (len(data) if isinstance(data, bytes | str) else 64) + sum(len(frame.image.data) for frame in frames)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
