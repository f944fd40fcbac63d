"""A model on another server that speaks the contract."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import structlog

from echelon.adapters import Call, Card, EchelonError, Outcome, Request, Returned
from echelon.adapters.errors import (
    AdapterFailedError,
    AuthDeniedError,
    AuthMissingError,
    ConfigurationError,
    ContentNotFoundError,
    ModelNotFoundError,
    ModelNotReadyError,
    ServerBusyError,
    UnreachableError,
    UnsupportedError,
)
from echelon.adapters.hosting import Opened
from echelon.clients import AsyncClient, Options, Retry
from echelon.clients.async_client import DEFAULT_TIMEOUT_S
from echelon.rpc.config import Limits
from echelon.rpc.credentials import Tokens
from echelon.server.config import RemoteConfig
from echelon.server.hosts.host import Isolation, OnReady

LOOK_S = 5.0
"""How long the other server may take to say whether the model is there."""
WATCH_S = 1.0
"""Between two looks at a model that is there."""
_PAUSES = Retry(longest_delay_s=5.0)
"""Between looks at one that is not."""
_ONCE = Retry(attempts=1)
"""Whoever calls us tries again; if we did as well, four tries would be sixteen."""
_UNKNOWN = Card(version="", calls=())
_STREAMS: dict[Call, Any] = {
    Call.GENERATE: AsyncClient.stream_parts,
    Call.LANGUAGE: AsyncClient.stream_language,
}


class Remote:
    """Passes each call on by itself, for the other server batches; looks after that server, and waits for it."""

    isolation = Isolation.REMOTE

    def __init__(self, name: str, config: RemoteConfig, limits: Limits) -> None:
        self._name = name
        self._config = config
        self._message_bytes = limits.message_bytes
        self._log: Any = structlog.get_logger("echelon.server").bind(model=name, target=config.target)
        self._ids = secrets.token_hex(8)
        self._client: AsyncClient | None = None
        self._model = config.parsed_target().model
        self._card: Card | None = None
        self._away = ""
        """The reason why the model is not there."""
        self._failures = 0
        self._doubt = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def open(self, on_ready: OnReady) -> Opened:
        """Look for the model, and go on looking; ConfigurationError where nothing can be sent at all."""
        self._on_ready = on_ready
        self._client = AsyncClient(self._config.parsed_target().address, self._options())
        await self._look(self._client)
        self._watching = asyncio.create_task(self._watch(self._client))
        return Opened(self._card or _UNKNOWN, batches=False, streams=tuple(_STREAMS))

    def _options(self) -> Options:
        config = self._config
        token = Tokens(config.token_file).first if config.token_file is not None else ""
        return Options(config.tls, token, _ONCE, self._message_bytes)

    async def _watch(self, client: AsyncClient) -> None:
        while True:
            pause_s = WATCH_S if self._card is not None else _PAUSES.pause_s(self._failures)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._doubt.wait()
            self._doubt.clear()
            await self._look(client)

    async def _look(self, client: AsyncClient) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                self._found(await self._card_there(client))
        except TimeoutError:
            self._lost(UnreachableError(f"the server said nothing within {LOOK_S:g} s"))
        except EchelonError as error:
            self._lost(error)
        # Anybody's server may say anything, and the looking has to go on.
        except Exception as error:  # noqa: BLE001  (see above)
            self._lost(EchelonError(f"the server's answer cannot be read: {error!r}"))

    async def _card_there(self, client: AsyncClient) -> Card:
        info = await client.model(self._model)
        if not info.ready:
            raise ModelNotReadyError(f"the model is {info.state} there")
        if not await client.serving(self._model):
            raise ModelNotReadyError("the model cannot answer there, by its health")
        return info.card

    def _found(self, card: Card) -> None:
        if card != self._card:
            self._on_ready(True, card)
            self._log.info("remote model is there", version=card.version)
        self._card, self._away, self._failures = card, "", 0

    def _lost(self, error: EchelonError) -> None:
        self._on_ready(False)
        if error.reason != self._away:
            self._log.warning("remote model is away", reason=error.reason, error=str(error))
        self._card, self._away, self._failures = None, error.reason, self._failures + 1

    def wait(self, timeout_s: float) -> bool:
        """It takes calls at any time."""
        return True

    def run(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """Never called: `open` says that it takes no batches."""
        raise NotImplementedError

    def play(self, request: Request) -> Iterator[Any] | None:
        """Never called: `open` says that it takes no batches."""
        raise NotImplementedError

    async def ask(self, request: Request) -> Outcome:
        """What the other server answers."""
        with self._as_ours() as client:
            return await client.ask(self._model, self._sent(request), timeout_s=_timeout_s(request))

    async def ready(self) -> bool:
        """What the last look said."""
        return self._card is not None

    async def stream(self, request: Request) -> AsyncGenerator[Any] | None:
        """What the other server streams, None where it does not."""
        with self._as_ours() as client:
            stream = _STREAMS[request.call]
            pieces = stream(client, self._model, self._sent(request), timeout_s=_timeout_s(request))
            try:
                first = await anext(pieces)
            except UnsupportedError:
                return None
        return self._pieces(first, pieces)

    async def _pieces(self, first: Any, pieces: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        with self._as_ours():
            async with aclosing(pieces):
                yield first
                async for piece in pieces:
                    yield piece

    def _sent(self, request: Request) -> Request:
        """The request under an id that is the same for a retry, and another for every other body.

        All who call us are one peer to the other server, and their ids may clash.
        """
        if not request.id:
            return request
        body = hash(replace(request, deadline=None)) & 0xFFFF_FFFF_FFFF_FFFF
        return replace(request, id=f"{self._ids}-{body:016x}")

    @contextmanager
    def _as_ours(self) -> Iterator[AsyncClient]:
        """The client; its errors come out as our caller has to take them."""
        assert self._client is not None
        try:
            yield self._client
        except EchelonError as error:
            ours = self._ours(error)
            if ours is error:
                raise
            self._log.warning("remote call failed", reason=error.reason, error=str(error))
            raise ours from error

    def _ours(self, error: EchelonError) -> EchelonError:
        if isinstance(error, _AWAY):
            self._doubt.set()
        if isinstance(error, _NOT_OUR_CALLERS):
            return ModelNotReadyError(
                f"the server that holds model {self._name!r} is away; this server's log says why", retry_after_s=1.0
            )
        if isinstance(error, ContentNotFoundError):
            full = f"the server that holds model {self._name!r} has no room for large content now"
            return ServerBusyError(full, retry_after_s=1.0)
        if isinstance(error, ConfigurationError) or type(error) is EchelonError:
            return AdapterFailedError("the remote model failed")
        return error

    async def close(self) -> None:
        """Look no more, and let go of the connection."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._client is not None:
            await self._client.close()


_NOT_OUR_CALLERS = (UnreachableError, ModelNotFoundError, AuthMissingError, AuthDeniedError)
"""What has gone wrong between the servers, and looks to our caller as if it had between him and us."""
_AWAY = (*_NOT_OUR_CALLERS, ModelNotReadyError)
"""What makes it worth to look at once."""


def _timeout_s(request: Request) -> float:
    remaining_s = request.remaining_s()
    return DEFAULT_TIMEOUT_S if remaining_s is None else remaining_s
