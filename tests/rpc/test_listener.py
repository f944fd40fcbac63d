"""Health, reflection, binding and draining, as every service of ours has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from echelon.adapters import Call, Request, errors
from echelon.clients import AsyncClient, Options, Retry

Serving = Callable[..., Any]
STATES = health_pb2.HealthCheckResponse
ONCE = Options(retry=Retry(attempts=1))


async def health(channel: grpc.aio.Channel, service: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    response = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    status: int = response.status
    return status


def watch(channel: grpc.aio.Channel, service: str) -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service))


async def test_health_follows_a_model_from_loading_to_draining(serving: Serving, tmp_path: Path) -> None:
    opens = tmp_path / "opens"
    models = [
        {"name": "parrot", "adapter": "acme", "settings": {"opens_when": str(opens)}},
        {"name": "closed", "adapter": "acme-closed"},
    ]
    async with (
        serving(models, loads=False, drain_s=30.0) as server,
        grpc.aio.insecure_channel(server.listener.address) as channel,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        loading = asyncio.create_task(server.load())
        watched = watch(channel, "parrot")
        assert (await watched.read()).status == STATES.NOT_SERVING
        assert await health(channel, "") == STATES.SERVING
        assert await health(channel, "echelon.v1.ModelService") == STATES.SERVING
        with pytest.raises(errors.ModelNotReadyError, match="'parrot' is loading") as caught:
            await client.ask("parrot", Request(Call.COMPREHEND))
        assert caught.value.retry_after_s == 1.0
        opens.touch()
        assert (await watched.read()).status == STATES.SERVING
        assert list(await loading) == ["closed"]
        assert await health(channel, "parrot") == STATES.SERVING
        assert await health(channel, "closed") == STATES.NOT_SERVING
        with pytest.raises(errors.ModelNotReadyError, match="'closed' is failed"):
            await client.ask("closed", Request(Call.COMPREHEND))
        started = time.monotonic()
        stopping = asyncio.create_task(server.stop())
        assert (await watched.read()).status == STATES.NOT_SERVING
        await stopping
        # A watcher that stays must not hold up the drain.
        assert time.monotonic() - started < 5


async def test_health_of_an_unknown_name_is_not_found(serving: Serving) -> None:
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(channel, "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def reflected(address: str, **question: Any) -> Any:
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        stream = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)]))
        return await stream.read()


async def test_reflection_lists_the_services_and_shows_their_messages(serving: Serving) -> None:
    async with serving() as server:
        listed = await reflected(server.listener.address, list_services="")
        file = await reflected(server.listener.address, file_containing_symbol="echelon.v1.ComprehendRequest")
    names = {service.name for service in listed.list_services_response.service}
    health_name, reflection_name = "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"
    open_inference = "inference.GRPCInferenceService"
    assert names == {"echelon.v1.ModelService", open_inference, health_name, reflection_name}
    assert b"ComprehendRequest" in b"".join(file.file_descriptor_response.file_descriptor_proto)


async def test_reflection_can_be_off(serving: Serving) -> None:
    async with serving(reflection=False) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reflected(server.listener.address, list_services="")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_open_reflection_stream_does_not_hold_up_the_drain(serving: Serving) -> None:
    async with serving(drain_s=30.0) as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        stream = stub.ServerReflectionInfo()
        await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await stream.read()
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 5


async def test_a_drain_lets_calls_finish_and_refuses_new_ones(serving: Serving, tmp_path: Path, until: Any) -> None:
    gate = tmp_path / "gate"
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(gate)}}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        held = asyncio.create_task(client.ask("parrot", Request(Call.COMPREHEND, "wait")))
        await until(lambda: server.listener.admission.calls)
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.05)
        with pytest.raises((errors.UnreachableError, errors.ModelNotReadyError)):
            await client.ask("parrot", Request(Call.COMPREHEND, "too late"))
        gate.touch()
        assert await held
        await stopping


async def test_a_call_that_outlives_the_drain_is_cut(serving: Serving, tmp_path: Path, until: Any) -> None:
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]
    async with serving(models, drain_s=0.1) as server, AsyncClient(server.listener.address, ONCE) as client:
        held = asyncio.create_task(client.ask("parrot", Request(Call.COMPREHEND, "wait")))
        await until(lambda: server.listener.admission.calls)
        started = time.monotonic()
        await server.stop()
        with pytest.raises(errors.UnreachableError):
            await held
        assert time.monotonic() - started < 5


async def test_a_second_server_on_the_port_is_refused(serving: Serving) -> None:
    async with serving() as server:
        with pytest.raises(errors.ConfigurationError, match=rf"cannot listen on {server.listener.address}: in use"):
            async with serving(listen=server.listener.address):
                pass


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.1.2.3:0", "example.com:0"])
@pytest.mark.parametrize("half", [{}, {"token_file": "tokens"}, {"tls": {"certificate": "c", "key": "k"}}])
async def test_a_public_address_without_tls_and_authentication_is_refused(
    serving: Serving, listen: str, half: dict[str, Any]
) -> None:
    with pytest.raises(errors.ConfigurationError, match="without TLS and authentication"):
        async with serving(listen=listen, **half):
            pass


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "localhost:0", "127.8.8.8:0"])
async def test_a_loopback_address_is_served_as_it_is(serving: Serving, listen: str) -> None:
    async with serving(listen=listen) as server, AsyncClient(server.listener.address) as client:
        assert len(await client.models()) == 1


async def test_a_unix_socket_is_served(serving: Serving, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'socket'}"
    async with serving(listen=address) as server, AsyncClient(server.listener.address) as client:
        assert len(await client.models()) == 1
        assert server.listener.address == address


@pytest.mark.parametrize("listen", ["50051", "localhost", "host:port", "127.0.0.1:65536", "unix:", ""])
async def test_an_address_that_is_none_is_told(serving: Serving, listen: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="write HOST:PORT, or unix:PATH"):
        async with serving(listen=listen):
            pass


@pytest.mark.parametrize(
    "wrong", [{"drain_s": 0}, {"log_one_in": -1}, {"limits": {"calls": 0}}, {"limits": {"message_bytes": -5}}]
)
async def test_limits_that_let_nothing_through_are_refused(serving: Serving, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError, match="must be above 0"):
        async with serving(**wrong):
            pass
