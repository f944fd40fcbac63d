"""What stands around every method: authenticates, maps exceptions, logs; nothing of a failure leaks.

Methods are wrapped when they are added. An interceptor would do the same, for 15 to 25 us more a call.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc_status import rpc_status

from echelon.adapters.errors import EchelonError
from echelon.rpc.credentials import Tokens
from echelon.rpc.log import CallLog
from echelon.wire.status import code, to_status

Handler = Any
"""grpc.RpcMethodHandler; its stubs know only the synchronous kind."""
Context = grpc.aio.ServicerContext[Any, Any]


class IncidentError(EchelonError):
    """An exception nobody planned for; the log has it under the incident id."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"internal error, incident {incident}")


class Guard:
    """Stands around every method of a listener."""

    def __init__(self, log: CallLog, tokens: Tokens | None) -> None:
        self._log = log
        self._tokens = tokens

    def protect(self, service: str, handlers: Mapping[str, Handler]) -> grpc.GenericRpcHandler:
        """The methods of `service`, each behind the guard."""
        wrapped = {name: self._wrap(f"/{service}/{name}", handler) for name, handler in handlers.items()}
        return grpc.method_handlers_generic_handler(service, wrapped)

    def _wrap(self, method: str, handler: Handler) -> Handler:
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            behaviour = handler.stream_stream or handler.unary_stream
            wrapped: Any = self._streaming(method, behaviour)
        else:
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            wrapped = self._single(method, handler.stream_unary or handler.unary_unary)
        return make(wrapped, handler.request_deserializer, handler.response_serializer)

    def _single(self, method: str, behaviour: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        async def answer(request: Any, context: Context) -> Any:
            started = time.perf_counter()
            try:
                if self._tokens is not None:
                    self._tokens.check(context)
                response = await behaviour(request, context)
            except BaseException as error:  # noqa: BLE001  (nothing may leak; _fail re-raises what is not ours)
                await self._fail(method, started, context, error)
            else:
                self._log.succeeded(method, started)
                return response

        return answer

    def _streaming(self, method: str, behaviour: Any) -> Any:
        writes = not inspect.isasyncgenfunction(behaviour)

        async def answer(request: Any, context: Context) -> None:
            started = time.perf_counter()
            try:
                if self._tokens is not None:
                    self._tokens.check(context)
                if writes:
                    await behaviour(request, context)
                else:
                    await _write_all(behaviour(request, context), context)
                self._log.succeeded(method, started)
            except BaseException as error:  # noqa: BLE001  (nothing may leak; _fail re-raises what is not ours)
                await self._fail(method, started, context, error)

        return answer

    async def _fail(self, method: str, started: float, context: Context, error: BaseException) -> None:
        # Swallowing a cancellation would leak the stream (grpc/grpc #43360); an abort has been mapped already.
        if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | grpc.aio.AbortError):
            raise error
        shown = error if isinstance(error, EchelonError) else self.incident(error)
        self._log.failed(method, started, shown.reason, code(shown).name, str(shown))
        if shown.retry_after_s is not None:
            pushback = ("grpc-retry-pushback-ms", str(int(shown.retry_after_s * 1000)))
            context.set_trailing_metadata((pushback,))
        await context.abort_with_status(rpc_status.to_status(to_status(shown)))

    def note(self, method: str, error: EchelonError) -> None:
        """Log the failure of one call among many on a stream."""
        self._log.failed(method, time.perf_counter(), error.reason, code(error).name, str(error))

    def incident(self, error: BaseException) -> IncidentError:
        """Log `error` under a new incident id and give back what may be shown of it."""
        incident = secrets.token_hex(6)
        self._log.incident(incident, error)
        return IncidentError(incident)


async def _write_all(responses: AsyncIterator[Any], context: Context) -> None:
    async for response in responses:
        await context.write(response)
