"""Metrics of what was found in a text or an image: entities, relations, events, triplets. They come as JSON lists."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters import Box, InvalidInputError, Json, Kind, Part
from echelon.scorer.metrics.boxes import intersection_over_union
from echelon.scorer.metrics.labels import MicroF1
from echelon.scorer.metrics.metric import RatioMetric, Stats, expect, quotient, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEPT = 50
"""Triplets of an answer that count, the first ones."""
OVERLAP = 0.5
LARGEST = 1e9
"""Above any coordinate."""


class SpanF1(MicroF1):
    """F1 of found items, over all samples; an item is any JSON value, and found if the same value is in the answer."""

    name = "span_f1"
    variant = "@1;sets=json-items;match=equal"
    kind = Kind.JSON

    def label_set(self, part: Part) -> frozenset[str]:
        return frozenset(json.dumps(item, sort_keys=True) for item in _items(part))


class EntityF1(MicroF1):
    """F1 of the entities that tags B-, I- and O mark, over all samples; type and both ends have to match.

    An I- tag that continues nothing begins an entity: Sang and De Meulder 2003.
    """

    name = "entity_f1"
    variant = "@1;tags=iob2;match=type+ends"
    kind = Kind.JSON

    def label_set(self, part: Part) -> frozenset[str]:
        tags = _items(part)
        if not all(isinstance(tag, str) for tag in tags):
            raise InvalidInputError("tags must be text: B-, I- and a type, or O")
        return frozenset(_entities(tags))


class RecallAt50(RatioMetric):
    """Share of the wanted triplets that are among an answer's first 50, over all samples; stats are (found, wanted).

    A triplet is a mapping of `subject`, `predicate` and `object`, and of `subject_box` and `object_box`, each
    [x_min, y_min, x_max, y_max], where the reference has boxes: they must overlap by half. Lu et al. 2016.
    """

    name = "recall_at_50"
    variant = "@1;pool=task;iou=0.5;labels=exact;matching=greedy"
    kind = Kind.JSON

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_both(_triplets, prediction, reference)
        free = list(wanted)
        for triplet in given[:KEPT]:
            hit = next((candidate for candidate in free if triplet.finds(candidate)), None)
            if hit is not None:
                free.remove(hit)
        # A reference without triplets still weighs something, so that it can be missed.
        return float(len(wanted) - len(free)) if wanted else 1.0, float(max(1, len(wanted)))

    def worst(self, references: Sequence[Part]) -> Stats:
        return 0.0, float(max(1, len(_triplets(references[0]))))

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


@dataclass(frozen=True, slots=True)
class _Triplet:
    words: tuple[str, str, str]
    boxes: tuple[Box | None, Box | None]

    def finds(self, wanted: _Triplet) -> bool:
        pairs = zip(self.boxes, wanted.boxes, strict=True)
        return self.words == wanted.words and all(_covers(given, box) for given, box in pairs)


def _covers(given: Box | None, wanted: Box | None) -> bool:
    return wanted is None or (given is not None and intersection_over_union(given, wanted) >= OVERLAP)


def _items(part: Part) -> list[Any]:
    try:
        items = json.loads(expect(part, Json).value)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"this is not valid JSON: {error}") from error
    if not isinstance(items, list):
        raise InvalidInputError("a JSON list is wanted")
    return items


def _entities(tags: Sequence[str]) -> Iterator[str]:
    """Type and both ends of every entity."""
    begin, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, new_kind = tag.partition("-")
        if prefix == "I" and kind and new_kind == kind:
            continue
        if kind:
            yield f"{kind} {begin} {at}"
        begin, kind = at, new_kind


def _triplets(part: Part) -> list[_Triplet]:
    return [_triplet(item) for item in _items(part)]


def _triplet(item: Any) -> _Triplet:
    if not isinstance(item, dict):
        raise InvalidInputError("a triplet is a mapping of subject, predicate and object")
    subject, predicate, target = (_word(item, key) for key in ("subject", "predicate", "object"))
    return _Triplet((subject, predicate, target), (_box(item, "subject_box"), _box(item, "object_box")))


def _word(item: dict[str, Any], key: str) -> str:
    if not isinstance(item.get(key), str):
        raise InvalidInputError(f"a triplet's {key!r} must be text")
    return str(item[key])


def _box(item: dict[str, Any], key: str) -> Box | None:
    corners = item.get(key)
    if corners is None:
        return None
    if not isinstance(corners, list) or len(corners) != 4 or not all(map(_finite, corners)):
        raise InvalidInputError(f"a triplet's {key!r} must be four numbers")
    return Box(*corners)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST
