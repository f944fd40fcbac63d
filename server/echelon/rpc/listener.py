"""A gRPC listener with everything that every service of ours has: TLS, auth, guard, health, reflection, drain."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from echelon.adapters.errors import ConfigurationError
from echelon.rpc.admission import Admission
from echelon.rpc.config import ListenerConfig
from echelon.rpc.credentials import Tokens, server_credentials
from echelon.rpc.guard import Guard, Handler
from echelon.rpc.log import CallLog

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_PUBLIC = ("/grpc.health.v1.Health/Check",)
"""Orchestrators can send no token. A Watch, which may last for ever, wants one."""
_MAX_METADATA_BYTES = 16 * 1024
_LAST_WORD_S = 0.2


class Listener:
    """Listens from `start` to `stop`; services are added in between construction and start."""

    def __init__(self, config: ListenerConfig) -> None:
        config.check()
        self.config = config
        self.admission = Admission(config.limits)
        self.log = CallLog(config.log_one_in)
        self.guard = Guard(self.log, Tokens(config.token_file) if config.token_file else None, public=_PUBLIC)
        self._server = grpc.aio.server(options=_options(config))
        self._health = health.aio.HealthServicer()
        self._services: list[str] = []
        self._pools: list[DescriptorPool] = [descriptor_pool.Default()]
        self.address = ""
        self.add(health_pb2_grpc.add_HealthServicer_to_server, self._health, endless=True)

    def add(
        self,
        register: Callable[[Any, Any], None],
        servicer: Any,
        *,
        endless: bool = False,
        pool: DescriptorPool | None = None,
    ) -> None:
        """Add a service with its generated `add_..._to_server` function; see `Guard.protect` for `endless`.

        `pool` is where reflection finds its descriptors, if not in the default one.
        """
        if pool is not None:
            self._pools.append(pool)
        register(servicer, _Registrar(partial(self._add_handlers, endless)))

    def _add_handlers(self, endless: bool, service: str, handlers: Mapping[str, Handler]) -> None:
        self._server.add_generic_rpc_handlers((self.guard.protect(service, handlers, endless=endless),))
        self._services.append(service)

    async def start(self) -> str:
        """Bind and serve; the address, with the port in use. ConfigurationError where it cannot be had."""
        if self.config.reflection:
            names = [*self._services, reflection.SERVICE_NAME]
            servicer = reflection.aio.ReflectionServicer(names, _Pools(self._pools))
            self.add(reflection_pb2_grpc.add_ServerReflectionServicer_to_server, servicer, endless=True)
        self.address = self._bind()
        await self._server.start()
        return self.address

    def _bind(self) -> str:
        listen = self.config.listen
        try:
            _expect_silence(listen)
            if self.config.tls is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, server_credentials(self.config.tls))
        except (RuntimeError, OSError) as error:
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
        stopping = asyncio.create_task(self._server.stop(self.config.drain_s))
        # Who watches health hears of the end before the watch ends.
        await asyncio.wait({stopping}, timeout=_LAST_WORD_S)
        self.guard.cut()
        await stopping

    async def wait(self) -> None:
        """Until the listener has stopped."""
        await self._server.wait_for_termination()


def _expect_silence(listen: str) -> None:
    """OSError where somebody listens on a unix socket, which gRPC would replace all the same."""
    if not listen.startswith("unix:"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        # Whoever has no time for us now is alive too.
        probe.setblocking(False)
        # What a dead server left behind may be replaced.
        with suppress(FileNotFoundError, ConnectionRefusedError):
            probe.connect(listen.removeprefix("unix:").removeprefix("//"))
            raise OSError(errno.EADDRINUSE, "somebody listens there")


class _Pools:
    """Several descriptor pools, asked in turn."""

    def __init__(self, pools: Sequence[DescriptorPool]) -> None:
        self._pools = pools

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(self._find, method)

    def _find(self, method: str, *names: Any) -> Any:
        for pool in self._pools:
            with suppress(KeyError):
                return getattr(pool, method)(*names)
        raise KeyError(names)


class _Registrar:
    """Stands in for the server in generated code, which hands every method over by name."""

    def __init__(self, add: Callable[[str, Mapping[str, Handler]], None]) -> None:
        self.add_registered_method_handlers = add

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """The same methods once more, in the form of older gRPC."""


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
