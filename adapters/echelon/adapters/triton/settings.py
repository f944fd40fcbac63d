"""Where Triton is, how to be let in, and which of its models a network is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from echelon.adapters.settings import NO_IDENTITY, SECRET


@dataclass(frozen=True, kw_only=True)
class Tls:
    """PEM files: who Triton must be, and who we are."""

    root_certificates: Path | None = None
    certificate_chain: Path | None = None
    private_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate_chain is None) != (self.private_key is None):
            raise ValueError("'certificate_chain' and 'private_key' go together")


@dataclass(frozen=True, kw_only=True)
class TritonSettings:
    """Which model folder to serve, and the Triton server behind it."""

    folder: Path
    url: str = "127.0.0.1:8001"
    tls: Tls | None = field(default=None, metadata=NO_IDENTITY)
    header_files: dict[str, Path] = field(default_factory=dict, metadata=SECRET)
    """Sent with every call to Triton: a header's name, and the file that holds its value."""
    shared_memory: Literal["auto", "off"] = field(default="auto", metadata=NO_IDENTITY)
    """`auto` hands large tensors over in shared memory, where Triton can reach ours."""
    shared_memory_mib: int = field(default=256, metadata=NO_IDENTITY)
    """What our regions may hold together."""
    open_timeout_s: float = field(default=30.0, metadata=NO_IDENTITY)
    """How long Triton and its models may take to be ready when the adapter opens."""


@dataclass(frozen=True, slots=True)
class TritonModel:
    """What a manifest says of a network: the name of a model of Triton, and which version; the newest by default."""

    model: str
    version: str = ""
