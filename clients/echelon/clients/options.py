"""How a client connects and how long it tries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import grpc

from echelon.adapters.errors import AdapterFailedError, ConfigurationError, EchelonError
from echelon.clients.target import check_address
from echelon.rpc.config import is_local
from echelon.wire.contents import LARGE_BYTES

MIB = 1 << 20
T = TypeVar("T")


@dataclass(frozen=True)
class Tls:
    """TLS to the server; without `root` the system's authorities count, with `certificate` and `key` it is mutual."""

    root: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    """Expected in the server's certificate instead of the address."""

    def credentials(self) -> grpc.ChannelCredentials:
        """The channel credentials; ConfigurationError names what is missing, or a file that holds no such thing."""
        if (self.certificate is None) is not (self.key is None):
            raise ConfigurationError("our TLS certificate and its key go together; give both, or none")
        try:
            root, key, certificate = (
                path.read_bytes() if path is not None else None for path in (self.root, self.key, self.certificate)
            )
        except OSError as error:
            raise ConfigurationError(f"cannot read the TLS file {error.filename}: {error.strerror}") from error
        for path, text, mark in (
            (self.root, root, b"CERTIFICATE"),
            (self.certificate, certificate, b"CERTIFICATE"),
            (self.key, key, b"PRIVATE KEY"),
        ):
            # gRPC would try, and fail, for as long as anybody waits.
            if text is not None and mark + b"-----" not in text:
                raise ConfigurationError(f"the TLS file {path} holds no {mark.decode().lower()} in PEM form")
        return grpc.ssl_channel_credentials(root, key, certificate)


@dataclass(frozen=True)
class Retry:
    """How often and how patiently a call is tried again; what is worth it, the error's reason says."""

    attempts: int = 4
    first_delay_s: float = 0.1
    factor: float = 2.0
    longest_delay_s: float = 5.0

    def delay_s(self, attempt: int, error: EchelonError) -> float | None:
        """Seconds to wait before trying again after `attempt` (from 1) ended with `error`; None to give up."""
        # An adapter that raised may have met bad luck once; twice is its nature.
        allowed = min(self.attempts, 2) if isinstance(error, AdapterFailedError) else self.attempts
        if not error.retryable or attempt >= allowed:
            return None
        return max(error.retry_after_s or 0.0, self.pause_s(attempt))

    def pause_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        pause_s = min(self.longest_delay_s, self.first_delay_s * self.factor ** (failures - 1))
        # Those that failed together must not come back together.
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)

    async def until_done(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` gives, tried again for as long as it pays."""
        for number in count(1):
            try:
                return await attempt()
            except EchelonError as error:
                delay_s = self.delay_s(number, error)
                if delay_s is None:
                    raise
                await asyncio.sleep(delay_s)
        raise AssertionError("count() does not end")


@dataclass(frozen=True)
class Options:
    """Everything about a connection but its address."""

    tls: Tls | None = None
    token: str = ""
    """Bearer token; never sent in the clear to another machine."""
    retry: Retry = Retry()
    message_bytes: int = 64 * MIB
    large_bytes: int = LARGE_BYTES
    """From this size on, the data of a part is put by itself, in chunks."""

    def channel(self, address: str) -> grpc.aio.Channel:
        """A channel to `address`; connects on first use. ConfigurationError where that cannot be tried."""
        check_address(address)
        if self.token and self.tls is None and not is_local(address):
            raise ConfigurationError(f"refusing to send a token to {address} in the clear; use TLS")
        options: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", self.message_bytes),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # A server that comes back should be found within seconds.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # Retries are this library's, by reason.
            ("grpc.enable_retries", 0),
        ]
        if self.tls is None:
            return grpc.aio.insecure_channel(address, options)
        if self.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return grpc.aio.secure_channel(address, self.tls.credentials(), options)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()
