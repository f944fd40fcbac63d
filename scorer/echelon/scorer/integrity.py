"""Checksums of the journal's rows, and digests of sets of rows.

They find what an accident or an edit changed. They are no signatures: it takes no secret to compute them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

BYTES = 32
"""Of a checksum and of a digest."""
_MODULUS = 1 << (8 * BYTES)
_ENCODER = msgspec.msgpack.Encoder()


def checksum(table: str, values: Sequence[object]) -> bytes:
    """Return the BLAKE2b of a row: of the table's name and all `values`, keys included, each with its type and length.

    Values are what SQLite stores: None, int, float, str or bytes.
    """
    return hashlib.blake2b(_ENCODER.encode(values), digest_size=BYTES, person=table.encode()).digest()


def checksum_before_4(run: str, task: str, sample: str, texts: Sequence[str], answer: bytes | None) -> bytes:
    """Return the checksum that stores of versions 2 and 3 gave an outcome.

    It covers neither `repeat` nor the time taken, and a text with a NUL in it can stand for two.
    """
    try:
        covered = "\0".join((run, task, sample, *texts)).encode()
    except TypeError:
        # Something else than text is there: no checksum fits.
        return b""
    return hashlib.blake2b(covered + b"\0" + (answer or b""), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class SetDigest:
    """The number of a set's rows and the sum of their checksums, modulo 2^256.

    A sum has no order: rows may come in any, in any batches, and the digests of disjoint sets add up. Unlike an
    exclusive or, it does not cancel a row that is there twice. (AdHash: Bellare and Micciancio, 1997.)
    """

    count: int = 0
    total: int = 0

    def add(self, rows: Iterable[bytes]) -> Self:
        """Return the digest with more rows, given by their checksums."""
        numbers = [int.from_bytes(row) for row in rows]
        return type(self)(self.count + len(numbers), (self.total + sum(numbers)) % _MODULUS)

    def to_bytes(self) -> bytes:
        """Return the sum, big-endian."""
        return self.total.to_bytes(BYTES)

    @classmethod
    def of(cls, count: int, digest: bytes) -> Self:
        """Return the digest that is stored as `count` and `digest`."""
        return cls(count, int.from_bytes(digest))
