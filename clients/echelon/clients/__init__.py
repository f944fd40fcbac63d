"""Clients of Echelon's services: Python types in and out, our errors, never grpc's."""

from echelon.clients.async_client import AsyncClient, ModelInfo
from echelon.clients.client import Client
from echelon.clients.options import Options, Retry, Tls
from echelon.clients.pipeline import Pipeline
from echelon.clients.stream import PartSlice
from echelon.clients.target import Target, parse_target

__all__ = [
    "AsyncClient",
    "Client",
    "ModelInfo",
    "Options",
    "PartSlice",
    "Pipeline",
    "Retry",
    "Target",
    "Tls",
    "parse_target",
]
