"""Blind answers that are JSON: lists of items, triplets, tags, instances."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from echelon.adapters import Json, Part, Text
from echelon.scorer.chance.candidate import Candidate, Inputs, constant
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample

PLAIN = ("[]", "{}", "0", '""')
TYPICAL = 6
KEPT = 32
COUNTS = (1, 2, 3, 5, 8, 13, 21, 50, 100)
"""How many common items an answer lists."""
MOST_DISTINCT = 20_000
ITEMS = 400
"""Items of a list that are kept as an idea of the others."""
SHARES = (0.5, 0.25, 0.1)

Size: TypeAlias = "tuple[int, ...]"


class RecordObserver:
    """Learns which items lists hold, whole and without what is special about each, and keeps some references."""

    def __init__(self, seeded: SeededHash, draws: int) -> None:
        self._seeded, self._draws = seeded, draws
        self._whole: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self._places: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._some: Reservoir[Any] = Reservoir(seeded, ITEMS)
        self._kept: Reservoir[str] = Reservoir(seeded, KEPT)
        self._inputs = Inputs(Json, Text)
        self._seen = 0

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        for part in sample.references[:1]:
            if isinstance(part, Json):
                self._seen += 1
                self._kept.offer(sample.id, part.value)
                _count(self._whole, part.value)
                items = _list(part)
                for place, item in enumerate(items):
                    self._some.offer(f"{sample.id}\n{place}", item)
                for text in dict.fromkeys(json.dumps(item, sort_keys=True) for item in items):
                    _count(self._items, text)
                for place, item in enumerate(items[:ITEMS]):
                    _count(self._places[place], json.dumps(item, sort_keys=True))

    def candidates(self) -> Iterator[Candidate]:
        for value in PLAIN:
            yield constant(f"always {value}", Json(value))
        yield from self._inputs.candidates()
        for value in _ranked(self._whole)[:3]:
            yield constant("the most common reference", Json(value))
        for source, value in self._kept.items[:TYPICAL]:
            yield constant("one reference", Json(value), source)
        items = _ranked(self._items)
        shares = [sum(self._items[item] >= share * self._seen for item in items) for share in SHARES]
        for count in sorted({*COUNTS, *shares}):
            if 0 < count <= max(len(items), 1):
                yield constant(f"the {count} most common items", Json(_listed(items[:count])))
        yield Candidate("the most common item, as often as the reference has items", self._repeated(items[:1]))
        yield Candidate("the most common item of each place", self._by_place)
        for count in (1, 5, 20, 100):
            some = [item for _, item in self._some.items[:count]]
            yield Candidate(f"{count} items of other references, in the picture's size", _sized(some))
        yield Candidate("the whole picture", self._whole_picture)
        yield Candidate("the median of each number of an item", self._medians)
        for draw in range(self._draws):
            yield Candidate(f"a reference drawn at random, {draw + 1}", self._drawn(draw))

    def _repeated(self, items: Sequence[str]) -> Callable[[Sample], Part | None]:
        return lambda sample: Json(_listed(list(items) * len(_wanted(sample)))) if items else None

    def _by_place(self, sample: Sample) -> Part | None:
        places = [self._places[place] for place in range(min(len(_wanted(sample)), ITEMS))]
        return Json(_listed([_ranked(counts)[0] for counts in places if counts]))

    def _drawn(self, draw: int) -> Callable[[Sample], Part | None]:
        def answer(sample: Sample) -> Part | None:
            options = [value for source, value in self._kept.items if source != sample.id]
            return Json(self._seeded.pick(options, "draw", draw, sample.id)) if options else None

        return answer

    def _whole_picture(self, sample: Sample) -> Part | None:
        """One instance with a mask of everything, of the most common category."""
        size = _picture_size(sample)
        if size is None:
            return None
        filled = {"size": list(size), "counts": [0, size[0] * size[1]]}
        return Json(json.dumps([{**self._category(), "segmentation": filled}]))

    def _medians(self, sample: Sample) -> Part | None:
        """One instance whose lists of numbers are the element-wise medians."""
        from statistics import median

        items = [item for _, item in self._some.items if isinstance(item, dict)]
        merged: dict[str, Any] = {**self._category()}
        for name in ("keypoints", "bbox", "subject_box", "object_box"):
            rows = [item[name] for item in items if isinstance(item.get(name), list)]
            alike = [row for row in rows if len(row) == len(rows[0]) and all(isinstance(x, int | float) for x in row)]
            if alike:
                merged[name] = [median(column) for column in zip(*alike, strict=True)]
        return Json(json.dumps([merged])) if len(merged) > 1 else None

    def _category(self) -> dict[str, Any]:
        items = [item for _, item in self._some.items if isinstance(item, dict)]
        counts = Counter(json.dumps(item["category_id"]) for item in items if "category_id" in item)
        return {"category_id": json.loads(_ranked(counts)[0])} if counts else {}


def _count(counts: Counter[str], text: str) -> None:
    if text in counts or len(counts) < MOST_DISTINCT:
        counts[text] += 1


def _ranked(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda each: (-counts[each], each))


def _listed(items: Sequence[str]) -> str:
    return f"[{', '.join(items)}]"


def _list(part: Json) -> list[Any]:
    try:
        value = json.loads(part.value)
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def _wanted(sample: Sample) -> list[Any]:
    """The reference's items, of which a blind answer may know the number and the sizes of their masks."""
    return next((_list(part) for part in sample.references if isinstance(part, Json)), [])


def _picture_size(sample: Sample) -> Size | None:
    """Height and width of the reference's masks."""
    for item in _wanted(sample):
        size = _mask_size(item)
        if size is not None:
            return size
    return None


def _mask_size(item: Any) -> Size | None:
    mask = item.get("segmentation") if isinstance(item, dict) else None
    size = mask.get("size") if isinstance(mask, dict) else None
    return tuple(size) if isinstance(size, list) and len(size) == 2 else None


def _sized(items: Sequence[Any]) -> Callable[[Sample], Part | None]:
    """Those of the items whose masks, if they have some, are of the picture's size; each surer than the next."""

    def answer(sample: Sample) -> Part | None:
        size = _picture_size(sample)
        fitting = [item for item in items if size is None or _mask_size(item) == size]
        scored = [
            {**item, "score": 1 - at / (len(fitting) + 1)} if isinstance(item, dict) and "category_id" in item else item
            for at, item in enumerate(fitting)
        ]
        return Json(json.dumps(scored))

    return answer
