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
from echelon.adapters.triton import connection, signature
from echelon.adapters.triton.call import TritonCall
from echelon.adapters.triton.memory import Regions
from echelon.adapters.triton.settings import TritonModel, TritonSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from numpy.typing import NDArray

    from echelon.adapters.calls import Call, Outcome, Request
    from echelon.adapters.card import Card
    from echelon.adapters.content import Part
    from echelon.adapters.networks.routes import Feeds, Route
    from echelon.adapters.triton.signature import TritonSignature

log = logging.getLogger(__name__)

MEDIA = {Kind.IMAGE, Kind.AUDIO, Kind.VIDEO, Kind.MASK}
"""Kinds that are decoded and encoded in a thread: it would hold the event loop up."""
CLOSE_S = 5.0


class Triton(AsyncAdapter[TritonSettings]):
    """Asks a Triton server; batches are Triton's own affair."""

    def open(self, settings: TritonSettings) -> None:
        self._triton = connection.import_client()
        self._settings = settings
        self._options = connection.options(settings)
        self._headers = connection.headers(settings)
        self._folder = Folder(settings.folder)
        self._manifest = manifest.read(self._folder)
        with self._triton.InferenceServerClient(**self._options) as client:
            self._engine = self._wait(client)
            self._signatures = self._read(client)
        self._routes = Routes(self._manifest, self._signatures, self._folder)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._away = False

    def card(self) -> Card:
        devices = {found.device for found in self._signatures.values()} - {""}
        return model.card(
            self._manifest, self._routes, digest="", engine=self._engine, device=", ".join(sorted(devices))
        )

    def probe(self, call: Call) -> Request | None:
        return self._routes.probe(call)

    async def ready(self) -> bool:
        """Whether Triton serves every model of ours, as it was when the adapter opened."""
        try:
            client = self._client()
            for found in self._signatures.values():
                if not await client.is_model_ready(
                    found.model, found.version, headers=self._headers, client_timeout=CLOSE_S
                ):
                    self._away = True
                    return False
            if self._away:
                self._regions.forget()
                self._away = not await asyncio.to_thread(self._unchanged)
        except Exception as error:
            shown = connection.shown(error, "", self._settings.url)
            if not isinstance(shown, EchelonError):
                raise
            self._away = True
        return not self._away

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
        await self._aio.close()

    def _client(self) -> Any:
        """The client on the loop that asks; made there on first use, since it belongs to it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._aio = self._triton.aio.InferenceServerClient(**self._options)
            shares = self._settings.shared_memory == "auto"
            limit = self._settings.shared_memory_mib << 20 if shares else 0
            self._regions = Regions(self._aio, self._headers, limit)
        return self._aio

    def _wait(self, client: Any) -> str:
        """Triton's name and version, once it and our models are ready."""
        limit = monotonic() + self._settings.open_timeout_s
        names = [self._said(name).model for name in self._manifest.networks]
        while True:
            try:
                said = client.get_server_metadata(headers=self._headers, client_timeout=CLOSE_S)
                missing = [name for name in names if not client.is_model_ready(name, headers=self._headers)]
                if not missing:
                    return f"{said.name} {said.version}"
                problem: str | Exception = f"it does not serve {', '.join(missing)}"
            except self._triton.InferenceServerException as error:
                problem = error
            if monotonic() > limit:
                within = f"within {self._settings.open_timeout_s:g} s"
                raise AdapterLoadError(f"Triton at {self._settings.url} was not ready {within}: {problem}")
            sleep(0.2)

    def _said(self, network: str) -> TritonModel:
        return load(TritonModel, self._manifest.networks[network], where=self._where(network))

    def _where(self, network: str) -> str:
        return f"{self._folder.path / manifest.FILE}: networks.{network}"

    def _read(self, client: Any) -> dict[str, TritonSignature]:
        try:
            return {
                name: signature.read(client, self._said(name), self._where(name), self._headers)
                for name in self._manifest.networks
            }
        except self._triton.InferenceServerException as error:
            raise AdapterLoadError(f"Triton at {self._settings.url} does not describe its models: {error}") from error

    def _unchanged(self) -> bool:
        with self._triton.InferenceServerClient(**self._options) as client:
            now = self._read(client)
        changed = sorted(name for name, found in now.items() if found != self._signatures[name])
        for name in changed:
            log.error(
                "%s is another model than it was when the adapter opened; start the server again to serve it",
                self._where(name),
            )
        return not changed

    async def _infer(self, route: Route, found: TritonSignature, request: Request) -> Outcome:
        feeds = await self._prepared(route, request)
        client = self._client()
        try:
            return await self._ask(client, route, found, request, feeds, self._regions)
        except Exception as error:
            # Only a Triton that started anew does not know our regions; the call itself may be sound.
            if "shared memory region" not in connection.text(error).lower():
                raise connection.shown(error, found.model, self._settings.url) from error
        self._regions.forget()
        try:
            return await self._ask(client, route, found, request, feeds, None)
        except Exception as error:
            raise connection.shown(error, found.model, self._settings.url) from error

    async def _ask(
        self,
        client: Any,
        route: Route,
        found: TritonSignature,
        request: Request,
        feeds: Mapping[str, NDArray[Any]],
        regions: Regions | None,
    ) -> Outcome:
        call, done = TritonCall(self._triton, found, regions), False
        try:
            remaining_s = request.remaining_s()
            result = await client.infer(
                found.model,
                await call.inputs(feeds),
                found.version,
                await call.outputs(route.output.sources),
                timeout=None if remaining_s is None else max(1, int(remaining_s * 1e6)),
                client_timeout=remaining_s,
                headers=self._headers,
            )
            done = True
            results = call.results(result, route.output.sources)
        finally:
            call.end(done=done)
        return await self._answered(route, results, request)

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
        call = TritonCall(self._triton, found, None)
        asked = {
            "model_name": found.model,
            "model_version": found.version,
            "inputs": await call.inputs(feeds),
            "outputs": await call.outputs(route.output.sources),
        }
        responses = self._client().stream_infer(
            _once(asked), stream_timeout=request.remaining_s(), headers=self._headers
        )
        try:
            async for result, error in responses:
                if error is not None:
                    raise error
                if result.get_response().outputs:
                    answer = await self._answered(route, call.results(result, route.output.sources), request)
                    for part in answer.parts:
                        yield part
        except Exception as error:
            raise connection.shown(error, found.model, self._settings.url) from error
        finally:
            responses.cancel()


def _feeds(route: Route, request: Request) -> Feeds:
    return route.stacked([route.prepare(request)])


async def _once(asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield asked


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
