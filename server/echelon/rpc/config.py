"""How a service of ours listens: addresses, credentials, limits, times."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from echelon.adapters.errors import ConfigurationError

MIB = 1 << 20


@dataclass(frozen=True)
class TlsConfig:
    """PEM files of the listener; they are read again when they change, for every new connection."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """Where set, clients must show a certificate that this authority signed."""


@dataclass(frozen=True)
class Limits:
    """Ceilings of one listener."""

    message_bytes: int = 64 * MIB
    """Of one message, both ways."""
    calls: int = 1024
    """Calls admitted at once, waiting or running."""
    bytes: int = 512 * MIB
    """Of all admitted calls together."""
    default_deadline_s: float = 600.0
    """For calls that come without one; longer ones are cut to it."""
    remembered_calls: int = 10_000
    """Outcomes kept for retries under the same request id."""
    remembered_bytes: int = 256 * MIB
    content_bytes: int = 512 * MIB
    """Of content that was put, or waits to be got, for all peers together."""
    content_bytes_per_peer: int = 256 * MIB
    content_s: float = 600.0
    """How long content stays after it was put."""

    def __post_init__(self) -> None:
        _check_positive(self)


@dataclass(frozen=True)
class ListenerConfig:
    """One gRPC listener."""

    listen: str = "127.0.0.1:50051"
    """`host:port` (port 0: any free one) or `unix:path`."""
    tls: TlsConfig | None = None
    token_file: Path | None = None
    """Bearer tokens, one a line; read again when the file changes."""
    limits: Limits = field(default_factory=Limits)
    reflection: bool = True
    drain_s: float = 30.0
    """How long calls may go on after SIGTERM."""
    log_one_in: int = 100
    """Of successful calls, log one in so many; failures are always logged."""

    def __post_init__(self) -> None:
        _check_positive(self)
        port = re.fullmatch(r"unix:.+|.+:(\d{1,5})", self.listen)
        # gRPC would take a larger one for what is left of it modulo 65536.
        if port is None or int(port.group(1) or 0) > 65_535:
            raise ValueError(f"listen is {self.listen!r}; write HOST:PORT, or unix:PATH; a port is 65535 at most")

    def check(self) -> None:
        """Refuse to be public without encryption and authentication."""
        if is_local(self.listen):
            return
        authenticated = self.token_file is not None or (self.tls is not None and self.tls.client_ca is not None)
        if self.tls is None or not authenticated:
            raise ConfigurationError(
                f"refusing to listen on {self.listen}, which others can reach, without TLS and authentication; "
                "set tls, and token_file or tls.client_ca, or listen on 127.0.0.1"
            )


def _check_positive(values: Limits | ListenerConfig) -> None:
    for field_ in fields(values):
        value = getattr(values, field_.name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
            raise ValueError(f"{field_.name} must be above 0, not {value}")


def is_local(address: str) -> bool:
    """Whether what goes to `address` stays on this machine."""
    if address.startswith("unix:"):
        return True
    host = address.removeprefix("dns:///").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
