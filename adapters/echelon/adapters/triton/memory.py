"""Shared memory with a Triton on the same machine: regions that we make, and register with it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections import deque
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echelon.adapters.triton.connection import Connection

log = logging.getLogger(__name__)

LEAST_BYTES = 256 * 1024
"""Smaller tensors travel faster in the message."""
QUARANTINE_S = 600.0
"""How long a region rests whose call was given up: Triton may still be writing to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A stretch of memory that Triton knows by `name`."""

    name: str
    memory: SharedMemory
    size: int

    @property
    def buffer(self) -> memoryview:
        """Its bytes."""
        assert self.memory.buf is not None  # it is open
        return self.memory.buf


class Regions:
    """Regions of Triton's size classes, used again and again; belongs to one event loop.

    Where a region cannot be had, callers send the tensor in the message: sharing only ever saves time.
    """

    def __init__(self, connection: Connection, limit_bytes: int) -> None:
        self._connection = connection
        self._limit = limit_bytes
        self._all: set[Region] = set()
        self._free: dict[int, list[Region]] = {}
        self._resting: deque[tuple[float, Region]] = deque()

    async def take(self, size: int) -> Region | None:
        """A region of at least `size` bytes; None where there is no room or Triton cannot reach it."""
        self._wake()
        size = max(LEAST_BYTES, 1 << (size - 1).bit_length())
        free = self._free.get(size)
        if free:
            return free.pop()
        if sum(region.size for region in self._all) + size > self._limit or not _has_room(size):
            return None
        return await self._make(size)

    def give(self, region: Region, *, done: bool) -> None:
        """Have a region back; `done` says that Triton is through with it."""
        if region not in self._all:
            _destroy(region)  # forgotten meanwhile
        elif done:
            self._free.setdefault(region.size, []).append(region)
        else:
            self._resting.append((monotonic() + QUARANTINE_S, region))

    def forget(self) -> None:
        """Drop every region: Triton has started anew and knows none."""
        for regions in (*self._free.values(), [region for _, region in self._resting]):
            for region in regions:
                _destroy(region)
        self._all, self._free, self._resting = set(), {}, deque()

    async def close(self) -> None:
        """Unregister and destroy every region."""
        asked = [self._connection.pb.SystemSharedMemoryUnregisterRequest(name=region.name) for region in self._all]
        ended = await asyncio.gather(
            *(self._connection.call("SystemSharedMemoryUnregister", each) for each in asked), return_exceptions=True
        )
        for each, error in zip(asked, ended, strict=True):
            if isinstance(error, Exception):  # Triton may be gone, and with it what it knew
                log.info("Triton did not let go of %s: %s", each.name, error)
        self.forget()

    def _wake(self) -> None:
        while self._resting and self._resting[0][0] <= monotonic():
            _, region = self._resting.popleft()
            self._free.setdefault(region.size, []).append(region)

    async def _make(self, size: int) -> Region | None:
        name = f"echelon-{secrets.token_hex(8)}"
        memory = SharedMemory(name, create=True, size=size)
        region = Region(name, memory, size)
        self._all.add(region)
        try:
            asked = self._connection.pb.SystemSharedMemoryRegisterRequest(
                name=name, key=f"/{memory.name}", byte_size=size
            )
            await self._connection.call("SystemSharedMemoryRegister", asked)
        except Exception as error:  # noqa: BLE001  (whatever the reason, the message will do)
            log.warning("large tensors go to Triton in messages, it cannot share our memory: %s", error)
            self._limit = 0
            self._all.discard(region)
            _destroy(region)
            return None
        except BaseException:
            self._all.discard(region)
            _destroy(region)
            raise
        return region


def _has_room(size: int) -> bool:
    """Whether the machine's shared memory holds that much more: writing where it does not would end the process."""
    try:
        there = os.statvfs("/dev/shm")  # noqa: S108  (where Linux keeps it; nothing is opened)
    except OSError:
        return True
    return there.f_bavail * there.f_frsize > 2 * size


def _destroy(region: Region) -> None:
    region.memory.close()
    region.memory.unlink()
