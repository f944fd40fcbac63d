"""What a server is told: where to listen and which models to hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load, read_yaml
from echelon.rpc.config import ListenerConfig

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ModelConfig:
    """One model: a name, an adapter and the adapter's settings."""

    name: str
    adapter: str
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
