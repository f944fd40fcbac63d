"""What stands around every method: authenticates, maps exceptions, logs; nothing of a failure leaks.

Methods are wrapped when they are added, which costs a call less than an interceptor does.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from echelon.adapters.errors import EchelonError, InvalidInputError
from echelon.rpc.credentials import Tokens
from echelon.rpc.log import CallLog
from echelon.wire.status import to_status

Handler = Any
"""grpc.RpcMethodHandler; its stubs know only the synchronous kind."""
Parse = Callable[[Any], Any]
Context = grpc.aio.ServicerContext[Any, Any]


class IncidentError(EchelonError):
    """An exception nobody planned for; the log has it under the incident id."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"internal error, incident {incident}")


class Guard:
    """Stands around every method of a listener; those named in `public`, with their service, want no token."""

    def __init__(self, log: CallLog, tokens: Tokens | None, *, public: Sequence[str]) -> None:
        self._log = log
        self._tokens = tokens
        self._public = public
        self._endless: set[asyncio.Task[Any]] = set()
        self._cutting = False

    def protect(self, service: str, handlers: Mapping[str, Handler], *, endless: bool) -> grpc.GenericRpcHandler:
        """The methods of `service`, each behind the guard; `endless` where its streams end only with their client."""
        wrapped = {name: self._wrap(f"/{service}/{name}", handler, endless) for name, handler in handlers.items()}
        return grpc.method_handlers_generic_handler(service, wrapped)

    def cut(self) -> None:
        """End the endless streams, for which no drain could wait."""
        self._cutting = True
        for task in self._endless:
            task.cancel()

    def _wrap(self, method: str, handler: Handler, endless: bool) -> Handler:
        # Single requests are parsed behind the guard: only for those who may call, and with an error that is ours.
        parse = _unchanged if handler.request_streaming else partial(_parse, handler.request_deserializer)
        streamed_parse = handler.request_deserializer if handler.request_streaming else None
        if handler.response_streaming:
            streaming = self._streaming(method, parse, handler.stream_stream or handler.unary_stream, endless)
            make = _STREAMING[handler.request_streaming]
            return make(streaming, streamed_parse, handler.response_serializer)
        single = self._single(method, parse, handler.stream_unary or handler.unary_unary)
        return _SINGLE[handler.request_streaming](single, streamed_parse, handler.response_serializer)

    def _single(self, method: str, parse: Parse, behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        tokens = self._tokens_for(method)

        async def answer(request: Any, context: Context) -> Any:
            started = time.perf_counter()
            try:
                if tokens is not None:
                    tokens.check(context)
                request = parse(request)
                response = await behaviour(request, context)
            except BaseException as error:  # noqa: BLE001  (nothing may leak; _fail re-raises what is not ours)
                await self._fail(method, started, request, context, error)
            else:
                self._log.succeeded(method, started, request)
                return response

        return answer

    def _streaming(self, method: str, parse: Parse, behaviour: Any, endless: bool) -> Any:
        writes = not inspect.isasyncgenfunction(behaviour)
        tokens = self._tokens_for(method)

        async def answer(request: Any, context: Context) -> None:
            started = time.perf_counter()
            try:
                if endless:
                    self._remember()
                if tokens is not None:
                    tokens.check(context)
                request = parse(request)
                if writes:
                    await behaviour(request, context)
                else:
                    await _write_all(behaviour(request, context), context)
                self._log.succeeded(method, started, request)
            except BaseException as error:  # noqa: BLE001  (nothing may leak; _fail re-raises what is not ours)
                await self._fail(method, started, request, context, error)

        return answer

    def _tokens_for(self, method: str) -> Tokens | None:
        return None if method in self._public else self._tokens

    def _remember(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._endless.add(task)
        task.add_done_callback(self._endless.discard)

    async def _fail(self, method: str, started: float, request: Any, context: Context, error: BaseException) -> None:
        if self._cutting and asyncio.current_task() in self._endless:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        # Swallowing a cancellation would leak the stream (grpc/grpc #43360); an abort has been mapped already.
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | grpc.aio.AbortError):
            raise error
        shown = error if isinstance(error, EchelonError) else self.incident(error)
        self._log.failed(method, started, request, shown)
        status = rpc_status.to_status(to_status(shown))
        trailers = status.trailing_metadata
        if shown.retry_after_s is not None:
            trailers += (("grpc-retry-pushback-ms", str(int(shown.retry_after_s * 1000))),)
        await context.abort(status.code, status.details, trailers)

    def note(self, method: str, started: float, request: Any, error: EchelonError) -> None:
        """Log the failure of one call among many on a stream."""
        self._log.failed(method, started, request, error)

    def incident(self, error: BaseException) -> IncidentError:
        """Log `error` under a new incident id and give back what may be shown of it."""
        incident = secrets.token_hex(6)
        self._log.incident(incident, error)
        return IncidentError(incident)


# By whether requests are streamed.
_SINGLE = {False: grpc.unary_unary_rpc_method_handler, True: grpc.stream_unary_rpc_method_handler}
_STREAMING = {False: grpc.unary_stream_rpc_method_handler, True: grpc.stream_stream_rpc_method_handler}


def _parse(deserialize: Parse, data: bytes) -> Any:
    try:
        return deserialize(data)
    except DecodeError:
        raise InvalidInputError("the request is no message of this method") from None


def _unchanged(request: Any) -> Any:
    return request


async def _write_all(responses: AsyncGenerator[Any], context: Context) -> None:
    async with aclosing(responses) as opened:
        async for response in opened:
            await context.write(response)
