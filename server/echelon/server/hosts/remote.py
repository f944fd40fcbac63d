"""A model on another server that speaks the contract."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from typing import Any, NamedTuple

import structlog

from echelon.adapters import Call, Card, EchelonError, Outcome, Request, Returned
from echelon.adapters.errors import (
    AdapterFailedError,
    AuthDeniedError,
    AuthMissingError,
    ConfigurationError,
    ContentNotFoundError,
    IdentityChangedError,
    ModelNotFoundError,
    ModelNotReadyError,
    ServerBusyError,
    UnreachableError,
    UnsupportedError,
)
from echelon.adapters.hosting import Opened
from echelon.adapters.identity import Identity, from_card
from echelon.clients import AsyncClient, ModelInfo, Options, Pipeline, Retry
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
_RETRY = Retry(attempts=2)
"""For a Pipeline whose connection was too old. Whoever calls us tries again; four tries of four would be sixteen."""
_UNKNOWN = Card(version="", calls=())
_ADAPTER = "remote"
_UNTOLD = "everything: the model is on another server, which tells no identity"
_STREAMS: dict[Call, Any] = {
    Call.GENERATE: AsyncClient.stream_parts,
    Call.LANGUAGE: AsyncClient.stream_language,
}


class _Line(NamedTuple):
    """One way to the other server: what is put there belongs to a token, and so do the calls that refer to it."""

    token: str
    client: AsyncClient
    pipeline: Pipeline


class Remote:
    """Passes calls on as they come, for the other server batches; looks after that server, and waits for it."""

    isolation = Isolation.REMOTE

    def __init__(self, name: str, config: RemoteConfig, limits: Limits) -> None:
        self._name = name
        self._config = config
        self._message_bytes = limits.message_bytes
        self._log: Any = structlog.get_logger("echelon.server").bind(model=name, target=config.target)
        self._ids = secrets.token_hex(8)
        self._address, self._model = config.parsed_target()
        self._tokens: Tokens | None = None
        self._lines: list[_Line] = []
        """The last one is used; calls that are under way stay on theirs."""
        self._card: Card | None = None
        self._identity: Identity | None = None
        self._away = ""
        """The reason why the model is not there."""
        self._failures = 0
        self._doubt = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def open(self, on_ready: OnReady) -> Opened:
        """Look for the model, and go on looking; ConfigurationError where nothing can be sent at all."""
        self._on_ready = on_ready
        if self._config.token_file is not None:
            self._tokens = Tokens(self._config.token_file)
        await self._line()
        await self._look()
        self._watching = asyncio.create_task(self._watch())
        card, identity = (
            self._card or _UNKNOWN,
            self._identity or from_card(_UNKNOWN, adapter=_ADAPTER, unverified=_UNTOLD),
        )
        return Opened(card, batches=False, streams=tuple(_STREAMS), identity=identity)

    async def _line(self) -> _Line:
        """The line for the token that the file holds now."""
        token = self._tokens.first() if self._tokens is not None else ""
        if not self._lines or token != self._lines[-1].token:
            client = AsyncClient(self._address, Options(self._config.tls, token, _RETRY, self._message_bytes))
            self._lines.append(_Line(token, client, await Pipeline(client).__aenter__()))
        return self._lines[-1]

    async def _watch(self) -> None:
        while True:
            pause_s = WATCH_S if self._card is not None else _PAUSES.pause_s(self._failures)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._doubt.wait()
            self._doubt.clear()
            await self._look()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                self._found(await self._info_there())
        except TimeoutError:
            self._lost(UnreachableError(f"the server said nothing within {LOOK_S:g} s"))
        except EchelonError as error:
            self._lost(error)
        # Anybody's server may say anything, and the looking has to go on.
        except Exception as error:  # noqa: BLE001  (see above)
            self._lost(EchelonError(f"the server's answer cannot be read: {error!r}"))

    async def _info_there(self) -> ModelInfo:
        client = (await self._line()).client
        info = await client.model(self._model)
        if not info.ready:
            raise ModelNotReadyError(f"the model is {info.state} there")
        if not await client.serving(self._model):
            raise ModelNotReadyError("the model cannot answer there, by its health")
        return info

    def _found(self, info: ModelInfo) -> None:
        card, identity = info.card, info.identity or from_card(info.card, adapter=_ADAPTER, unverified=_UNTOLD)
        if (card, identity) != (self._card, self._identity):
            self._on_ready(True, card, identity)
            self._log.info("remote model is there", version=card.version)
        self._card, self._identity, self._away, self._failures = card, identity, "", 0

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
        sent, timeout_s, line = self._sent(request), _timeout_s(request), self._lines[-1]
        with self._as_ours():
            try:
                return await line.pipeline.ask(self._model, sent, timeout_s=timeout_s)
            except UnsupportedError:
                # Perhaps it is the Pipeline that the other server does not have.
                return await line.client.ask(self._model, sent, timeout_s=timeout_s)

    async def ready(self) -> bool:
        """What the last look said."""
        return self._card is not None

    async def stream(self, request: Request) -> AsyncGenerator[Any] | None:
        """What the other server streams, None where it does not."""
        with self._as_ours():
            stream, client = _STREAMS[request.call], self._lines[-1].client
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
    def _as_ours(self) -> Iterator[None]:
        """Lets the client's errors out as our caller has to take them."""
        try:
            yield
        except EchelonError as error:
            ours = self._ours(error)
            if ours is error:
                raise
            self._log.warning("remote call failed", reason=error.reason, error=str(error))
            raise ours from error

    def _ours(self, error: EchelonError) -> EchelonError:
        if isinstance(error, (*_AWAY, IdentityChangedError)):
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
        """Look no more, and let go of the other server."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for line in self._lines:
            await line.pipeline.__aexit__(None, None, None)
            await line.client.close()


_NOT_OUR_CALLERS = (UnreachableError, ModelNotFoundError, AuthMissingError, AuthDeniedError)
"""What has gone wrong between the servers, and looks to our caller as if it had between him and us."""
_AWAY = (*_NOT_OUR_CALLERS, ModelNotReadyError)
"""What makes it worth to look at once."""


def _timeout_s(request: Request) -> float:
    remaining_s = request.remaining_s()
    return DEFAULT_TIMEOUT_S if remaining_s is None else remaining_s
