"""Shared memory with a Triton on the same machine: regions that we make, and register with it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import TYPE_CHECKING

from echelon.adapters.triton.connection import answered, text

if TYPE_CHECKING:
    from echelon.adapters.triton.connection import Connection

log = logging.getLogger(__name__)

LEAST_BYTES = 256 * 1024
"""Smaller tensors travel faster in the message."""
PLACE = Path("/dev/shm")  # noqa: S108  (where Linux keeps shared memory; the names in it are ours)
COUNTS_SINCE = (2, 50)
"""The Triton that counts who uses a region; one before it crashes when a region in use is unregistered."""


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

    A region is ours alone again once the call that used it has gone well, and is given back. In every other case
    Triton may still write to it, or never have known it: it is dropped, its name is gone at once, and Triton is asked
    to let go of it until it does. Where a region cannot be had, callers send the tensor in the message: sharing only
    ever saves time.
    """

    def __init__(self, connection: Connection, limit_bytes: int) -> None:
        self._connection = connection
        self._limit = limit_bytes
        self._known: set[Region] = set()
        self._free: dict[int, list[Region]] = {}
        self._dropped: set[Region] = set()

    async def take(self, size: int) -> Region | None:
        """A region of at least `size` bytes; None where there is no room or Triton cannot reach it."""
        size = max(LEAST_BYTES, 1 << (size - 1).bit_length())
        free = self._free.get(size)
        if free:
            return free.pop()
        if sum(region.size for region in self._known | self._dropped) + size > self._limit:
            return None
        return await self._make(size)

    def give(self, region: Region) -> None:
        """Have a region back that Triton is through with."""
        if region in self._known:
            self._free.setdefault(region.size, []).append(region)

    def drop(self, region: Region) -> None:
        """Never use a region again."""
        if region in self._known:
            self._known.remove(region)
            self._dropped.add(region)
            _destroy(region.memory)

    def misses(self, said: str) -> bool:
        """Whether Triton speaks of a region that was dropped: one that started anew knows none of ours."""
        return any(region.name in said for region in self._dropped)

    async def release(self) -> None:
        """Have Triton let go of what was dropped; what it still uses it keeps until a later time."""
        asked = list(self._dropped)
        ended = await asyncio.gather(*map(self._unregister, asked), return_exceptions=True)
        for region, error in zip(asked, ended, strict=True):
            if error is None:
                self._dropped.discard(region)
            else:
                log.debug("Triton did not let go of %s: %s", region.name, error)

    async def close(self) -> None:
        """Drop and release every region."""
        self._limit, self._free = 0, {}
        for region in list(self._known):
            self.drop(region)
        await self.release()

    async def _make(self, size: int) -> Region | None:
        import grpc

        region = self._allocate(size)
        if region is None:
            return None
        asked = self._connection.pb.SystemSharedMemoryRegisterRequest(
            name=region.name, key=f"/{region.name}", byte_size=size
        )
        try:
            await self._connection.call("SystemSharedMemoryRegister", asked)
        except BaseException as error:
            self.drop(region)
            if not isinstance(error, grpc.RpcError):
                raise
            if answered(error):  # what it refuses once it will refuse again
                self._stop(text(error))
            return None
        return region

    def _allocate(self, size: int) -> Region | None:
        name = f"echelon-{secrets.token_hex(8)}"
        try:
            if not _has_room(size):
                return None
            region = Region(name, _memory(name, size), size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                self._stop(str(error))
            return None
        self._known.add(region)
        return region

    def _stop(self, why: str) -> None:
        log.warning("large tensors go to Triton in messages, it cannot share our memory: %s", why)
        self._limit = 0

    async def _unregister(self, region: Region) -> None:
        asked = self._connection.pb.SystemSharedMemoryUnregisterRequest(name=region.name)
        await self._connection.call("SystemSharedMemoryUnregister", asked)


def can_share(version: str) -> bool:
    """Whether a Triton of this version can be trusted with regions."""
    numbers = version.split(".")[:2]
    return all(number.isdigit() for number in numbers) and tuple(map(int, numbers)) >= COUNTS_SINCE


def _has_room(size: int) -> bool:
    """Whether half of the machine's shared memory stays free for others: Triton's own backends need it too."""
    there = os.statvfs(PLACE)
    return there.f_bavail * there.f_frsize - size >= there.f_blocks * there.f_frsize / 2


def _memory(name: str, size: int) -> SharedMemory:
    """Memory with every page in its place: writing to one that the machine has not got would end the process."""
    memory = SharedMemory(name, create=True, size=size)
    try:
        with (PLACE / name).open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        _destroy(memory)
        raise
    return memory


def _destroy(memory: SharedMemory) -> None:
    memory.unlink()
    memory.close()
