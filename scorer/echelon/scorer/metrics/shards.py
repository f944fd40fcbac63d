"""Stats of some of a task's samples, computed anywhere, to be put together and finished once.

The stats of every sample are kept as they are and nothing is added up before the end, so that any split into shards,
merged in any order, finishes with the same bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from sys import byteorder

import msgspec

from echelon.scorer.errors import ShardError
from echelon.scorer.metrics.metric import Metric, Stats

FORMAT = "echelon-shard-1"
"""The first field of every encoded shard."""
NAMED = 3
"""Samples that a message names."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The stats of some samples; `metric` is the metric's id, `samples` the digest of what the samples are part of."""

    metric: str
    samples: str
    rows: Mapping[str, Stats]

    def merge(self, other: Shard) -> Shard:
        """Both shards in one; ShardError if they are of different things, or have a sample in common."""
        for name, ours, theirs in (("metric", self.metric, other.metric), ("samples", self.samples, other.samples)):
            if ours != theirs:
                raise ShardError(f"shards of different {name} cannot be merged: {ours} and {theirs}")
        if twice := self.rows.keys() & other.rows.keys():
            raise ShardError(f"shards overlap in {_named(twice)}; compute every sample once")
        return Shard(self.metric, self.samples, {**self.rows, **other.rows})

    def missing(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Those of the wanted samples that are not here."""
        return tuple(sample for sample in wanted if sample not in self.rows)

    def finish(self, metric: Metric, wanted: Collection[str]) -> float:
        """The score of the wanted samples; ShardError unless these and no others are here."""
        if metric.id != self.metric:
            raise ShardError(f"this is a shard of {self.metric}, which {metric.id} cannot finish")
        if missing := self.missing(wanted):
            raise ShardError(f"{len(missing)} of {len(wanted)} samples are missing: {_named(missing)}")
        if unknown := self.rows.keys() - set(wanted):
            raise ShardError(f"there are samples that are not wanted: {_named(unknown)}")
        return metric.finish([self.rows[sample] for sample in sorted(self.rows)])

    def encode(self) -> bytes:
        """The same bytes for the same stats."""
        ordered = sorted(self.rows)
        numbers = array("d", (number for sample in ordered for number in self.rows[sample]))
        lengths = [len(self.rows[sample]) for sample in ordered]
        return msgspec.msgpack.encode(_Encoded(FORMAT, self.metric, self.samples, ordered, lengths, _little(numbers)))

    @staticmethod
    def decode(data: bytes) -> Shard:
        """The shard in these bytes; ShardError if they are none."""
        try:
            found = msgspec.msgpack.decode(data, type=_Encoded)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ShardError(f"this is no shard: {error}") from error
        if found.format != FORMAT:
            raise ShardError(f"this is a shard of the format {found.format!r}; this Echelon reads {FORMAT!r}")
        if min(found.lengths, default=0) < 0 or 8 * sum(found.lengths) != len(found.numbers):
            raise ShardError("this shard is damaged: its numbers do not add up")
        if len(found.ids) != len(found.lengths) or len(set(found.ids)) != len(found.ids):
            raise ShardError("this shard is damaged: every sample must have its numbers, and one only")
        numbers = array("d", found.numbers)
        if byteorder == "big":
            numbers.byteswap()
        left = iter(numbers)
        rows = (tuple(islice(left, length)) for length in found.lengths)
        return Shard(found.metric, found.samples, dict(zip(found.ids, rows, strict=True)))


class _Encoded(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    format: str
    metric: str
    samples: str
    ids: list[str]
    lengths: list[int]
    numbers: bytes
    """All stats as little-endian doubles, one sample after the other."""


def _little(numbers: array[float]) -> bytes:
    if byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _named(samples: Collection[str]) -> str:
    shown = ", ".join(sorted(samples)[:NAMED])
    return shown if len(samples) <= NAMED else f"{shown} and {len(samples) - NAMED} more"
