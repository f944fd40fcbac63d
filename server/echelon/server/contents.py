"""Content that peers put and get by itself, bounded in bytes and time, each peer's for that peer alone."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from echelon.adapters.errors import (
    BudgetExceededError,
    ContentNotFoundError,
    InvalidInputError,
    LimitExceededError,
    ServerBusyError,
)
from echelon.rpc.admission import Admission
from echelon.rpc.config import Limits
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.contents import Collected, chunks
from echelon.wire.rules import check

SMALLEST_CHARGE_BYTES = 64 * 1024
"""What the smallest content counts as, so that its bookkeeping is bounded too."""
UNUSED_S = 60.0
"""How long content stays for certain that nothing has referred to yet."""
CHUNK_S = 30.0
"""How long an upload may fall silent."""
Key = tuple[str, bytes]
Send = Callable[[Any], Awaitable[None]]
T = TypeVar("T")


class _Kept(NamedTuple):
    data: bytes
    since: float
    used: bool


class Contents:
    """Keeps content by peer and SHA-256.

    Where room is needed, the oldest content goes that was used already: calls under way hold what they refer to, and a
    client that refers to it again puts it again.
    """

    def __init__(self, limits: Limits, admission: Admission) -> None:
        self._limits = limits
        self._admission = admission
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._charged: Counter[str] = Counter()

    @property
    def lifetime_s(self) -> float:
        """How long content stays."""
        return self._limits.content_s

    @property
    def charged_bytes(self) -> int:
        """What is charged to all peers, uploads under way included."""
        return self._charged.total()

    async def receive(self, peer: str, frames: AsyncIterator[pb.PutContentRequest]) -> content_pb2.ContentRef:
        """Take one upload; InvalidInputError where it is not what it announces, and nothing of it stays."""
        async with self._in_time():
            return await self._receive(peer, frames)

    async def send(self, peer: str, ref: content_pb2.ContentRef, send: Send) -> None:
        """Send what `ref` stands for in chunks; it counts as admitted until a slow reader has it."""
        (data,) = self.resolve(peer, [ref]).values()
        with self._admission.place(len(data)):
            async with self._in_time():
                for chunk in chunks(data):
                    await send(pb.GetContentResponse(chunk=chunk))

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        # A client's own deadline may come sooner.
        try:
            async with asyncio.timeout(self._limits.default_deadline_s):
                yield
        except TimeoutError:
            raise BudgetExceededError(f"the content took longer than {self._limits.default_deadline_s:g} s") from None

    async def _receive(self, peer: str, frames: AsyncIterator[pb.PutContentRequest]) -> content_pb2.ContentRef:
        first = await _next(frames)
        if first is None or first.WhichOneof("frame") != "start":
            raise InvalidInputError("an upload begins with its start: the digest and size of the content")
        check(first)
        ref = first.start
        collected = Collected(ref)
        with self._room(peer, ref.size_bytes):
            while (frame := await _next(frames)) is not None:
                if frame.WhichOneof("frame") != "chunk":
                    raise InvalidInputError("an upload has one start, and after it chunks alone")
                collected.add(frame.chunk)
            data = collected.whole()
        self.keep(peer, {ref.sha256: data})
        return ref

    def keep(self, peer: str, contents: Mapping[bytes, bytes]) -> None:
        """Keep contents for `peer` by their SHA-256, or all of them for longer.

        ServerBusyError where there is no room now, LimitExceededError where there never will be.
        """
        for sha256, data in contents.items():
            self._drop((peer, sha256))
            self._make_room(peer, _charge(len(data)))
            self._kept[peer, sha256] = _Kept(data, monotonic(), used=False)
            self._charged[peer] += _charge(len(data))

    def resolve(self, peer: str, refs: Iterable[content_pb2.ContentRef]) -> dict[bytes, bytes]:
        """What `refs` stand for, by SHA-256; ContentNotFoundError names what this peer has not put."""
        self._forget_old()
        return {ref.sha256: self._use(peer, ref) for ref in refs}

    def _use(self, peer: str, ref: content_pb2.ContentRef) -> bytes:
        kept = self._kept.get((peer, ref.sha256))
        if kept is None or len(kept.data) != ref.size_bytes:
            raise ContentNotFoundError(
                f"this server keeps no content of {ref.size_bytes} bytes and sha256:{ref.sha256.hex()} for this peer; "
                "put it with PutContent, from where the call comes, and call again"
            )
        self._kept[peer, ref.sha256] = kept._replace(used=True)
        return kept.data

    @contextmanager
    def _room(self, peer: str, size: int) -> Iterator[None]:
        """Room for an upload, from its start to its end, however it ends."""
        charge = _charge(size)
        self._make_room(peer, charge)
        self._charged[peer] += charge
        try:
            yield
        finally:
            self._discharge(peer, charge)

    def _make_room(self, peer: str, charge: int) -> None:
        own, all_ = self._limits.content_bytes_per_peer, self._limits.content_bytes
        if charge > min(own, all_):
            raise LimitExceededError(f"the content has {charge} bytes, this server keeps {min(own, all_)} for a peer")
        self._forget_old()
        while self._charged[peer] + charge > own:
            self._evict(peer)
        while self.charged_bytes + charge > all_:
            self._evict(None)

    def _evict(self, peer: str | None) -> None:
        before = monotonic() - UNUSED_S
        for key, kept in self._kept.items():
            if peer in (None, key[0]) and (kept.used or kept.since < before):
                self._drop(key)
                return
        whose = "this server" if peer is None else "this peer"
        raise ServerBusyError(f"{whose} has as much content under way as is kept for it", retry_after_s=0.2)

    def _forget_old(self) -> None:
        before = monotonic() - self._limits.content_s
        while self._kept and next(iter(self._kept.values())).since < before:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._discharge(key[0], _charge(len(kept.data)))

    def _discharge(self, peer: str, charge: int) -> None:
        self._charged[peer] -= charge
        if not self._charged[peer]:
            del self._charged[peer]


def _charge(size: int) -> int:
    return max(size, SMALLEST_CHARGE_BYTES)


async def _next(frames: AsyncIterator[T]) -> T | None:
    try:
        async with asyncio.timeout(CHUNK_S):
            return await anext(frames, None)
    except TimeoutError:
        raise BudgetExceededError(f"the upload was silent for {CHUNK_S:g} s") from None
