"""Asks a server for its health, as `grpc.health.v1` tells it."""

from __future__ import annotations

from typing import Any

import grpc

from echelon.adapters.errors import ModelNotFoundError
from echelon.clients.options import Options
from echelon.wire.status import from_rpc_error


async def serving(address: str, model: str = "", options: Options | None = None, *, timeout_s: float = 5.0) -> bool:
    """Whether `model` can answer, or without one the whole server; asked once, never tried again."""
    options = options or Options()
    async with options.channel(address) as channel:
        return await check(channel, address, model, options, timeout_s=timeout_s)


async def check(channel: grpc.aio.Channel, address: str, model: str, options: Options, *, timeout_s: float) -> bool:
    """The same over a channel that is open."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=model)
    try:
        answer = await stub.Check(request, timeout=timeout_s, metadata=options.metadata())
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            raise ModelNotFoundError(f"the server at {address} holds no model {model!r}") from error
        raise from_rpc_error(error) from error
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
