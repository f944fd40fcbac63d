"""Asks a model every sample that has no outcome yet, and journals what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from typing import Protocol

from echelon.adapters import Part, Request
from echelon.clients import Pipeline
from echelon.scorer.asking import Asker, Pace
from echelon.scorer.concurrency import Window
from echelon.scorer.identity import request_id
from echelon.scorer.journal import Journal
from echelon.scorer.outcomes import State
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Suite, Task


class Watcher(Protocol):
    """Is told how a run goes."""

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """Each task with the number of its samples and of those that are done already."""

    def ended(self, task: Task, state: State) -> None:
        """A sample has its outcome."""

    def trouble(self, text: str) -> None:
        """Something is being waited for; empty when it is over."""

    def notice(self, text: str) -> None:
        """Something that the person who began the run has to know."""


@dataclass(frozen=True, slots=True)
class Left:
    """Why samples stayed unanswered, empty where none did; `is_other_model` where the model was exchanged meanwhile."""

    reason: str = ""
    is_other_model: bool = False


class Runner:
    """One pass over a run's samples."""

    def __init__(
        self,
        suite: Suite,
        pipeline: Pipeline,
        journal: Journal,
        watcher: Watcher,
        *,
        nonce: str,
        expected_identity: str,
        model: str,
        seed: int,
        pace: Pace,
    ) -> None:
        self._suite = suite
        self._journal = journal
        self._watcher = watcher
        self._nonce = nonce
        self._expected_identity = expected_identity
        self._seed = seed
        self._window = Window(pace.most_calls, pace.most_bytes)
        self._asker = Asker(
            pipeline, model, self._window, pace, note=journal.note, spend=journal.spend, trouble=watcher.trouble
        )

    async def run(self, tasks: Iterable[Task], done: Callable[[Task], AbstractSet[str]]) -> Left:
        """Ask all samples of `tasks` but those that are `done`; return why some stay unanswered.

        Raises an EchelonError where going on makes no sense; whatever was answered is journalled in any case.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    await self._ask_task(group, task, done(task))
        except ExceptionGroup as errors:
            # One tells enough; the others met the same.
            raise errors.exceptions[0] from None
        return Left(self._asker.left, self._asker.is_other_model)

    async def _ask_task(self, group: asyncio.TaskGroup, task: Task, done: AbstractSet[str]) -> None:
        if self._asker.gave_up:
            return
        for sample in self._suite.samples(task, skip=done):
            # Another run never has this id, and another model never answers under it.
            request = replace(
                request_of(task, sample, self._seed),
                id=request_id(self._nonce, task.id, sample.id),
                expected_identity=self._expected_identity,
            )
            size_bytes = sum(map(_size_bytes, request.parts))
            await self._window.enter(size_bytes)
            if self._asker.gave_up:
                return
            group.create_task(self._ask_sample(task, sample.id, request, size_bytes))

    async def _ask_sample(self, task: Task, sample: str, request: Request, size_bytes: int) -> None:
        try:
            ended = await self._asker.ask(task.id, sample, request)
            if ended is not None:
                await self._journal.put(ended.outcome, ended.milliseconds, ended.spent)
                self._watcher.ended(task, ended.outcome.state)
        finally:
            self._window.leave(size_bytes)


def _size_bytes(part: Part) -> int:
    values = [getattr(part, field.name) for field in fields(part)]
    values += [frame.image.data for frame in getattr(part, "frames", ())]
    return 64 + sum(len(value) for value in values if isinstance(value, bytes | str))
