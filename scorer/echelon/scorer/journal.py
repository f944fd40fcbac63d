"""Group commit: outcomes are durable when `put` returns, and share a commit with whatever came meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from echelon.scorer.outcomes import SampleOutcome
from echelon.scorer.stability import Probe
from echelon.scorer.store import Attempt, Rows, Store
from echelon.scorer.usage import Spent

INTERVAL_S = 0.02
"""Between commits: an answer waits at most this long, and a disk syncs at most so often."""


class Journal:
    """Writes one run's rows from one thread."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._rows = Rows()
        self._committed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "journal")

    async def put(self, outcome: SampleOutcome, milliseconds: float, spent: Spent | None = None) -> None:
        """Return when the outcome, and what it took, is on disk; StoreError where it cannot be."""
        self._rows.outcomes.append((outcome, milliseconds))
        if spent is not None:
            self._rows.spent.append(spent)
        await asyncio.shield(self._next_commit())

    async def note(self, attempt: Attempt) -> None:
        """Keep a failed try with the next commit."""
        self._rows.attempts.append(attempt)
        self._next_commit()

    async def spend(self, spent: Spent) -> None:
        """Keep what a failed try took with the next commit."""
        self._rows.spent.append(spent)
        self._next_commit()

    async def put_probes(self, probes: Iterable[Probe]) -> None:
        """Return when the probes are on disk; StoreError where they cannot be."""
        self._rows.probes.extend(probes)
        await asyncio.shield(self._next_commit())

    async def close(self) -> None:
        """Commit what is left."""
        try:
            if self._task is not None:
                await self._task
            await self._commit()
        finally:
            self._thread.shutdown()

    def _next_commit(self) -> asyncio.Future[None]:
        if self._committed is None:
            self._committed = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit_all())
        return self._committed

    async def _commit_all(self) -> None:
        while self._committed is not None:
            await asyncio.sleep(INTERVAL_S)
            committed, self._committed = self._committed, None
            try:
                await self._commit()
            except Exception as error:  # noqa: BLE001  (whoever waits for this commit gets it)
                committed.set_exception(error)
                # Notes have nobody who waits.
                committed.exception()
            else:
                committed.set_result(None)

    async def _commit(self) -> None:
        rows, self._rows = self._rows, Rows()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.commit, self._run, rows)
