"""Targets: a gRPC address and a model's name, as people write them."""

from __future__ import annotations

import re
from typing import NamedTuple

from echelon.adapters.errors import ConfigurationError

_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:")
"""What gRPC resolves by other ways than as a host and a port."""


class Target(NamedTuple):
    """`address` is any gRPC target: host:port, unix:path, dns:///host:port."""

    address: str
    model: str

    def __str__(self) -> str:
        return f"{self.address}/{self.model}"


def parse_target(text: str) -> Target:
    """The parts of `ADDRESS/MODEL`; the model's name follows the last slash."""
    address, slash, model = text.rpartition("/")
    if not slash or not address or not model or address.endswith("/"):
        raise ConfigurationError(f"{text!r} is no target; write ADDRESS/MODEL, for example 127.0.0.1:50051/my-model")
    return Target(address, model)


def check_address(address: str) -> None:
    """ConfigurationError for what gRPC would look up all the same, and not find: a URL, no port, a model's name."""
    if not address.startswith(_SCHEMES) and not re.fullmatch(r"[^/]+:\d{1,5}", address):
        raise ConfigurationError(f"{address!r} is no address; write HOST:PORT, such as 127.0.0.1:50051, or unix:PATH")
