"""Probes: a few samples asked when a run begins and again when it ends, to measure determinism and to see drift."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import islice, zip_longest

from echelon.adapters import EchelonError, Outcome, Request, Usage
from echelon.adapters.calls import NO_USAGE
from echelon.clients import Pipeline
from echelon.scorer.asking import Pace
from echelon.scorer.failures import Then, rule
from echelon.scorer.identity import request_id
from echelon.scorer.journal import Journal
from echelon.scorer.stability import Phase, Probe
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Suite, Task
from echelon.scorer.usage import Spent
from echelon.wire.calls import outcome_to_proto

MOST = 3
"""Samples of a run that are probed, unless another number is asked for."""
SAMPLES_A_PROBE = 60
"""A run has one probe for so many samples at most: each costs three calls more."""


def choose(suite: Suite, tasks: Sequence[Task], seed: str, most: int) -> list[tuple[str, str]]:
    """Return the samples to probe, as ids of task and sample: drawn by `seed`, over tasks and calls as they differ."""
    sizes = {task.id: len(suite.sample_ids(task)) for task in tasks}
    number = min(most, sum(sizes.values()) // SAMPLES_A_PROBE)
    drawn = sorted((task for task in tasks if sizes[task.id]), key=lambda task: _draw(seed, task.id))
    places: dict[str, int] = {}
    ranked = []
    for task in drawn:
        places[task.call] = places.get(task.call, 0) + 1
        ranked.append((places[task.call], task))
    ordered = [task for _, task in sorted(ranked, key=lambda pair: pair[0])]
    drawn_samples = [_drawn(suite, task, seed, number) for task in ordered[:number]]
    # The first of every task goes before the second of any.
    by_rank = (each for rank in zip_longest(*drawn_samples) for each in rank if each is not None)
    return list(islice(by_rank, number))


def _drawn(suite: Suite, task: Task, seed: str, number: int) -> list[tuple[str, str]]:
    drawn = nsmallest(number, suite.sample_ids(task), key=lambda sample: _draw(seed, task.id, sample))
    return [(task.id, sample) for sample in drawn]


def _draw(seed: str, *words: str) -> str:
    return hashlib.sha256("\n".join((seed, *words)).encode()).hexdigest()


@dataclass(frozen=True)
class Prober:
    """Asks the probes of one run; a probe that the infrastructure keeps from an answer is left out."""

    suite: Suite
    pipeline: Pipeline
    journal: Journal
    model: str
    nonce: str
    seed: int
    expected_identity: str
    pace: Pace

    async def ask(self, samples: Iterable[tuple[str, str]], phases: Sequence[Phase]) -> None:
        """Ask each of `samples` (ids of task and sample) once for each phase, within the run's pace."""
        places = asyncio.Semaphore(self.pace.most_calls)

        async def ask(task: Task, sample: str, phase: Phase) -> Probe | None:
            async with places:
                return await self._ask(task, sample, phase)

        tasks = {task.id: task for task in self.suite.tasks}
        wanted = [(tasks[task], sample, phase) for task, sample in samples for phase in phases]
        answered = await asyncio.gather(*(ask(*each) for each in wanted))
        if found := [probe for probe in answered if probe is not None]:
            await self.journal.put_probes(found)

    async def _ask(self, task: Task, sample: str, phase: Phase) -> Probe | None:
        others: AbstractSet[str] = set(self.suite.sample_ids(task)) - {sample}
        found = next(iter(self.suite.samples(task, skip=others)))
        request = replace(
            request_of(task, found, self.seed),
            id=request_id(self.nonce, "probe", phase, task.id, sample),
            expected_identity=self.expected_identity,
        )
        digest = await self._digest(task, sample, request)
        return None if digest is None else Probe(task.id, sample, phase, digest)

    async def _digest(self, task: Task, sample: str, request: Request) -> str | None:
        try:
            outcome = await self.pipeline.ask(self.model, request, timeout_s=self.pace.timeout_s)
        except EchelonError as error:
            await self._spend(task, sample, error.usage)
            return error.reason if rule(error).then is Then.COUNT else None
        await self._spend(task, sample, outcome.usage)
        return digest_of(outcome)

    async def _spend(self, task: Task, sample: str, usage: Usage | None) -> None:
        if usage is not None and usage != NO_USAGE:
            await self.journal.spend(Spent(task.id, sample, usage))


def digest_of(outcome: Outcome) -> str:
    """Return the digest of an outcome's bytes, without what it took."""
    message = outcome_to_proto(replace(outcome, usage=NO_USAGE))
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
