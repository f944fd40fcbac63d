"""The life of an adapter's process: it introduces itself, opens the adapter it is told, answers calls, and closes."""

from __future__ import annotations

import os
import platform
import resource
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.errors import SettingsError
from echelon.adapters.hosting import open_adapter
from echelon.adapters.registry import Registry
from echelon.adapters.worker.batches import Batches
from echelon.adapters.worker.frames import PROTOCOL, Connection
from echelon.adapters.worker.replies import Replies
from echelon.adapters.worker.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

BEAT_S = 1.0
"""How often a process shows that it is alive."""


def serve(connection: Connection) -> None:
    """Serve one adapter until the server says that it is enough."""
    connection.send(0, "hello", {"protocol": PROTOCOL, "python": platform.python_version(), "pid": os.getpid()})
    threading.Thread(target=_beat, args=(connection,), name="heartbeat", daemon=True).start()
    frame = connection.receive()
    told: dict[str, Any] = frame.value
    connection.gives_bytes = told["frame_bytes"]
    replies = Replies(
        connection,
        message_bytes=told["message_bytes"],
        has_memory_limit="memory_mb" in told["limits"],
    )
    try:
        _limit(told["limits"])
        registry, name = Registry.installed(), told["adapter"]
        adapter_class = registry.load(name, trust=True)
        adapter, opened = open_adapter(adapter_class, told["plan"], registry.get(name))
    except BaseException as error:  # noqa: BLE001  (vendor code; the server tells of it)
        replies.failed(frame.call, error)
        return
    replies.done(frame.call, opened)
    calls = Batches(adapter, replies) if isinstance(adapter, BatchAdapter) else Tasks(adapter, replies)
    closing: list[int] = []
    threading.Thread(target=_read, args=(connection, calls, closing), name="calls", daemon=True).start()
    calls.work()
    try:
        adapter.close()
    except BaseException as error:  # noqa: BLE001  (vendor code; the server tells of it)
        replies.failed(closing[0], error)
    else:
        replies.done(closing[0], None)


def _read(connection: Connection, calls: Batches | Tasks, closing: list[int]) -> None:
    """Hand over what comes; `closing` gets the call that asks for the end."""
    while True:
        try:
            call, word, value = connection.receive()
        except (EOFError, OSError):
            # Nobody is left to answer to.
            os._exit(0)
        match word:
            case "cancel":
                calls.cancel(call, value)
            case "more":
                calls.more(call)
            case "close":
                closing.append(call)
                calls.end()
            case _:
                calls.begin(call, word, value)


def _beat(connection: Connection) -> None:
    with suppress(OSError):
        while True:
            time.sleep(BEAT_S)
            connection.send(0, "alive")


@dataclass(frozen=True)
class _Limit:
    kind: int
    unit: int = 1
    slack: int = 0
    """What the hard limit lies above the soft one, so that the signal of the soft one tells what happened."""


_LIMITS = {
    # Not the address space: CUDA and others reserve a lot of it and use little.
    "memory_mb": _Limit(resource.RLIMIT_DATA, unit=1 << 20),
    "cpu_s": _Limit(resource.RLIMIT_CPU, slack=5),
    "files": _Limit(resource.RLIMIT_NOFILE),
}


def _limit(limits: Mapping[str, int]) -> None:
    for name, most in limits.items():
        limit = _LIMITS[name]
        try:
            resource.setrlimit(limit.kind, (most * limit.unit, most * limit.unit + limit.slack))
        except (ValueError, OSError) as error:
            raise SettingsError(f"the limit {name} of {most} cannot be set: {error}") from error
