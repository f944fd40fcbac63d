"""The client, for async programs."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakSet

import grpc

from echelon.adapters import Call, Card, Outcome, Part, Request
from echelon.adapters.errors import ContentNotFoundError, OutputInvalidError
from echelon.adapters.identity import Identity
from echelon.clients import health
from echelon.clients.contents import Contents
from echelon.clients.options import Options
from echelon.clients.stream import (
    PartReassembly,
    PartSlice,
    Reassembly,
    TextReassembly,
    WholePartReassembly,
    believed,
)
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.calls import Refs, call_to_proto, outcome_from_proto
from echelon.wire.cards import card_from_proto, identity_from_proto
from echelon.wire.parts import NO_CONTENTS
from echelon.wire.rules import check
from echelon.wire.status import from_rpc_error
from echelon.wire.usages import usage_from_proto

T = TypeVar("T")

_STATES = {
    pb.MODEL_STATE_LOADING: "loading",
    pb.MODEL_STATE_READY: "ready",
    pb.MODEL_STATE_FAILED: "failed",
    pb.MODEL_STATE_DRAINING: "draining",
}
DEFAULT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of a server: its card, its state in a word, and its identity where its server asserts one."""

    card: Card
    state: str
    identity: Identity | None = None

    @property
    def ready(self) -> bool:
        """Whether it can answer."""
        return self.state == "ready"


class AsyncClient:
    """Asks the models of one server; every failure is an EchelonError.

    Calls that fail for a passing reason are tried again under the same request id, so that no answer is made twice.
    """

    def __init__(self, address: str, options: Options | None = None) -> None:
        self.address = address
        self.options = options or Options()
        self._channel = self.options.channel(address)
        self._stub: Any = pb_grpc.ModelServiceStub(self._channel)
        self._prefix = secrets.token_hex(8)
        self._numbers = count()
        self._streams: WeakSet[Any] = WeakSet()
        self._contents = Contents(self._stub, self.options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connection back; what is under way is cancelled."""
        # Older gRPC finds only the calls that a task is waiting for at this moment.
        for stream in list(self._streams):
            stream.cancel()
        await self._channel.close()

    async def models(self) -> list[ModelInfo]:
        """All models of the server, by name."""
        found: list[ModelInfo] = []
        token = ""
        while True:
            request = pb.ListModelsRequest(page_token=token)
            page = await self._call("ListModels", request, 30.0)
            found.extend(_info(model) for model in page.models)
            token = page.next_page_token
            if not token:
                return found

    async def model(self, name: str) -> ModelInfo:
        """One model; ModelNotFoundError where there is none of that name."""
        response = await self._call("GetModel", pb.GetModelRequest(name=name), 30.0)
        return _info(response.model)

    async def serving(self, model: str = "", *, timeout_s: float = 5.0) -> bool:
        """Whether `model` can answer now, or without one the whole server, by its health; never tried again."""
        return await health.check(self._channel, self.address, model, self.options, timeout_s=timeout_s)

    async def comprehend(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """A judgement on the request's parts."""
        return await self.ask(model, replace(request, call=Call.COMPREHEND), timeout_s=timeout_s)

    async def generate(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """New media."""
        return await self.ask(model, replace(request, call=Call.GENERATE), timeout_s=timeout_s)

    async def language(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """Text for text."""
        return await self.ask(model, replace(request, call=Call.LANGUAGE), timeout_s=timeout_s)

    async def ask(self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Outcome:
        """The outcome of `request`, whichever call it is; `timeout_s` bounds each attempt."""
        method, request_type = _METHODS[request.call]

        async def send(message: pb.Call) -> pb.Outcome:
            response = await self._call(method, request_type(call=message), timeout_s)
            return response.outcome  # type: ignore[no-any-return]  # the stubs say Any

        return await self.exchange(model, request, send, timeout_s)

    async def exchange(
        self, model: str, request: Request, send: Callable[[pb.Call], Awaitable[pb.Outcome]], timeout_s: float
    ) -> Outcome:
        """Put what is large, `send` the message, and get what is large of its outcome.

        All of it once more where the server has lost content meanwhile, under the same request id.
        """
        request = self._named(request)
        try:
            return await self._exchange(model, request, send, timeout_s)
        except ContentNotFoundError:
            return await self._exchange(model, request, send, timeout_s)

    async def _exchange(
        self, model: str, request: Request, send: Callable[[pb.Call], Awaitable[pb.Outcome]], timeout_s: float
    ) -> Outcome:
        refs = await self._contents.put(request.parts, timeout_s)
        try:
            outcome = await send(self._message(model, request, refs))
            return read_outcome(outcome, await self._contents.get(outcome, timeout_s))
        except ContentNotFoundError:
            self._contents.forget(refs)
            raise

    def _named(self, request: Request) -> Request:
        return request if request.id else replace(request, id=f"{self._prefix}-{next(self._numbers)}")

    def _message(self, model: str, request: Request, refs: Refs) -> pb.Call:
        message = call_to_proto(model, request, refs)
        message.accepts_content_refs = True
        check(message)
        return message

    def stream_generate(
        self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> AsyncGenerator[PartSlice | Outcome]:
        """Slices as they come, and last the whole outcome; nothing counts unless that last one arrives."""
        return self._stream(model, replace(request, call=Call.GENERATE), timeout_s, PartReassembly)

    def stream_parts(
        self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> AsyncGenerator[Part | Outcome]:
        """As `stream_generate`, but each part as soon as it is whole instead of its slices."""
        return self._stream(model, replace(request, call=Call.GENERATE), timeout_s, WholePartReassembly)

    def stream_language(
        self, model: str, request: Request, *, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> AsyncGenerator[str | Outcome]:
        """Text as it is written, and last the whole outcome; nothing counts unless that last one arrives.

        A refusal may come after text, and voids it.
        """
        return self._stream(model, replace(request, call=Call.LANGUAGE), timeout_s, TextReassembly)

    async def _stream(
        self, model: str, request: Request, timeout_s: float, reassembly: type[Reassembly]
    ) -> AsyncGenerator[Any]:
        request, begun = self._named(request), False
        for last in (False, True):
            try:
                async with aclosing(self._stream_once(model, request, timeout_s, reassembly)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            except ContentNotFoundError:
                if begun or last:
                    raise

    async def _stream_once(
        self, model: str, request: Request, timeout_s: float, reassembly: type[Reassembly]
    ) -> AsyncGenerator[Any]:
        method, request_type = _STREAMS[request.call]
        refs = await self._contents.put(request.parts, timeout_s)
        message, whole = self._message(model, request, refs), reassembly(self.options.message_bytes)
        stream = getattr(self._stub, method)(
            request_type(call=message), timeout=timeout_s, metadata=self.options.metadata()
        )
        self._streams.add(stream)
        try:
            async for event in stream:
                for piece in whole.add(event):
                    yield piece
        except grpc.RpcError as error:
            found = from_rpc_error(error)
            if isinstance(found, ContentNotFoundError):
                self._contents.forget(refs)
            raise found from error
        finally:
            stream.cancel()
        yield read_outcome(whole.outcome())

    async def _call(self, method: str, message: Any, timeout_s: float) -> Any:
        """The response, tried for as often as it pays."""

        async def attempt() -> Any:
            try:
                return await getattr(self._stub, method)(message, timeout=timeout_s, metadata=self.options.metadata())
            except grpc.RpcError as error:
                raise from_rpc_error(error) from error

        return await self.options.retry.until_done(attempt)

    def open_stream(self) -> Any:
        """A raw Pipeline stream; `echelon.clients.pipeline` builds on it."""
        stream = self._stub.Pipeline(metadata=self.options.metadata())
        self._streams.add(stream)
        return stream


def read_outcome(message: pb.Outcome, contents: Mapping[bytes, bytes] = NO_CONTENTS) -> Outcome:
    """The outcome in a message from a server that need not be ours; `contents` are what its content_refs stand for."""
    try:
        return believed(message, partial(outcome_from_proto, contents=contents))
    except OutputInvalidError as error:
        raise OutputInvalidError(str(error), usage=usage_from_proto(message.usage)) from error.__cause__


def _info(model: pb.Model) -> ModelInfo:
    identity = identity_from_proto(model.identity) if model.identity.digest else None
    return ModelInfo(card_from_proto(model.card), _STATES.get(model.state, "unknown"), identity)


_METHODS: dict[Call, tuple[str, Any]] = {
    Call.COMPREHEND: ("Comprehend", pb.ComprehendRequest),
    Call.GENERATE: ("Generate", pb.GenerateRequest),
    Call.LANGUAGE: ("Language", pb.LanguageRequest),
}
_STREAMS: dict[Call, tuple[str, Any]] = {
    Call.GENERATE: ("StreamGenerate", pb.StreamGenerateRequest),
    Call.LANGUAGE: ("StreamLanguage", pb.StreamLanguageRequest),
}
