"""A gRPC listener with everything that every service of ours has: TLS, auth, guard, health, reflection, drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from echelon.adapters.errors import ConfigurationError
from echelon.rpc.admission import Admission
from echelon.rpc.config import ListenerConfig
from echelon.rpc.credentials import Tokens, server_credentials
from echelon.rpc.guard import Guard
from echelon.rpc.log import CallLog

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_MAX_METADATA_BYTES = 16 * 1024


class Listener:
    """Listens from `start` to `stop`; services are added in between construction and start."""

    def __init__(self, config: ListenerConfig) -> None:
        config.check()
        self.config = config
        self.admission = Admission(config.limits)
        self.log = CallLog(config.log_one_in)
        self.guard = Guard(self.log, Tokens(config.token_file) if config.token_file else None)
        self.server = grpc.aio.server(interceptors=[self.guard], options=_options(config))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        self._services = [health.SERVICE_NAME]
        self.address = ""

    def add(self, service: str, register: Callable[[Any], None]) -> None:
        """Add a service by its full name; `register` gets the server."""
        register(self.server)
        self._services.append(service)

    async def start(self) -> str:
        """Bind and serve; the address, with the port in use. ConfigurationError where it cannot be had."""
        if self.config.reflection:
            reflection.enable_server_reflection([*self._services, reflection.SERVICE_NAME], self.server)
        self.address = self._bind()
        await self.server.start()
        return self.address

    def _bind(self) -> str:
        listen = self.config.listen
        try:
            if self.config.tls is None:
                port = self.server.add_insecure_port(listen)
            else:
                port = self.server.add_secure_port(listen, server_credentials(self.config.tls))
        except RuntimeError as error:
            raise ConfigurationError(
                f"cannot listen on {listen}: in use, not allowed, or no address of this machine; "
                "choose another with --listen"
            ) from error
        return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

    async def set_health(self, service: str, serving: bool) -> None:
        """Tell watchers of `service` ("" for the whole server) whether it can answer."""
        await self._health.set(service, SERVING if serving else NOT_SERVING)

    async def stop(self, on_drain: Callable[[], None] | None = None) -> None:
        """Refuse new calls, let the others finish for `drain_s`, then stop."""
        await self._health.enter_graceful_shutdown()
        if on_drain is not None:
            on_drain()
        await self.server.stop(self.config.drain_s)

    async def wait(self) -> None:
        """Until the listener has stopped."""
        await self.server.wait_for_termination()


def _options(config: ListenerConfig) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.max_receive_message_length", config.limits.message_bytes),
        ("grpc.max_send_message_length", config.limits.message_bytes),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        # A second server on the port must fail, not share it silently.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 120_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        # Lets clients find new servers, and frees streams that hang.
        ("grpc.max_connection_age_ms", 1_800_000),
        ("grpc.max_connection_age_grace_ms", 300_000),
    )


def run(main: Callable[[], Any]) -> Any:
    """Run an async program on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())
