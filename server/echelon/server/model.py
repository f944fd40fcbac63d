"""A served model: a named, configured adapter with a state, a card and a way to be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from enum import StrEnum
from functools import partial
from time import perf_counter
from typing import Any

import structlog

from echelon.adapters import (
    AsyncAdapter,
    BatchAdapter,
    Call,
    Card,
    EchelonError,
    Outcome,
    Request,
    Returned,
    UnsupportedError,
)
from echelon.adapters.errors import AdapterFailedError, AdapterLoadError, ModelNotReadyError, OutputInvalidError
from echelon.adapters.settings import load
from echelon.server.batcher import Batcher, Done
from echelon.server.config import ModelConfig
from echelon.server.measure import best_batch_size, warm_up
from echelon.server.pieces import SCRIPTS, Pieces
from echelon.server.threads import in_thread
from echelon.wire.cards import card_to_proto
from echelon.wire.rules import check

READY_S = 10.0
"""How long a model may take to tell whether it is ready."""
CLOSE_S = 10.0
"""How long a model may take to close."""


class ModelState(StrEnum):
    """Whether a model can answer."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"


class ServedModel:
    """Loads an adapter, asks it, and closes it."""

    def __init__(self, config: ModelConfig, adapter_class: type[BatchAdapter[Any] | AsyncAdapter[Any]]) -> None:
        self.name = config.name
        self.state = ModelState.LOADING
        self.card = Card(version="", calls=(), name=config.name)
        self._config = config
        self._class = adapter_class
        self._adapter: Any = None
        self._batcher: Batcher | None = None
        self._log: Any = structlog.get_logger("echelon.server").bind(model=config.name)

    async def load(self) -> None:
        """Open, warm up and measure; raises what went wrong, and the state says FAILED."""
        try:
            self._adapter, self.card = await in_thread(self._open, f"loads {self.name}")
        except BaseException:
            self.state = ModelState.FAILED
            raise
        if isinstance(self._adapter, BatchAdapter):
            self._batcher = Batcher(
                self.name,
                partial(_run, self._adapter),
                max_size=self.card.max_batch_size,
                max_delay_s=self._config.max_delay_ms / 1000,
                queue_size=self._config.queue_size,
            )
        self.state = ModelState.READY
        self._log.info("model ready", adapter=self._config.adapter, max_batch_size=self.card.max_batch_size)

    def _open(self) -> tuple[Any, Card]:
        values, folder = self._config.values()
        where = str(self._config.settings_file or f"settings of model {self.name!r}")
        settings = load(self._class.settings_type, values, folder=folder, where=where)
        adapter = self._class()
        adapter.open(settings)
        try:
            card = self._card(adapter)
            return adapter, replace(card, max_batch_size=self._warm_up(adapter, card))
        except BaseException:
            adapter.close()
            raise

    def _card(self, adapter: Any) -> Card:
        card: Card = replace(adapter.card(), name=self.name)
        card = replace(card, calls=tuple(support for support in card.calls if self._class.overrides(support.call)))
        try:
            check(card_to_proto(card))
        # A card that cannot travel would break the list of all models.
        except (EchelonError, TypeError, ValueError, KeyError) as error:
            raise AdapterLoadError(f"the card of model {self.name!r} breaks the contract: {error}") from error
        return card

    def _warm_up(self, adapter: Any, card: Card) -> int:
        """Run a probe of each call; the batch size to use."""
        if not isinstance(adapter, BatchAdapter):
            return 1
        run = partial(_run, adapter)
        probes = [probe for support in card.calls if (probe := adapter.probe(support.call)) is not None]
        if self._config.max_batch_size is None:
            return max((best_batch_size(run, probe) for probe in probes), default=1)
        for probe in probes:
            warm_up(run, probe)
        return self._config.max_batch_size

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
            outcome: Outcome = await getattr(self._adapter, request.call)(request)
        # Vendor code: `answer` decides what may be shown. It may cancel itself; that is not our caller's doing.
        except BaseException as error:
            if _is_callers(error):
                request.cancellation.cancelled = True
                raise
            return Done(error, 0, 0)
        return Done(outcome, 0, int((perf_counter() - started) * 1e6))

    async def stream(self, request: Request) -> AsyncGenerator[Any]:
        """The pieces as the adapter makes them, text or parts, and the Done last, all unchecked.

        The Done alone where the adapter does not stream. Raises as `answer` does.
        """
        if not self._class.streams(request.call):
            yield await self.answer(request)
            return
        self._check_support(request)
        pieces = self._stream_directly(request) if self._batcher is None else self._stream_alone(request, self._batcher)
        async with aclosing(pieces) as opened:
            async for piece in opened:
                yield piece

    async def _stream_alone(self, request: Request, batcher: Batcher) -> AsyncGenerator[Any]:
        pieces = Pieces(request)
        asking = asyncio.create_task(batcher.submit(request, partial(_play, self._adapter, pieces)))
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
        items = self._items(request)
        if items is None:
            yield await self.answer(request)
            return
        try:
            async for item in items:
                if (piece := script.piece(item)) != "":
                    yield piece
        except BaseException as error:
            if _is_callers(error):
                request.cancellation.cancelled = True
                raise
            raise _shown(error) from None
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
        yield Done(script.outcome(), 0, int((perf_counter() - started) * 1e6))

    def _items(self, request: Request) -> AsyncIterator[Any] | None:
        try:
            items: AsyncIterator[Any] | None = getattr(self._adapter, f"stream_{request.call}")(request)
        except Exception as error:  # noqa: BLE001  (vendor code)
            raise _shown(error) from None
        return items

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
        if not isinstance(self._adapter, AsyncAdapter):
            return True
        try:
            async with asyncio.timeout(READY_S):
                return bool(await self._adapter.ready())
        except Exception as error:  # noqa: BLE001  (vendor code, and what fails to tell is not ready)
            self._log.warning("model does not tell whether it is ready", exc_info=error)
            return False

    def drain(self) -> None:
        """Take no new calls."""
        if self.state is ModelState.READY:
            self.state = ModelState.DRAINING

    async def close(self) -> None:
        """Let waiting calls finish and close the adapter; what hangs or fails is logged and left."""
        self.drain()
        if self._adapter is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                if self._batcher is not None:
                    await in_thread(self._batcher.close, f"drains {self.name}")
                await in_thread(self._adapter.close, f"closes {self.name}")
        except Exception as error:  # noqa: BLE001  (vendor code, and the other models are still to be closed)
            self._log.error("model did not close", exc_info=error)


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
        raise _shown(done.returned)
    return done


def _play(adapter: Any, pieces: Pieces, requests: Sequence[Request]) -> Sequence[Returned]:
    items = adapter.stream_language(requests[0])
    return _run(adapter, requests) if items is None else [pieces.play(items)]


def _run(adapter: Any, requests: Sequence[Request]) -> Sequence[Returned]:
    returned: Any = getattr(adapter, requests[0].call)(requests)
    if not isinstance(returned, Sequence) or len(returned) != len(requests):
        got = f"{len(returned)} outcomes" if isinstance(returned, Sequence) else type(returned).__name__
        raise OutputInvalidError(f"the adapter returned {got} for {len(requests)} requests")
    return returned


_VERB = {Call.COMPREHEND: "comprehend", Call.GENERATE: "generate", Call.LANGUAGE: "do language"}
