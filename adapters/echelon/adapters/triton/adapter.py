"""The adapter over a model folder whose networks are models of a Triton server."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from echelon.adapters.adapter import AsyncAdapter
from echelon.adapters.calls import Answer
from echelon.adapters.content import Kind, Text
from echelon.adapters.errors import AdapterLoadError, EchelonError, OutputInvalidError
from echelon.adapters.networks import manifest, model
from echelon.adapters.networks.files import Folder
from echelon.adapters.networks.routes import Routes
from echelon.adapters.settings import load
from echelon.adapters.triton import signature
from echelon.adapters.triton.call import TritonCall
from echelon.adapters.triton.connection import Connection, shown, text
from echelon.adapters.triton.memory import Regions, can_share
from echelon.adapters.triton.settings import TritonModel, TritonSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.calls import Call, Outcome, Request
    from echelon.adapters.card import Card
    from echelon.adapters.content import Part
    from echelon.adapters.networks.routes import Feeds, Route
    from echelon.adapters.triton.signature import TritonSignature

log = logging.getLogger(__name__)

MEDIA = {Kind.IMAGE, Kind.AUDIO, Kind.VIDEO, Kind.MASK}
"""Kinds that are decoded and encoded in a thread: it would hold the event loop up."""
CLOSE_S = 8.0
"""How long our regions and our connection may take to close."""


class Triton(AsyncAdapter[TritonSettings]):
    """Asks a Triton server; batches are Triton's own affair."""

    def open(self, settings: TritonSettings) -> None:
        self._settings = settings
        self._folder = Folder(settings.folder)
        self._manifest = manifest.read(self._folder)
        asking = Connection(settings, aio=False)
        try:
            server = self._wait(asking)
            self._signatures = self._read(asking)
        finally:
            asking.close()
        self._engine = f"{server.name} {server.version}"
        self._shares = settings.shared_memory == "auto" and can_share(server.version)
        self._routes = Routes(self._manifest, self._signatures, self._folder)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._away = False

    def card(self) -> Card:
        devices = {found.device for found in self._signatures.values()} - {""}
        return model.card(
            self._manifest, self._routes, digest="", engine=self._engine, device=", ".join(sorted(devices))
        )

    def unverified(self) -> Sequence[str]:
        return ("weights: in the repository of the Triton server",)

    def probe(self, call: Call) -> Request | None:
        return self._routes.probe(call)

    async def ready(self) -> bool:
        """Whether Triton serves every model of ours, as it was when the adapter opened."""
        connection = self._connected()
        try:
            there = await self._serves_all(connection)
            await self._regions.release()
            if there and self._away:
                there = await asyncio.to_thread(self._unchanged)
        except Exception as error:
            if not isinstance(shown(error, "", self._settings.url), EchelonError):
                raise
            there = False
        self._away = not there
        return there

    async def _serves_all(self, connection: Connection) -> bool:
        for found in self._signatures.values():
            asked = connection.pb.ModelReadyRequest(name=found.model, version=found.version)
            if not (await connection.call("ModelReady", asked)).ready:
                return False
        return True

    async def comprehend(self, request: Request) -> Outcome:
        route = self._routes.route(request)
        found = self._signatures[route.network]
        if not found.decoupled:
            return await self._infer(route, found, request)
        async with aclosing(self._stream(route, found, request)) as answers:
            return _joined([part async for part in answers])

    generate = language = comprehend

    def stream_generate(self, request: Request) -> AsyncIterator[Part] | None:
        return self._decoupled(request)

    def stream_language(self, request: Request) -> AsyncIterator[str | Outcome] | None:
        parts = self._decoupled(request)
        return None if parts is None else _pieces(parts)

    def close(self) -> None:
        if self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(CLOSE_S)

    async def _close(self) -> None:
        await self._regions.close()
        await self._connection.close()

    def _connected(self) -> Connection:
        """The connection on the loop that asks; made there on first use, since it belongs to it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._connection = Connection(self._settings, aio=True)
            self._regions = Regions(self._connection, self._settings.shared_memory_mib << 20 if self._shares else 0)
        return self._connection

    def _wait(self, asking: Connection) -> Any:
        """What Triton says of itself, once it and our models are ready."""
        import grpc

        limit = monotonic() + self._settings.open_timeout_s
        names = [self._said(name).model for name in self._manifest.networks]
        while True:
            try:
                said = asking.call("ServerMetadata", asking.pb.ServerMetadataRequest())
                missing = [name for name in names if not _is_ready(asking, name)]
                if not missing:
                    return said
                problem = f"it does not serve {', '.join(missing)}"
            except grpc.RpcError as error:
                problem = text(error)
            if monotonic() > limit:
                within = f"within {self._settings.open_timeout_s:g} s"
                raise AdapterLoadError(f"Triton at {self._settings.url} was not ready {within}: {problem}")
            sleep(0.2)

    def _said(self, network: str) -> TritonModel:
        return load(TritonModel, self._manifest.networks[network], where=self._where(network))

    def _where(self, network: str) -> str:
        return f"{self._folder.path / manifest.FILE}: networks.{network}"

    def _read(self, asking: Connection) -> dict[str, TritonSignature]:
        import grpc

        try:
            return {
                name: signature.read(asking, self._said(name), self._where(name)) for name in self._manifest.networks
            }
        except grpc.RpcError as error:
            raise AdapterLoadError(
                f"Triton at {self._settings.url} does not describe its models: {text(error)}"
            ) from error

    def _unchanged(self) -> bool:
        asking = Connection(self._settings, aio=False)
        try:
            now = self._read(asking)
        finally:
            asking.close()
        changed = sorted(name for name, found in now.items() if found != self._signatures[name])
        for name in changed:
            log.error(
                "%s is another model than it was when the adapter opened; start the server again to serve it",
                self._where(name),
            )
        return not changed

    async def _infer(self, route: Route, found: TritonSignature, request: Request) -> Outcome:
        feeds = await self._prepared(route, request)
        self._connected()
        try:
            results = await self._results(route, found, request, feeds)
        except Exception as error:
            raise shown(error, found.model, self._settings.url) from error
        return await self._answered(route, results, request)

    async def _results(
        self, route: Route, found: TritonSignature, request: Request, feeds: Feeds
    ) -> list[NDArray[Any]]:
        try:
            return await self._ask(route, found, request, feeds, self._regions)
        except Exception as error:
            if not self._regions.misses(text(error)):
                raise
        # A Triton that started anew knows no region of ours; the call itself may be sound.
        return await self._ask(route, found, request, feeds, None)

    async def _ask(
        self,
        route: Route,
        found: TritonSignature,
        request: Request,
        feeds: Feeds,
        regions: Regions | None,
    ) -> list[NDArray[Any]]:
        with TritonCall(self._connection.pb, found, regions) as call:
            message = await call.request(feeds, route.output.sources, request.remaining_s())
            response = await self._connection.call("ModelInfer", message, request.remaining_s())
            return call.results(response, route.output.sources)

    async def _prepared(self, route: Route, request: Request) -> Feeds:
        if any(part.kind in MEDIA for part in request.parts):
            return await asyncio.to_thread(_feeds, route, request)
        return _feeds(route, request)

    async def _answered(self, route: Route, results: list[NDArray[Any]], request: Request) -> Answer:
        if route.output.kind in MEDIA:
            (returned,) = await asyncio.to_thread(route.answers, results, [request])
        else:
            (returned,) = route.answers(results, [request])
        if isinstance(returned, EchelonError):
            raise returned
        assert isinstance(returned, Answer)  # routes make no refusals
        return returned

    def _decoupled(self, request: Request) -> AsyncGenerator[Part] | None:
        route = self._routes.route(request)
        found = self._signatures[route.network]
        return self._stream(route, found, request) if found.decoupled else None

    async def _stream(self, route: Route, found: TritonSignature, request: Request) -> AsyncGenerator[Part]:
        """A part for each response of a decoupled model.

        We ask once and close our side: Triton ends the stream in order after the last response, and only then.
        """
        feeds = await self._prepared(route, request)
        connection = self._connected()
        call = TritonCall(connection.pb, found, None)
        message = await call.request(feeds, route.output.sources, request.remaining_s())
        responses = connection.call("ModelStreamInfer", _once(message), request.remaining_s())
        try:
            async for streamed in responses:
                if streamed.error_message:
                    raise RuntimeError(streamed.error_message)
                results = call.results(streamed.infer_response, route.output.sources)
                answer = await self._answered(route, results, request)
                for part in answer.parts:
                    yield part
        except Exception as error:
            raise shown(error, found.model, self._settings.url) from error
        finally:
            responses.cancel()


def _feeds(route: Route, request: Request) -> Feeds:
    return route.stacked([route.prepare(request)])


def _is_ready(asking: Connection, model: str) -> bool:
    return bool(asking.call("ModelReady", asking.pb.ModelReadyRequest(name=model)).ready)


async def _once(message: Any) -> AsyncIterator[Any]:
    yield message


async def _pieces(parts: AsyncGenerator[Part]) -> AsyncGenerator[str | Outcome]:
    seen: list[Part] = []
    async with aclosing(parts) as opened:
        async for part in opened:
            seen.append(part)
            if isinstance(part, Text):
                yield part.value
    yield _joined(seen)


def _joined(parts: list[Part]) -> Answer:
    """Pieces of text are one text; other parts stay as many as they are."""
    if not parts:
        raise OutputInvalidError("Triton's model ended its stream without a response")
    if all(isinstance(part, Text) for part in parts):
        return Answer((Text("".join(part.value for part in parts if isinstance(part, Text))),))
    return Answer(tuple(parts))
