"""Batches calls of one model: a free worker takes what waits, at once, and dead calls are never run."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from echelon.adapters import Request, Returned
from echelon.adapters.errors import BackendError, BudgetExceededError, OutOfMemoryError, ServerBusyError
from echelon.server.hosts.host import Host

Run = Callable[[Host, Sequence[Request]], Sequence[Returned]]
"""Runs one batch of requests with one signature on a host; blocks, and may raise anything."""
RunOn = Callable[[Sequence[Request]], Sequence[Returned]]
"""The same on a host that is chosen."""
_LOOK_S = 0.2
"""How often a worker whose host is away looks whether there is anything to wait for."""


class Done(NamedTuple):
    """What became of a call, and how long it waited and ran, in microseconds."""

    returned: Returned | BaseException
    queue_us: int
    compute_us: int


class _Waiting:
    __slots__ = ("arrived", "future", "request", "run")

    def __init__(self, request: Request, run: Run, future: asyncio.Future[Done]) -> None:
        self.request = request
        self.run = run
        self.future = future
        self.arrived = monotonic()


class Batcher:
    """A queue, and a worker thread for each host.

    Calls with equal signatures share a batch. Work-conserving: no timer unless `max_delay_s` asks for one. A batch that
    does not fit into memory is tried once more in halves, and no later one is larger than those.
    """

    def __init__(
        self,
        name: str,
        hosts: Sequence[Host],
        *,
        max_size: int,
        max_delay_s: float,
        queue_size: int,
        on_shrink: Callable[[int], None],
    ) -> None:
        """`on_shrink` gets the new largest size, on the loop, whenever memory did not suffice for a batch."""
        self._on_shrink = on_shrink
        self._max_size = max_size
        self._max_delay_s = max_delay_s
        self._queue_size = queue_size
        self._queues: OrderedDict[Any, deque[_Waiting]] = OrderedDict()
        self._count = 0
        self._changed = threading.Condition(threading.Lock())
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._work, args=(host,), name=f"model {name}", daemon=True) for host in hosts
        ]
        for thread in self._threads:
            thread.start()

    async def submit(self, request: Request, alone: Run | None = None) -> Done:
        """Wait for the request's end; ServerBusyError where the queue is full. `alone` runs it in no batch, by itself.

        A caller that is cancelled takes its call out of the queue, or tells the adapter through its cancellation.
        """
        if self._count >= self._queue_size:
            raise ServerBusyError(f"{self._count} calls wait for this model already", retry_after_s=0.1)
        waiting = _Waiting(request, alone or _together, self._loop.create_future())
        key = _signature(request) if alone is None else waiting
        with self._changed:
            self._queues.setdefault(key, deque()).append(waiting)
            self._count += 1
            if self._count == 1 or self._max_delay_s or len(self._threads) > 1:
                self._changed.notify_all()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            request.cancellation.cancelled = True
            self._forget(key, waiting)
            raise

    def _forget(self, key: Any, waiting: _Waiting) -> None:
        # One that is no longer there is running already.
        with self._changed, suppress(KeyError, ValueError):
            queue = self._queues[key]
            queue.remove(waiting)
            self._count -= 1
            if not queue:
                del self._queues[key]

    def close(self) -> None:
        """Let what waits finish, then end the worker."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, host: Host) -> None:
        while self._awaits(host) and (batch := self._take()):
            self._run_batch(host, batch)

    def _awaits(self, host: Host) -> bool:
        """Wait for `host`, so that no call waits for it while another host is free; False once closed and empty."""
        while not host.wait(_LOOK_S):
            if self._closed and not self._count:
                return False
        return True

    def _take(self) -> list[_Waiting]:
        """The live calls at the head of the longest-waiting queue, at most a batch; none once closed and empty."""
        with self._changed:
            while True:
                while not self._count and not self._closed:
                    self._changed.wait()
                if not self._count:
                    return []
                self._linger()
                if not self._count:
                    # Everyone gave up meanwhile.
                    continue
                key, queue = next(iter(self._queues.items()))
                batch = [queue.popleft() for _ in range(min(len(queue), self._max_size))]
                self._count -= len(batch)
                del self._queues[key]
                if queue:
                    # To the back: every signature gets its turn.
                    self._queues[key] = queue
                live = [waiting for waiting in batch if self._is_live(waiting)]
                if live:
                    return live

    def _linger(self) -> None:
        if not self._max_delay_s:
            return
        until = next(iter(self._queues.values()))[0].arrived + self._max_delay_s
        while 0 < self._count < self._max_size and not self._closed and monotonic() < until:
            self._changed.wait(until - monotonic())

    def _is_live(self, waiting: _Waiting) -> bool:
        request = waiting.request
        if request.cancellation.cancelled:
            return False
        if request.deadline is not None and monotonic() > request.deadline:
            late = BudgetExceededError("the call's deadline passed while it waited for the model")
            self._deliver([(waiting, Done(late, int((monotonic() - waiting.arrived) * 1e6), 0))])
            return False
        return True

    def _run_batch(self, host: Host, batch: list[_Waiting]) -> None:
        started = monotonic()
        returned = self._try(partial(batch[0].run, host), [waiting.request for waiting in batch])
        compute_us = int((monotonic() - started) * 1e6)
        self._deliver(
            [
                (waiting, Done(item, int((started - waiting.arrived) * 1e6), compute_us))
                for waiting, item in zip(batch, returned, strict=True)
            ]
        )

    def _try(self, run: RunOn, requests: list[Request], *, halves: bool = True) -> Sequence[Returned | BaseException]:
        try:
            return run(requests)
        except OutOfMemoryError as error:
            if len(requests) == 1:
                return [error]
            half = self._shrink(len(requests))
            if halves:
                first, second = (self._try(run, part, halves=False) for part in (requests[:half], requests[half:]))
                return [*first, *second]
            full = f"the model ran out of memory with {len(requests)} calls at once, after half of a batch was tried"
            return [BackendError(full, retry_after_s=0.1)] * len(requests)
        # Vendor code runs here: whatever it raises ends its own call and nothing else.
        except BaseException as error:  # noqa: BLE001  (see above)
            if len(requests) == 1:
                return [error]
        # Who shared a batch must not matter, so each is asked alone: only the guilty fail.
        return [self._try(run, [request])[0] for request in requests]

    def _shrink(self, failed: int) -> int:
        """Half of the size that was too much, and from now on the largest."""
        half = (failed + 1) // 2
        if half < self._max_size:
            self._max_size = half
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_shrink, half)
        return half

    def _deliver(self, ended: list[tuple[_Waiting, Done]]) -> None:
        # One hop to the loop for the whole batch; the loop is gone only when the process ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_resolve, ended)


def _together(host: Host, requests: Sequence[Request]) -> Sequence[Returned]:
    return host.run(requests)


def _resolve(ended: list[tuple[_Waiting, Done]]) -> None:
    for waiting, done in ended:
        if not waiting.future.done():
            waiting.future.set_result(done)


def _signature(request: Request) -> Any:
    return (
        request.call,
        request.output_kinds,
        tuple([(part.kind, part.name, getattr(part, "shape", None)) for part in request.parts]),
    )
