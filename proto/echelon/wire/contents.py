"""Large payloads travel by themselves, in chunks; a message then refers to them by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from echelon.adapters.errors import InvalidInputError
from echelon.v1 import content_pb2 as pb

if TYPE_CHECKING:
    from echelon.adapters.content import Part

LARGE_BYTES = 4 << 20
"""From this size on a payload had better travel by itself: one large message costs more than its chunks."""
CHUNK_BYTES = 1 << 20
LARGEST_CHUNK_BYTES = 4 << 20
"""What the contract allows."""
REFERABLE = ("image", "audio", "video", "point_cloud", "tensor")
"""Kinds whose data a content_ref can stand for."""


def payload_of(part: Part) -> bytes:
    """What of `part` can travel by itself; nothing for kinds that never do."""
    return getattr(part, "data", b"") if part.kind in REFERABLE else b""


def reference(data: bytes) -> pb.ContentRef:
    """What stands for `data`; takes a millisecond for each few MiB."""
    return pb.ContentRef(sha256=hashlib.sha256(data).digest(), size_bytes=len(data))


def chunks(data: bytes) -> Iterator[pb.ContentChunk]:
    """`data` in slices."""
    for offset in range(0, len(data), CHUNK_BYTES):
        yield pb.ContentChunk(offset_bytes=offset, data=data[offset : offset + CHUNK_BYTES])


class Collected:
    """Chunks that add up to what a reference stands for."""

    def __init__(self, ref: pb.ContentRef) -> None:
        self._ref = ref
        self._digest = hashlib.sha256()
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: pb.ContentChunk) -> None:
        """Take the next chunk; InvalidInputError where it is empty, too large, out of place or one too many."""
        data = chunk.data
        if chunk.offset_bytes != self._size or not 0 < len(data) <= LARGEST_CHUNK_BYTES:
            raise InvalidInputError(
                f"a chunk of {len(data)} bytes begins at {chunk.offset_bytes}, after {self._size} bytes; "
                f"chunks have 1 to {LARGEST_CHUNK_BYTES} bytes and come in order, without a gap"
            )
        self._size += len(data)
        if self._size > self._ref.size_bytes:
            raise InvalidInputError(f"more than the {self._ref.size_bytes} bytes came that were announced")
        self._digest.update(data)
        self._chunks.append(data)

    def whole(self) -> bytes:
        """The content; InvalidInputError where it is not what was announced."""
        if self._size != self._ref.size_bytes:
            raise InvalidInputError(f"{self._size} of {self._ref.size_bytes} bytes came; put the content again, whole")
        if self._digest.digest() != self._ref.sha256:
            raise InvalidInputError(f"the content is not that of sha256:{self._ref.sha256.hex()}")
        return b"".join(self._chunks)
