"""Ends tasks at their deadlines, with one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Any, TypeVar

from echelon.adapters.errors import BudgetExceededError

T = TypeVar("T")

PRECISION_S = 0.05
"""How late a task may be ended; a timer for each call would cost more than the call's own bookkeeping."""


class Deadlines:
    """Watches the tasks that wait within `keep`."""

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def keep(self, deadline: float, work: Awaitable[T]) -> T:
        """What `work` gives, or BudgetExceededError once `deadline` (of `time.monotonic()`) has passed."""
        task = asyncio.current_task()
        assert task is not None
        self._due[task] = deadline
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PRECISION_S, self._sweep)
        try:
            return await work
        except asyncio.CancelledError:
            # Cancelled by somebody else too, it is theirs.
            if task not in self._late or task.uncancel() > 0:
                raise
            raise BudgetExceededError("no answer within the call's budget") from None
        finally:
            del self._due[task]
            self._late.discard(task)

    def _sweep(self) -> None:
        now = monotonic()
        for task, deadline in self._due.items():
            if deadline <= now and task not in self._late:
                self._late.add(task)
                task.cancel()
        again = asyncio.get_running_loop().call_later(PRECISION_S, self._sweep) if self._due else None
        self._timer = again
