"""Shards of stats: any split, merged in any order, finishes with the same bits."""

from functools import reduce
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import Number, Text
from echelon.scorer.errors import ShardError
from echelon.scorer.metrics.metric import Stats
from echelon.scorer.metrics.registry import metric
from echelon.scorer.metrics.shards import Shard

MAE = metric("mae", worst=1e9)
ROWS = st.dictionaries(st.text(max_size=8), st.lists(st.floats(allow_nan=False), max_size=5).map(tuple), max_size=12)


def shard(rows: dict[str, Stats], metric_id: str = MAE.id, samples: str = "sha256:1") -> Shard:
    return Shard(metric_id, samples, rows)


@given(ROWS)
def test_a_shard_survives_its_bytes(rows: dict[str, Stats]) -> None:
    assert Shard.decode(shard(rows).encode()) == shard(rows)


@given(ROWS)
def test_the_order_of_samples_leaves_the_bytes_as_they_are(rows: dict[str, Stats]) -> None:
    assert shard(dict(reversed(rows.items()))).encode() == shard(rows).encode()


@given(st.lists(st.floats(-1e8, 1e8), min_size=1, max_size=30), st.randoms(use_true_random=False), st.data())
def test_any_split_merged_in_any_order_finishes_with_the_same_bits(
    errors: list[float], random: Random, data: st.DataObject
) -> None:
    rows = {f"s{at}": MAE.sample(Number(error), [Number(0)]) for at, error in enumerate(errors)}
    places = data.draw(st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows)))
    parts = [
        shard({sample: rows[sample] for sample, place in zip(rows, places, strict=True) if place == number})
        for number in range(5)
    ]
    random.shuffle(parts)
    whole = reduce(Shard.merge, (Shard.decode(part.encode()) for part in parts))
    assert whole.finish(MAE, rows).hex() == MAE.finish([*rows.values()]).hex()


def test_merging_is_associative_and_commutative() -> None:
    one, two, three = (shard({name: (1.0, 1.0)}) for name in "abc")
    assert one.merge(two).merge(three) == three.merge(two.merge(one))


def test_a_metric_of_texts_is_the_same_over_workers() -> None:
    bleu = metric("bleu4")
    samples = {f"s{n}": (Text(f"the cat sat on mat {n}"), [Text(f"the cat sat on the mat {n}")]) for n in range(9)}
    rows = {sample: bleu.sample(*parts) for sample, parts in samples.items()}
    workers = [shard({s: rows[s] for s in list(rows)[start::3]}, bleu.id).encode() for start in range(3)]
    whole = reduce(Shard.merge, map(Shard.decode, workers))
    assert whole.finish(bleu, samples) == bleu.finish([*rows.values()])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (shard({"b": (1, 1)}, "rmse@1;worst=1"), "different metric cannot be merged: mae@1;worst=1000000000 and rmse"),
        (shard({"b": (1, 1)}, samples="sha256:2"), "different samples"),
        (shard(dict.fromkeys("abc", (1.0, 1.0))), "overlap in a; compute"),
    ],
)
def test_what_does_not_belong_together_is_not_merged(other: Shard, reason: str) -> None:
    with pytest.raises(ShardError, match=reason):
        shard({"a": (1.0, 1.0)}).merge(other)


def test_an_incomplete_union_is_reported_not_finished() -> None:
    some = shard({"a": (1.0, 1.0)})
    assert some.missing("abcde") == ("b", "c", "d", "e")
    with pytest.raises(ShardError, match="4 of 5 samples are missing: b, c, d and 1 more"):
        some.finish(MAE, "abcde")


def test_samples_that_nobody_wants_and_another_metric_are_refused() -> None:
    both = shard({"a": (1.0, 1.0), "b": (1.0, 1.0)})
    with pytest.raises(ShardError, match="not wanted: b"):
        both.finish(MAE, "a")
    with pytest.raises(ShardError, match="cannot finish"):
        both.finish(metric("mae", worst=2), "ab")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no shard"),
        (b"\x93junk", "no shard"),
        (msgspec.msgpack.encode(["echelon-shard-9", "m", "s", [], [], b""]), "format 'echelon-shard-9'"),
        (msgspec.msgpack.encode(["echelon-shard-1", "m", "s", ["a"], [2], b"12345678"]), "do not add up"),
        (msgspec.msgpack.encode(["echelon-shard-1", "m", "s", ["a"], [1, 0], b"12345678"]), "every sample"),
        (msgspec.msgpack.encode(["echelon-shard-1", "m", "s", ["a", "a"], [1, 0], b"12345678"]), "every sample"),
    ],
)
def test_damaged_bytes_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ShardError, match=reason):
        Shard.decode(data)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_shard_or_a_clear_error(data: bytes) -> None:
    try:
        found = Shard.decode(data)
    except ShardError:
        return
    assert Shard.decode(found.encode()) == found
