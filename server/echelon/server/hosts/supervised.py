"""An adapter in a process of its own, which is started again when it ends."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

import structlog

from echelon.adapters import Outcome, Request, Returned
from echelon.adapters.errors import AdapterCrashedError, AdapterLoadError, BudgetExceededError, ModelNotReadyError
from echelon.adapters.hosting import Opened, counted
from echelon.server.hosts.host import Isolation, OnReady
from echelon.server.hosts.process import CompanyCrashedError, GoneError, Process, Start
from echelon.server.hosts.replies import BlockingStream, Reply, Said, Stream, Whole
from echelon.server.hosts.turns import Turns
from echelon.server.threads import in_thread

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
_LOOK_S = 0.05
"""How often a thread that waits for a batch looks for calls that nobody waits for any more."""
_WATCH_S = 0.5
_TELLS_WITHIN_S = 10.0
_CLOSES_WITHIN_S = 5.0


class Supervised:
    """Keeps one process alive; calls that came while it is away wait for the next one, up to their deadlines."""

    isolation = Isolation.SUBPROCESS

    def __init__(self, name: str, start: Callable[[], Start], *, load_s: float, release: Callable[[], None]) -> None:
        """`start` makes what each process is started with, may block, and raise; `release` gives back what it took."""
        self._name = name
        self._start = start
        self._load_s = load_s
        self._release = release
        self._log: Any = structlog.get_logger("echelon.server").bind(model=name)
        self._turns = Turns()
        self._closing = threading.Event()
        self._opened: Future[Opened] = _promise()
        self._process: Future[Process] = _promise()
        """The process that is open, or the next one."""
        self._current: Process | None = None
        self._sender = ThreadPoolExecutor(1, f"to {name}")
        self._on_ready: OnReady = lambda ready, card=None, identity=None: None
        self._thread: threading.Thread | None = None

    async def open(self, on_ready: OnReady) -> Opened:
        """Start the first process; raises what its adapter raised."""
        self._loop = asyncio.get_running_loop()
        self._on_ready = on_ready
        self._thread = threading.Thread(target=self._supervise, name=f"process of {self._name}", daemon=True)
        self._thread.start()
        self._watch()
        opened: Opened = await _outcome_of(self._opened)
        return opened

    def wait(self, timeout_s: float) -> bool:
        """Whether there is a process, at the latest after `timeout_s`."""
        return bool(wait([self._process], timeout_s).done)

    def run(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """What the adapter makes of a batch; BudgetExceededError where nobody waits for it any more."""
        if all(request.cancellation or self._deadline(request) < monotonic() for request in requests):
            # A batch that killed a process, by taking too long perhaps, is asked again.
            raise BudgetExceededError("nobody waits for the call any more")
        reply = Whole(len(requests))
        process, call = self._begin_here("run", list(requests), reply, max(map(self._deadline, requests)))
        return counted(_patiently(reply.future.result, process, call, requests), requests)

    def play(self, request: Request) -> Iterator[Any] | None:
        """The pieces that the adapter makes, one request at a time; None where it makes none."""
        reply = BlockingStream()
        process, call = self._begin_here("stream", request, reply, self._deadline(request))
        said = _patiently(reply.next, process, call, [request])
        return None if said == ("done", False) else self._play(process, call, reply, request, said)

    def _play(self, process: Process, call: int, reply: BlockingStream, request: Request, said: Said) -> Iterator[Any]:
        word, value = said
        try:
            while word == "piece":
                yield value
                process.tell(call, "more")
                word, value = _patiently(reply.next, process, call, [request])
        except GeneratorExit:
            process.tell(call, "cancel", [0])
            raise

    def _begin_here(self, word: str, value: Any, reply: Reply, deadline: float) -> tuple[Process, int]:
        while True:
            try:
                process = self._process.result(max(0.0, deadline - monotonic()))
            except TimeoutError:
                raise self._away() from None
            with suppress(GoneError):
                return process, process.begin(word, value, reply, deadline=deadline)

    async def ask(self, request: Request) -> Outcome:
        """What the adapter makes of one request; asked again alone where the process died under several."""
        try:
            async with self._turns.together():
                return await self._ask(request)
        except CompanyCrashedError:
            async with self._turns.alone():
                return await self._ask(request)

    async def _ask(self, request: Request) -> Outcome:
        reply = Whole()
        process, call = await self._begin("ask", request, reply, self._deadline(request))
        try:
            outcome: Outcome = await _outcome_of(reply.future)
        except asyncio.CancelledError:
            self._tell_later(process, call, "cancel", [0])
            raise
        return outcome

    async def ready(self) -> bool:
        """What the adapter says; one that never says it is as stuck as one that never answers."""
        reply = Whole()
        await self._begin("ready", None, reply, monotonic() + _TELLS_WITHIN_S)
        return bool(await _outcome_of(reply.future))

    async def stream(self, request: Request) -> AsyncGenerator[Any] | None:
        """The pieces that the adapter makes beside other calls; None where it makes none."""
        reply = Stream()
        process, call = await self._begin("stream", request, reply, self._deadline(request))
        try:
            said = await reply.next()
        except asyncio.CancelledError:
            self._tell_later(process, call, "cancel", [0])
            raise
        return None if said == ("done", False) else self._pieces(process, call, reply, said)

    async def _pieces(self, process: Process, call: int, reply: Stream, said: Said) -> AsyncGenerator[Any]:
        word, value = said
        try:
            while word == "piece":
                yield value
                self._tell_later(process, call, "more")
                word, value = await reply.next()
        except (asyncio.CancelledError, GeneratorExit):
            self._tell_later(process, call, "cancel", [0])
            raise

    async def _begin(self, word: str, value: Any, reply: Reply, deadline: float) -> tuple[Process, int]:
        while True:
            try:
                async with asyncio.timeout(max(0.0, deadline - monotonic())):
                    process: Process = await _outcome_of(self._process)
            except TimeoutError:
                raise self._away() from None
            # Writing waits where the process is slow to read.
            begun = self._sender.submit(process.begin, word, value, reply, deadline=deadline)
            try:
                with suppress(GoneError):
                    return process, await _outcome_of(begun)
            except asyncio.CancelledError:
                # What is half written goes out all the same, and then nobody waits for it.
                with suppress(RuntimeError):
                    self._sender.submit(_withdraw, process, begun)
                raise

    def _tell_later(self, process: Process, call: int, word: str, value: Any = None) -> None:
        # Once the server stops there is nobody left to tell.
        with suppress(RuntimeError):
            self._sender.submit(process.tell, call, word, value)

    def _deadline(self, request: Request) -> float:
        return monotonic() + self._load_s if request.deadline is None else request.deadline

    def _away(self) -> ModelNotReadyError:
        return ModelNotReadyError(f"the process of model {self._name!r} is being started again", retry_after_s=1.0)

    def _supervise(self) -> None:
        """One process after another, until closed or the first one does not open."""
        failures = 0
        while not self._closing.is_set():
            lived = self._live(first=not self._opened.done())
            if lived is None:
                return
            failures = 1 if lived else failures + 1
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (failures - 1)) * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)
            self._closing.wait(pause_s)

    def _live(self, *, first: bool) -> bool | None:
        """One process from start to end; whether it did any work, None where there is no use in another."""
        process: Process | None = None
        try:
            process = self._current = Process(self._start(), self._log)
            if self._closing.is_set():
                process.kill("was not needed any more")
            opened = process.open()
            if not first:
                for probe in opened.probes:
                    process.converse("run", [probe])
        # A vendor's code and files are behind this.
        except BaseException as error:  # noqa: BLE001  (see above)
            if process is not None:
                process.end()
            if first:
                self._opened.set_exception(error)
                return None
            self._log.error("process did not start again", error=str(error))
            return False
        self._serve(process, opened, first=first)
        return process.has_answered

    def _serve(self, process: Process, opened: Opened, *, first: bool) -> None:
        if first:
            self._opened.set_result(opened)
        self._process.set_result(process)
        self._log.info("process started", pid=process.pid, again=not first)
        if not first:
            # Before `read`, so that nobody gets an answer of this process without knowing whose it is.
            self._tell(self._back, process, opened)
        error = process.read()
        # First, so that who is asked again waits for the next process.
        self._process = _promise()
        self._tell(self._on_ready, False)
        said = process.end(error)
        if not self._closing.is_set():
            self._log.error("process ended", pid=process.pid, how=said)

    def _tell(self, tell: Callable[..., None], *arguments: Any) -> None:
        # The loop is gone only when the server ends.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell, *arguments)

    def _back(self, process: Process, opened: Opened) -> None:
        try:
            self._on_ready(True, opened.card, opened.identity)
        except AdapterLoadError as error:
            process.kill(f"came back with what cannot be served: {error}")

    def _watch(self) -> None:
        """Kill a process that is stuck; in the event loop, which never is."""
        if self._closing.is_set():
            return
        process = self._current
        if process is not None and (fault := process.fault()):
            process.kill(fault)
        self._loop.call_later(_WATCH_S, self._watch)

    async def close(self) -> None:
        """Let the adapter close, and end its process whether it does or not."""
        if self._thread is not None and not self._closing.is_set():
            self._closing.set()
            await in_thread(self._close, f"closes {self._name}")

    def _close(self) -> None:
        assert self._thread is not None
        try:
            if self._process.done():
                reply = Whole()
                self._process.result().begin("close", None, reply, deadline=monotonic() + _CLOSES_WITHIN_S)
                reply.future.result(_CLOSES_WITHIN_S)
        except (GoneError, AdapterCrashedError):
            # It is closed all the same.
            return
        finally:
            if self._current is not None:
                self._current.kill("was not needed any more")
            self._thread.join(_CLOSES_WITHIN_S)
            self._sender.shutdown(wait=False)
            self._release()
            if not self._process.done():
                self._process.set_exception(self._away())


def _patiently(take: Callable[[float], T], process: Process, call: int, requests: Sequence[Request]) -> T:
    """What `take` gives, however long it takes; meanwhile the adapter is told of requests that nobody waits for."""
    told: set[int] = set()
    while True:
        try:
            return take(_LOOK_S)
        except TimeoutError:
            given_up = {index for index, request in enumerate(requests) if request.cancellation} - told
            if given_up:
                process.tell(call, "cancel", sorted(given_up))
                told |= given_up


def _withdraw(process: Process, begun: Future[int]) -> None:
    """Tell the adapter that nobody waits for the call, if it was made."""
    with suppress(GoneError, CancelledError):
        process.tell(begun.result(), "cancel", [0])


def _promise() -> Future[Any]:
    promise: Future[Any] = Future()
    # So that a task that is cancelled while it waits cannot cancel it.
    promise.set_running_or_notify_cancel()
    return promise


async def _outcome_of(future: Future[Any]) -> Any:
    return await asyncio.wrap_future(future)
