"""A served model: a named, configured adapter with a state, a card and a way to be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from time import perf_counter
from typing import Any

import structlog

from echelon.adapters import Call, Card, EchelonError, Request, Returned, UnsupportedError, Usage
from echelon.adapters.errors import AdapterFailedError, AdapterLoadError, ModelNotReadyError
from echelon.adapters.hosting import Opened
from echelon.adapters.identity import Identity
from echelon.server.batcher import Batcher, Done
from echelon.server.config import ModelConfig
from echelon.server.hosts.host import Host, OnReady
from echelon.server.identities import ModelIdentity
from echelon.server.measure import best_batch_size, warm_up
from echelon.server.pieces import SCRIPTS, Pieces
from echelon.server.threads import in_thread
from echelon.wire.cards import card_to_proto
from echelon.wire.rules import check

OnState = Callable[[str, bool], Awaitable[None]]
"""Told a model's name, and whether it can answer."""

READY_S = 10.0
"""How long a model may take to tell whether it is ready."""
CLOSE_S = 10.0
"""How long a model may take to let its calls finish, and then to close."""


class ModelState(StrEnum):
    """Whether a model can answer."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"


class ServedModel:
    """Opens an adapter in its hosts, asks whichever is free, and closes it."""

    def __init__(self, config: ModelConfig, hosts: Sequence[Host]) -> None:
        self.name = config.name
        self.state = ModelState.LOADING
        self.card = Card(version="", calls=(), name=config.name)
        self.identity = ModelIdentity(config.name, config.adapter)
        self.isolation = hosts[0].isolation
        self._config = config
        self._hosts = hosts
        self._away: set[int] = set()
        self._asked = [0] * len(hosts)
        self._on_state: OnState | None = None
        self._telling: set[asyncio.Future[None]] = set()
        self._streams: tuple[Call, ...] = ()
        self._batcher: Batcher | None = None
        self._log: Any = structlog.get_logger("echelon.server").bind(model=config.name)

    async def load(self, on_state: OnState) -> None:
        """Open, warm up and measure; raises what went wrong, and the state says FAILED.

        `on_state` is told when the model, once ready, cannot answer for a while, and when it can again.
        """
        try:
            opened = await self._open()
            self.card = self._checked(opened.card)
            size = await in_thread(partial(self._warm_up, opened.probes), f"warms up {self.name}")
        except BaseException as error:
            self.state = ModelState.FAILED
            if not isinstance(error, asyncio.CancelledError):
                await self._close_hosts()
            raise
        self._streams = opened.streams
        if opened.batches:
            self.card = replace(self.card, max_batch_size=size)
            self._batcher = Batcher(
                self.name,
                self._hosts,
                max_size=size,
                max_delay_s=self._config.max_delay_ms / 1000,
                queue_size=self._config.queue_size,
                on_shrink=self._shrunk,
            )
        self._on_state = on_state
        if self.state is ModelState.LOADING and len(self._away) < len(self._hosts):
            self.state = ModelState.READY
        said = {"isolation": self.isolation, "max_batch_size": self.card.max_batch_size}
        self._log.info(f"model {self.state}", adapter=self._config.adapter, **said)

    def _shrunk(self, size: int) -> None:
        self.card = replace(self.card, max_batch_size=size)
        self._log.warning("out of memory: batches are smaller from now on", max_batch_size=size)

    async def _open(self) -> Opened:
        """Open every host; what the first one says is said of the model."""
        opening = [_opened(host, partial(self._on_ready, number)) for number, host in enumerate(self._hosts)]
        ended = await asyncio.gather(*opening)
        for number, opened in enumerate(ended):
            if isinstance(opened, BaseException):
                raise opened
            self.identity.put_first(number, opened.identity, opened.card)
        return ended[0]  # type: ignore[return-value]  # no exception, as just seen

    def _on_ready(self, number: int, ready: bool, card: Card | None = None, identity: Identity | None = None) -> None:
        if card is not None:
            checked = self._checked(card)
            # What batches pay was measured when the model loaded.
            self.card = checked if self._batcher is None else replace(checked, max_batch_size=self.card.max_batch_size)
        if identity is not None:
            self.identity.put(number, identity, self.card)
        (self._away.discard if ready else self._away.add)(number)
        ready = len(self._away) < len(self._hosts)
        before = ModelState.LOADING if ready else ModelState.READY
        if self.state is before and self._on_state is not None:
            self.state = ModelState.READY if ready else ModelState.LOADING
            telling = asyncio.ensure_future(self._on_state(self.name, ready))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    def _checked(self, card: Card) -> Card:
        card = replace(card, name=self.name)
        try:
            check(card_to_proto(card))
        # A card that cannot travel would break the list of all models.
        except (EchelonError, TypeError, ValueError, KeyError) as error:
            raise AdapterLoadError(f"the card of model {self.name!r} breaks the contract: {error}") from error
        return card

    def _warm_up(self, probes: Sequence[Request]) -> int:
        """Run the probe of each call; the batch size to use."""
        for host in self._hosts:
            for probe in probes:
                warm_up(host.run, probe)
        if self._config.max_batch_size is not None:
            return self._config.max_batch_size
        return max((best_batch_size(self._hosts[0].run, probe) for probe in probes), default=1)

    async def answer(self, request: Request) -> Done:
        """What the adapter returned for `request`, unchecked.

        Raises an EchelonError that may be shown; an adapter's own exception becomes AdapterFailedError with the
        original as its cause.
        """
        self._check_support(request)
        return _checked(await self._ask(request))

    async def _ask(self, request: Request) -> Done:
        if self._batcher is not None:
            return await self._batcher.submit(request)
        started = perf_counter()
        try:
            with self._least_asked() as host:
                outcome = await host.ask(request)
        # Vendor code: `answer` decides what may be shown. It may cancel itself; that is not our caller's doing.
        except BaseException as error:
            if _is_callers(error):
                request.cancellation.cancelled = True
                raise
            return Done(error, 0, int((perf_counter() - started) * 1e6))
        return Done(outcome, 0, int((perf_counter() - started) * 1e6))

    async def stream(self, request: Request) -> AsyncGenerator[Any]:
        """The pieces as the adapter makes them, text or parts, and the Done last, all unchecked.

        The Done alone where the adapter does not stream. Raises as `answer` does.
        """
        if request.call not in self._streams:
            yield await self.answer(request)
            return
        self._check_support(request)
        pieces = self._stream_directly(request) if self._batcher is None else self._stream_alone(request, self._batcher)
        async with aclosing(pieces) as opened:
            async for piece in opened:
                yield piece

    async def _stream_alone(self, request: Request, batcher: Batcher) -> AsyncGenerator[Any]:
        pieces = Pieces(request)
        asking = asyncio.create_task(batcher.submit(request, partial(_play, pieces)))
        asking.add_done_callback(lambda _: pieces.end())
        try:
            async with aclosing(pieces.read()) as opened:
                async for piece in opened:
                    yield piece
            yield _checked(await asking)
        finally:
            asking.cancel()
            pieces.give_up()

    async def _stream_directly(self, request: Request) -> AsyncGenerator[Any]:
        started, script = perf_counter(), SCRIPTS[request.call]()
        try:
            with self._least_asked() as host:
                items = await host.stream(request)
                if items is not None:
                    async with aclosing(items) as opened:
                        async for item in opened:
                            if (piece := script.piece(item)) != "":
                                yield piece
        except BaseException as error:
            if _is_callers(error):
                request.cancellation.cancelled = True
                raise
            raise _shown(error) from None
        if items is None:
            yield await self.answer(request)
        else:
            yield Done(script.outcome(), 0, int((perf_counter() - started) * 1e6))

    @contextmanager
    def _least_asked(self) -> Iterator[Host]:
        """The host with the fewest calls, of those that are there."""
        number = min(range(len(self._hosts)), key=lambda number: (number in self._away, self._asked[number]))
        self._asked[number] += 1
        try:
            yield self._hosts[number]
        finally:
            self._asked[number] -= 1

    def _check_support(self, request: Request) -> None:
        if self.state is not ModelState.READY:
            raise ModelNotReadyError(f"model {self.name!r} is {self.state}", retry_after_s=1.0)
        support = self.card.support(request.call)
        if support is None:
            calls = ", ".join(support.call for support in self.card.calls) or "nothing"
            raise UnsupportedError(f"model {self.name!r} does not {_VERB[request.call]}; it supports {calls}")
        for part in request.parts:
            if part.kind not in support.input_kinds:
                raise UnsupportedError(f"model {self.name!r} takes no {part.kind} to {_VERB[request.call]}")
        if request.output_kinds and set(request.output_kinds).isdisjoint(support.output_kinds):
            wanted = " or ".join(request.output_kinds)
            raise UnsupportedError(f"model {self.name!r} gives no {wanted} when asked to {_VERB[request.call]}")

    async def ready(self) -> bool:
        """Whether the model can answer now: it is loaded, and what lies behind its adapter is there."""
        if self.state is not ModelState.READY:
            return False
        there = [host for number, host in enumerate(self._hosts) if number not in self._away]
        try:
            async with asyncio.timeout(READY_S):
                return self._batcher is not None or any([await host.ready() for host in there])
        except Exception as error:  # noqa: BLE001  (vendor code, and what fails to tell is not ready)
            self._log.warning("model does not tell whether it is ready", exc_info=error)
            return False

    def drain(self) -> None:
        """Take no new calls."""
        if self.state is not ModelState.FAILED:
            self.state = ModelState.DRAINING

    async def close(self) -> None:
        """Let waiting calls finish and close the adapter; what hangs or fails is logged and left."""
        self.drain()
        if self._batcher is not None:
            await self._in_time(in_thread(self._batcher.close, f"drains {self.name}"))
        await self._close_hosts()

    async def _close_hosts(self) -> None:
        await asyncio.gather(*(self._in_time(host.close()) for host in self._hosts))

    async def _in_time(self, closing: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await closing
        # The adapter's own, and the other models are still to be closed.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
                raise
            self._log.error("model did not close", exc_info=error)


async def _opened(host: Host, on_ready: OnReady) -> Opened | BaseException:
    """What came of it; a vendor's SystemExit, raised in a task, would end the loop."""
    try:
        return await host.open(on_ready)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001  (raised again where it is awaited)
        return error


def _shown(error: BaseException) -> EchelonError:
    if isinstance(error, EchelonError):
        return error
    failed = AdapterFailedError("the adapter failed")
    failed.__cause__ = error
    return failed


def _is_callers(error: BaseException) -> bool:
    """Whether what came out of a vendor's code is our caller's giving up; a vendor's may cancel itself."""
    task = asyncio.current_task()
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or (task is not None and task.cancelling() > 0)


def _checked(done: Done) -> Done:
    if isinstance(done.returned, BaseException):
        error = _shown(done.returned)
        if isinstance(error.usage, Usage):
            error.usage = replace(error.usage, queue_us=done.queue_us, compute_us=done.compute_us)
        raise error
    return done


def _play(pieces: Pieces, host: Host, requests: Sequence[Request]) -> Sequence[Returned]:
    items = host.play(requests[0])
    return host.run(requests) if items is None else [pieces.play(items)]


_VERB = {Call.COMPREHEND: "comprehend", Call.GENERATE: "generate", Call.LANGUAGE: "do language"}
