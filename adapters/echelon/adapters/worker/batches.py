"""How a BatchAdapter's methods are called in its process: by one thread, in the order the calls came."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.calls import Request
from echelon.adapters.hosting import run
from echelon.adapters.worker.frames import WINDOW
from echelon.adapters.worker.replies import Replies


class Batches:
    """Takes calls from the thread that reads, and makes them in the one that called `work`."""

    def __init__(self, adapter: BatchAdapter[Any], replies: Replies) -> None:
        self._adapter = adapter
        self._replies = replies
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._requests: dict[int, list[Request]] = {}
        self._windows: dict[int, threading.Semaphore] = {}

    def work(self) -> None:
        """Make calls until `end`."""
        while (job := self._jobs.get()) is not None:
            job()

    def end(self) -> None:
        """Let the calls that came before finish, and no more."""
        self._jobs.put(None)

    def begin(self, call: int, word: str, value: Any) -> None:
        """Make the call when its turn has come."""
        if word == "run":
            self._requests[call] = value
            self._jobs.put(lambda: self._run(call, value))
        else:
            self._requests[call], self._windows[call] = [value], threading.Semaphore(WINDOW)
            self._jobs.put(lambda: self._stream(call, value))

    def cancel(self, call: int, which: list[int]) -> None:
        """Tell the adapter that nobody waits any more for these requests of a call."""
        requests = self._requests.get(call, [])
        for index in which:
            if index < len(requests):
                requests[index].cancellation.cancelled = True
        self.more(call)

    def more(self, call: int) -> None:
        """The server has room for another piece of a stream."""
        if window := self._windows.get(call):
            window.release()

    def _run(self, call: int, requests: list[Request]) -> None:
        try:
            returned = run(self._adapter, requests)
        except BaseException as error:  # noqa: BLE001  (vendor code; the server tells of it)
            self._replies.failed(call, error)
        else:
            self._replies.items(call, returned)
        finally:
            del self._requests[call]

    def _stream(self, call: int, request: Request) -> None:
        try:
            pieces = getattr(self._adapter, f"stream_{request.call}")(request)
            if pieces is not None:
                self._send(call, pieces, request)
            self._replies.done(call, pieces is not None)
        except BaseException as error:  # noqa: BLE001  (vendor code; the server tells of it)
            self._replies.failed(call, error)
        finally:
            del self._requests[call], self._windows[call]

    def _send(self, call: int, pieces: Any, request: Request) -> None:
        try:
            for piece in pieces:
                self._windows[call].acquire()
                if request.cancellation:
                    return
                self._replies.piece(call, piece)
        finally:
            if isinstance(pieces, Generator):
                pieces.close()
