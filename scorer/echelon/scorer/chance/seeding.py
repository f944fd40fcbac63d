"""Seeded choices that are the same on every machine and in whatever order they are made."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


class SeededHash:
    """Pseudo-random numbers, each a hash of the seed and of what it is for."""

    def __init__(self, *seed: str) -> None:
        self._key = blake2b("\n".join(seed).encode(errors="surrogatepass"), digest_size=32).digest()

    def number(self, *purpose: object) -> int:
        """A whole number below 2^64."""
        text = "\n".join(map(str, purpose)).encode(errors="surrogatepass")
        return int.from_bytes(blake2b(text, digest_size=8, key=self._key).digest(), "big")

    def noise(self, shape: tuple[int, ...], *purpose: object) -> NDArray[np.float64]:
        """Numbers spread evenly from -1 to 1."""
        import numpy as np

        # RandomState promises the same numbers in every version of NumPy.
        return np.random.RandomState(self.number(*purpose) % (1 << 32)).uniform(-1, 1, shape)

    def pick(self, options: Sequence[T], *purpose: object) -> T:
        """One of the options, each as likely as any other."""
        return options[self.number(*purpose) % len(options)]


class Reservoir(Generic[T]):
    """Keeps a random sample of at most `most` of the items that it is offered, by the hash of their ids."""

    def __init__(self, seeded: SeededHash, most: int) -> None:
        self._seeded, self._most = seeded, most
        self._heap: list[tuple[int, str, T]] = []

    def offer(self, item_id: str, item: T) -> None:
        """Keep the item if it is among the chosen."""
        rank = (-self._seeded.number("reservoir", item_id), item_id)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (*rank, item))
        elif rank > self._heap[0][:2]:
            heapq.heapreplace(self._heap, (*rank, item))

    @property
    def items(self) -> list[tuple[str, T]]:
        """The kept items with their ids, in the order of their hashes."""
        return [(item_id, item) for _, item_id, item in sorted(self._heap, key=lambda kept: kept[:2], reverse=True)]


class Halves:
    """Splits clusters into two halves as they come: of each two new ones, one goes to either half."""

    def __init__(self, seeded: SeededHash) -> None:
        self._seeded = seeded
        self._half: dict[str, int] = {}

    def of(self, cluster: str) -> int:
        """The half of a cluster, 0 or 1."""
        if cluster not in self._half:
            pair, second = divmod(len(self._half), 2)
            self._half[cluster] = (self._seeded.number("half", pair) + second) % 2
        return self._half[cluster]
