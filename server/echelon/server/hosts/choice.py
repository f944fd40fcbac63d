"""Which hosts a model gets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from echelon.adapters.errors import ConfigurationError
from echelon.adapters.hosting import Plan
from echelon.adapters.registry import Entry, Registry
from echelon.adapters.settings import nearest
from echelon.rpc.config import Limits
from echelon.server.config import ModelConfig
from echelon.server.hosts.host import Host, Isolation
from echelon.server.hosts.inproc import InProcess
from echelon.server.hosts.interpreter import Interpreter
from echelon.server.hosts.process import Start
from echelon.server.hosts.remote import Remote
from echelon.server.hosts.supervised import Supervised

_DEVICES = "CUDA_VISIBLE_DEVICES"
_PLACES = frozenset((_DEVICES, "NVIDIA_VISIBLE_DEVICES"))
"""Variables that say where a process runs and change no answer."""
_EXPANSION = 4
"""What a message may be larger as a frame: numbers are text there."""


def hosts_of(config: ModelConfig, registry: Registry, trust: Collection[str], limits: Limits) -> list[Host]:
    """The hosts of a model; AdapterNotFoundError, AdapterLoadError or ConfigurationError where it can have none."""
    if config.remote is not None:
        return [Remote(config.name, config.remote, limits)]
    # Another environment's adapters are known there alone.
    entry = None if config.process.python is not None else registry.get(config.adapter)
    make: Callable[[int | None], Host]
    if _isolation(config, entry, trust) is Isolation.INPROC:
        adapter_class = registry.load(config.adapter, trust=True)
        make = lambda device: InProcess(config.name, adapter_class, partial(_plan, config, device), entry)  # noqa: E731  (two makers of one name)
    else:
        make = partial(_supervised, config, limits)
    devices: list[int | None] = [*config.devices] or [None]
    return [make(device) for device in devices for _ in range(config.instances)]


def check_trust(registry: Registry, trust: Collection[str]) -> None:
    """ConfigurationError for the name of a distribution that brings no adapter: it is misspelt, or not installed."""
    known = {entry.distribution for entry in registry.entries()} if trust else set()
    for name in trust:
        if name not in known:
            raise ConfigurationError(
                f"--trust {name}: no distribution of that name has an adapter{nearest(name, known)}"
            )


def _isolation(config: ModelConfig, entry: Entry | None, trust: Collection[str]) -> Isolation:
    if config.isolation is not None:
        return config.isolation
    runs_here = (
        entry is not None and (entry.own or entry.distribution in trust) and config.process == type(config.process)()
    )
    return Isolation.INPROC if runs_here else Isolation.SUBPROCESS


def _plan(config: ModelConfig, device: int | None = None) -> Plan:
    values, folder = config.values()
    given = f"settings of model {config.name!r}" if values else f"model {config.name!r} was given no settings"
    where = str(config.settings_file or given)
    given_values = values if device is None else {**values, "device": f"cuda:{device}"}
    asked = config.process.environment.items()
    environment = tuple(sorted((name, each) for name, each in asked if each is not None and name not in _PLACES))
    return Plan(given_values, str(folder), where, environment)


def _supervised(config: ModelConfig, limits: Limits, device: int | None) -> Supervised:
    settings = config.process
    interpreter = Interpreter(settings.python)
    environment = settings.environment if device is None else {**settings.environment, _DEVICES: str(device)}

    def start() -> Start:
        interpreter.prepare()
        return Start(
            adapter=config.adapter,
            python=str(interpreter.path),
            environment=interpreter.environment(environment),
            plan=_plan(config),
            limits=settings.limits(),
            message_bytes=limits.message_bytes,
            frame_bytes=max(_EXPANSION * limits.message_bytes, limits.content_bytes_per_peer),
            load_s=settings.load_s,
            stuck_s=settings.stuck_s,
        )

    return Supervised(config.name, start, load_s=settings.load_s, release=interpreter.close)
