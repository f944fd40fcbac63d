"""How an AsyncAdapter's methods are called in its process: on an event loop, as many at once as there are calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from echelon.adapters.adapter import AsyncAdapter
from echelon.adapters.calls import Request
from echelon.adapters.worker.frames import WINDOW
from echelon.adapters.worker.replies import Replies

Method = Callable[[int, Any], Coroutine[Any, Any, None]]


class Tasks:
    """Takes calls from the thread that reads, and makes them on the loop of the one that called `work`."""

    def __init__(self, adapter: AsyncAdapter[Any], replies: Replies) -> None:
        self._adapter = adapter
        self._replies = replies
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._requests: dict[int, Request] = {}
        self._windows: dict[int, asyncio.Semaphore] = {}

    def work(self) -> None:
        """Make calls until `end`."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_ended())

    async def _until_ended(self) -> None:
        await self._ended.wait()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def end(self) -> None:
        """Let the calls that came before finish, and no more."""
        self._loop.call_soon_threadsafe(self._ended.set)

    def begin(self, call: int, word: str, value: Any) -> None:
        """Make the call at once."""
        self._loop.call_soon_threadsafe(self._begin, call, word, value)

    def cancel(self, call: int, which: list[int]) -> None:
        """Tell the adapter that nobody waits any more for this call."""
        self._loop.call_soon_threadsafe(self._cancel, call)

    def more(self, call: int) -> None:
        """The server has room for another piece of a stream."""
        self._loop.call_soon_threadsafe(self._more, call)

    def _begin(self, call: int, word: str, value: Any) -> None:
        if word != "ready":
            self._requests[call] = value
        methods: dict[str, Method] = {"ask": self._ask, "stream": self._stream, "ready": self._ready}
        making = methods[word](call, value)
        self._tasks[call] = self._loop.create_task(self._until_told(call, making))

    def _cancel(self, call: int) -> None:
        if task := self._tasks.get(call):
            if request := self._requests.get(call):
                request.cancellation.cancelled = True
            # Not at once: a task that has not begun yet would end without a word to the server.
            self._loop.call_soon(task.cancel)

    def _more(self, call: int) -> None:
        if window := self._windows.get(call):
            window.release()

    async def _until_told(self, call: int, making: Coroutine[Any, Any, None]) -> None:
        try:
            await making
        # Vendor code: the server tells of it. Out of here it would end the loop, or be lost.
        except BaseException as error:  # noqa: BLE001  (see above)
            self._replies.failed(call, error)
        finally:
            del self._tasks[call]
            self._requests.pop(call, None)
            self._windows.pop(call, None)

    async def _ready(self, call: int, nothing: None) -> None:
        self._replies.done(call, bool(await self._adapter.ready()))

    async def _ask(self, call: int, request: Request) -> None:
        self._replies.done(call, await getattr(self._adapter, request.call)(request))

    async def _stream(self, call: int, request: Request) -> None:
        window = self._windows[call] = asyncio.Semaphore(WINDOW)
        pieces = getattr(self._adapter, f"stream_{request.call}")(request)
        if pieces is not None:
            try:
                async for piece in pieces:
                    await window.acquire()
                    self._replies.piece(call, piece)
            finally:
                if isinstance(pieces, AsyncGenerator):
                    await pieces.aclose()
        self._replies.done(call, pieces is not None)
