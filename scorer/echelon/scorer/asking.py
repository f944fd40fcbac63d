"""Asks a model one sample, as often as it is worth it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from time import monotonic

from echelon.adapters import Answer, EchelonError, Outcome, Request, Usage
from echelon.adapters.calls import NO_USAGE
from echelon.adapters.errors import AdapterCrashedError, BudgetExceededError, ConfigurationError, ServerBusyError
from echelon.clients import Pipeline, Retry
from echelon.scorer.concurrency import Window
from echelon.scorer.failures import Rule, Then, rule
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.store import Attempt
from echelon.scorer.usage import Spent

MIB = 1 << 20
_LONGEST_WAIT_S = 30.0
"""Between two tries, whatever a server wishes."""
_BACKOFF_DOUBLES = 16


@dataclass(frozen=True, slots=True)
class Ended:
    """A sample's outcome, the milliseconds that the last try took, and what the model says it took, where it does."""

    outcome: SampleOutcome
    milliseconds: float = 0.0
    spent: Spent | None = None


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


class Asker:
    """Asks by the rules of `failures`, within a run's pace."""

    def __init__(
        self,
        pipeline: Pipeline,
        model: str,
        window: Window,
        pace: Pace,
        *,
        note: Callable[[Attempt], Awaitable[None]],
        spend: Callable[[Spent], Awaitable[None]],
        trouble: Callable[[str], None],
    ) -> None:
        self._pipeline = pipeline
        self._model = model
        self._window = window
        self._pace = pace
        self._note = note
        self._spend = spend
        self._trouble = trouble
        self._troubled = False
        self._last_answer = monotonic()
        self.gave_up = False
        """Whether patience has ended; nothing more is worth asking."""
        self.left = ""
        """Why the first of the samples without an outcome has none; empty while there is none."""
        self.is_other_model = False
        """Whether the server refuses to answer for the model that the run began with."""

    async def ask(self, task: str, sample: str, request: Request) -> Ended | None:
        """How the sample ended; None where the infrastructure kept it from ending.

        ConfigurationError where going on makes no sense for any sample.
        """
        noted: set[str] = set()
        for tries in count(1):
            try:
                # Calls that are under way when a model's process dies fail with it: only alone one shows its guilt.
                alone = AdapterCrashedError.reason in noted
                return await self._try(task, sample, request, alone=alone)
            except EchelonError as error:
                found = rule(error)
                if (spent := _spent(task, sample, error.usage)) is not None:
                    await self._spend(spent)
                await self._note_once(noted, Attempt(task, sample, error.reason, str(error), _now()))
                if found.then is Then.STOP:
                    raise ConfigurationError(f"task {task}, sample {sample}: {error}") from error
                if not self._is_worth_another(found, tries):
                    return self._end(task, sample, error, found)
                await self._wait(tries, error)
        raise AssertionError("count() does not end")

    async def _try(self, task: str, sample: str, request: Request, *, alone: bool) -> Ended:
        async with self._window.turn(alone=alone) as since:
            started = monotonic()
            try:
                returned = await self._pipeline.ask(self._model, request, timeout_s=self._pace.timeout_s)
            except (ServerBusyError, BudgetExceededError):
                self._window.shrink(since)
                raise
            took_s = monotonic() - started
        # Calls that queue must not come near the time-out.
        if took_s > self._pace.timeout_s / 2:
            self._window.shrink(since)
        else:
            self._window.grow()
        self._heard()
        return Ended(_outcome(task, sample, returned), took_s * 1000, _spent(task, sample, returned.usage))

    async def _note_once(self, noted: set[str], attempt: Attempt) -> None:
        # A busy server is no failure of anything.
        if attempt.reason not in noted and attempt.reason != ServerBusyError.reason:
            noted.add(attempt.reason)
            await self._note(attempt)

    def _heard(self) -> None:
        self._last_answer = monotonic()
        if self._troubled:
            self._troubled = False
            self._trouble("")

    def _is_worth_another(self, found: Rule, tries: int) -> bool:
        if self.gave_up:
            return False
        return self._has_patience() if found.patient else tries <= found.retries

    def _has_patience(self) -> bool:
        return monotonic() - self._last_answer < self._pace.patience_s

    def _end(self, task: str, sample: str, error: EchelonError, found: Rule) -> Ended | None:
        if found.then is Then.COUNT:
            self._heard()
            return Ended(SampleOutcome(task, sample, found.state, (), error.reason, str(error)))
        if found.then is Then.END:
            self.gave_up = self.is_other_model = True
        self.left = self.left or str(error)
        self.gave_up = self.gave_up or not self._has_patience()
        return None

    async def _wait(self, tries: int, error: EchelonError) -> None:
        if not isinstance(error, ServerBusyError):
            self._troubled = True
            self._trouble(str(error))
        backoff = self._pace.backoff
        delay_s = backoff.delay_s(min(tries, _BACKOFF_DOUBLES), error) or backoff.first_delay_s
        await asyncio.sleep(min(delay_s, _LONGEST_WAIT_S))


def _outcome(task: str, sample: str, returned: Outcome) -> SampleOutcome:
    if isinstance(returned, Answer):
        return SampleOutcome(task, sample, State.ANSWERED, returned.parts)
    return SampleOutcome(task, sample, State.REFUSED, (), "REFUSED", returned.text or returned.category)


def _spent(task: str, sample: str, usage: Usage | None) -> Spent | None:
    """What a call took; None where nobody says, which is not the same as nothing."""
    return None if usage is None or usage == NO_USAGE else Spent(task, sample, usage)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
