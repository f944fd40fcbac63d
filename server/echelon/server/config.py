"""What a server is told: where to listen and which models to hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from echelon.adapters.errors import ConfigurationError, SettingsError
from echelon.adapters.settings import load, read_yaml
from echelon.clients import Target, Tls, parse_target
from echelon.rpc.config import ListenerConfig
from echelon.server.hosts.host import Isolation

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ProcessConfig:
    """The process of its own that an adapter runs in."""

    python: Path | None = None
    """An interpreter, or the folder of a virtual environment; None takes the server's own."""
    environment: dict[str, str | None] = field(default_factory=dict)
    """Variables for it beside the few that it gets anyway; null passes the server's own value on."""
    memory_mb: int | None = None
    """Memory that it may write to, in MiB."""
    cpu_s: int | None = None
    """Processor seconds after which it is ended, and started again."""
    files: int | None = None
    """Files that it may have open."""
    load_s: float = 600.0
    """How long it may take until its adapter is open."""
    stuck_s: float = 60.0
    """How long it may be silent, or work on a call whose deadline is over, before it is killed and started again."""

    def __post_init__(self) -> None:
        for name in ("memory_mb", "cpu_s", "files", "load_s", "stuck_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above 0, not {value}")

    def limits(self) -> dict[str, int]:
        """What is limited, and to how much."""
        return {name: value for name in ("memory_mb", "cpu_s", "files") if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class RemoteConfig:
    """A model on another server that speaks the contract, and how to get there."""

    target: str
    """`ADDRESS/MODEL`: any gRPC address, and the model's name there."""
    tls: Tls | None = None
    """TLS to that server; `{}` trusts the system's authorities."""
    token_file: Path | None = None
    """Its first line is the bearer token; read again when the file changes."""

    def __post_init__(self) -> None:
        try:
            self.parsed_target()
        except ConfigurationError as error:
            raise ValueError(str(error)) from None

    def parsed_target(self) -> Target:
        """Address and model."""
        return parse_target(self.target)


_OF_ADAPTERS: dict[str, Any] = {
    "adapter": "",
    "settings": {},
    "settings_file": None,
    "max_batch_size": None,
    "max_delay_ms": 0.0,
    "process": ProcessConfig(),
    "instances": 1,
    "devices": [],
}
"""What only a model with an adapter here can be told, and how it reads where it is not told."""


@dataclass(frozen=True)
class ModelConfig:
    """One model: a name, and an adapter with its settings, or the server that holds it."""

    name: str
    adapter: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    settings_file: Path | None = None
    """Instead of `settings`."""
    folder: Path = Path()
    """What paths in `settings` are relative to; in a file, the file's own folder."""
    max_batch_size: int | None = None
    """Calls of one batch at most; None measures what pays when the model loads."""
    max_delay_ms: float = 0.0
    """How long a free worker waits for a fuller batch; 0 never waits."""
    queue_size: int = 4096
    """Calls that may wait for this model."""
    isolation: Isolation | None = None
    """Where the adapter's code runs; None: Echelon's own in the server's process, anybody else's in one of its own."""
    process: ProcessConfig = field(default_factory=ProcessConfig)
    instances: int = 1
    """Copies of the adapter, on each device, that share the model's queue."""
    devices: list[int] = field(default_factory=list)
    """Numbers of GPUs: a process sees its own alone, an adapter inside the server is told by its setting `device`."""
    remote: RemoteConfig | None = None
    """Instead of an adapter."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"the model name {self.name!r} must be 1 to 64 lower case letters, digits, '.', '_' or '-'"
            )
        if self.settings and self.settings_file is not None:
            raise ValueError("give settings or settings_file, not both")
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise ValueError("max_batch_size must be at least 1")
        if self.max_delay_ms < 0 or self.queue_size < 1:
            raise ValueError("max_delay_ms must be at least 0, and queue_size at least 1")
        if self.instances < 1 or min(self.devices, default=0) < 0 or len(set(self.devices)) < len(self.devices):
            raise ValueError("instances must be at least 1, and devices numbers from 0 up, each once")
        if self.isolation is Isolation.INPROC and self.process != ProcessConfig():
            raise ValueError("process settings are for an adapter in a process of its own; leave isolation: inproc out")
        self._check_place()

    def _check_place(self) -> None:
        if self.remote is None:
            if self.isolation is Isolation.REMOTE:
                raise ValueError("isolation: remote needs the server's address, as remote: {target: ADDRESS/MODEL}")
            if not self.adapter:
                raise ValueError("'adapter' is required, or 'remote' for a model on another server")
        elif given := [name for name, unset in _OF_ADAPTERS.items() if getattr(self, name) != unset]:
            raise ValueError(f"a remote model's server decides on {', '.join(given)}; leave that out beside 'remote'")
        elif self.isolation not in (None, Isolation.REMOTE):
            raise ValueError(f"a remote model is not {self.isolation}; leave isolation out")

    def values(self) -> tuple[dict[str, Any], Path]:
        """The plain settings, and the folder that paths in them are relative to."""
        if self.settings_file is None:
            return self.settings, self.folder
        return read_yaml(self.settings_file), self.settings_file.parent


@dataclass(frozen=True)
class ServerConfig:
    """A whole server."""

    listener: ListenerConfig = field(default_factory=ListenerConfig)
    models: list[ModelConfig] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"more than one model is called {', '.join(twice)}")
        for model in self.models:
            if model.remote is not None and model.remote.parsed_target() == (self.listener.listen, model.name):
                raise ValueError(f"the remote model {model.name} is its own target, {model.remote.target}")


def read(path: Path) -> ServerConfig:
    """The configuration in a YAML file; paths in it are relative to it."""
    config = load(ServerConfig, read_yaml(path), folder=path.parent, where=str(path))
    here = [model if model.folder != Path() else replace(model, folder=path.parent) for model in config.models]
    return replace(config, models=here)


def from_options(base: ServerConfig, listen: str | None, models: Sequence[str]) -> ServerConfig:
    """`base` with what the command line adds: `NAME=ADAPTER[:settings.yaml]` for each model."""
    try:
        listener = base.listener if listen is None else replace(base.listener, listen=listen)
        return ServerConfig(listener, [*base.models, *(_model(text) for text in models)])
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _model(text: str) -> ModelConfig:
    name, equals, rest = text.partition("=")
    adapter, _, settings = rest.partition(":")
    if not name or not equals or not adapter:
        raise SettingsError(f"--model {text}: must be NAME=ADAPTER or NAME=ADAPTER:settings.yaml")
    return ModelConfig(name, adapter, settings_file=Path(settings) if settings else None)
