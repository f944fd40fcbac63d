"""What has to be installed for a check, told before anything is imported that is not there."""

from __future__ import annotations

import importlib.util

from echelon.adapters.errors import MissingExtraError
from echelon.conformance.plan import Conformance

# Images are made up for the model, and Pillow writes them.
_CLIENT = ("grpc", "grpc_health", "grpc_status", "protovalidate", "PIL")
_SERVER = (*_CLIENT, "grpc_reflection", "structlog", "yaml")


def expect_installed(conformance: Conformance) -> None:
    """MissingExtraError names the extras: `client` and `media` for a model that is served, `server` for an adapter."""
    packages, extra = (_CLIENT, "client,media") if conformance.is_served else (_SERVER, "server")
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, extra)
