"""Detection and tracking in space, against the published definitions written out once more, one object at a time."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby, product
from math import ceil, dist
from typing import NamedTuple, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echelon.adapters import Box3D, Boxes, BoxSpace
from echelon.scorer.metrics.registry import metric

LABELS = ("car", "cyclist")
TOLERANCE = 1e-9


class Cuboid(NamedTuple):
    """A box along the axes, in quarters of a metre."""

    centre: tuple[int, int, int]
    size: tuple[int, int, int]
    label: str
    score: float = 0.0


Scene: TypeAlias = tuple[list[Cuboid], list[Cuboid]]
"""What was found, and what is there."""


@st.composite
def scenes(draw: st.DrawFn) -> list[Scene]:
    """Boxes on a grid, so that they tie and lie on the limits again and again; no two scores are equal."""
    cuboid = st.builds(
        Cuboid,
        st.tuples(st.integers(0, 12), st.integers(0, 3), st.just(0)),
        st.tuples(st.sampled_from([4, 8]), st.sampled_from([4, 8]), st.just(4)),
        st.sampled_from(LABELS),
        st.just(0.0),
    )
    pairs = draw(
        st.lists(st.tuples(st.lists(cuboid, max_size=5), st.lists(cuboid, max_size=4)), min_size=1, max_size=3)
    )
    places = iter(draw(st.permutations(range(sum(len(found) for found, _ in pairs)))))
    return [([each._replace(score=next(places) / 100) for each in found], wanted) for found, wanted in pairs]


def as_boxes(cuboids: Sequence[Cuboid]) -> Boxes:
    quarters = [
        Box3D(
            (each.centre[0] / 4, each.centre[1] / 4, each.centre[2] / 4),
            (each.size[0] / 4, each.size[1] / 4, each.size[2] / 4),
            label=each.label,
            score=each.score,
        )
        for each in cuboids
    ]
    return Boxes(tuple(quarters), space=BoxSpace.METRE)


def value(name: str, drawn: Sequence[Scene]) -> float:
    of = metric(name)
    return of.finish([of.sample(as_boxes(found), [as_boxes(wanted)]) for found, wanted in drawn])


def of_label(drawn: Sequence[Scene], label: str) -> tuple[list[tuple[int, Cuboid]], list[list[Cuboid]]]:
    """What was found in all scenes, surest first and with the scene's number, and what is there in each scene."""
    found = [(at, each) for at, (given_, _) in enumerate(drawn) for each in given_ if each.label == label]
    wanted = [[each for each in objects if each.label == label] for _, objects in drawn]
    return sorted(found, key=lambda pair: -pair[1].score), wanted


def expected(average_precision: object, drawn: Sequence[Scene]) -> float:
    assert callable(average_precision)
    labels = sorted({each.label for _, wanted in drawn for each in wanted})
    if not labels:
        return 0.0 if any(found for found, _ in drawn) else 1.0
    return float(sum(average_precision(*of_label(drawn, label)) for label in labels) / len(labels))


def shared(one: Cuboid, other: Cuboid) -> Fraction:
    """Intersection by union of volumes."""
    inside, volumes = 1, [1, 1]
    for axis in range(3):
        sides = [(2 * box.centre[axis] - box.size[axis], 2 * box.centre[axis] + box.size[axis]) for box in (one, other)]
        inside *= max(0, min(high for _, high in sides) - max(low for low, _ in sides))
        volumes = [volume * (high - low) for volume, (low, high) in zip(volumes, sides, strict=True)]
    return Fraction(inside, sum(volumes) - inside)


def scannet(found: Sequence[tuple[int, Cuboid]], wanted: Sequence[Sequence[Cuboid]]) -> Fraction:
    """As PASCAL VOC: a box is right if the object it shares most with is shared by half and was not found before.

    The area under the precisions, each made the best at its recall or above, adds up one step of recall at a time.
    """
    count, seen, right = sum(map(len, wanted)), set(), 0
    curve = []
    for rank, (scene, box) in enumerate(found, 1):
        overlaps = [shared(box, each) for each in wanted[scene]]
        if overlaps and max(overlaps) >= Fraction(1, 2):
            place = (scene, overlaps.index(max(overlaps)))
            right += place not in seen
            seen.add(place)
        curve.append((Fraction(right, count), Fraction(right, rank)))
    steps = [Fraction(step, count) for step in range(1, count + 1)]
    return sum((max((p for r, p in curve if r >= step), default=Fraction(0)) for step in steps), Fraction(0)) / count


def nuscenes(found: Sequence[tuple[int, Cuboid]], wanted: Sequence[Sequence[Cuboid]]) -> Fraction:
    """Over four distances, the mean of what lies above a tenth of precision, at the recalls 0.11, 0.12 ... 1.

    A box takes the nearest object on the ground that is still free, if it is near enough. Between its points the curve
    is straight, before them it is as the first, and behind them 0.
    """
    count = sum(map(len, wanted))
    total = Fraction(0)
    for quarters in (2, 4, 8, 16):
        free = [dict(enumerate(objects)) for objects in wanted]
        curve: list[tuple[Fraction, Fraction]] = []
        right = 0
        for rank, (scene, box) in enumerate(found, 1):
            away = {
                place: sum((a - b) ** 2 for a, b in zip(box.centre[:2], each.centre[:2], strict=True))
                for place, each in free[scene].items()
            }
            nearest = min(away, key=away.__getitem__, default=None)
            if nearest is not None and away[nearest] <= quarters**2:
                del free[scene][nearest]
                right += 1
            curve.append((Fraction(right, count), Fraction(right, rank)))
        at = [
            max(Fraction(0), precision_at(Fraction(per_cent, 100), curve) - Fraction(1, 10))
            for per_cent in range(11, 101)
        ]
        total += sum(at, Fraction(0)) / 90 / Fraction(9, 10)
    return total / 4


def precision_at(recall: Fraction, curve: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    if not curve or recall > curve[-1][0]:
        return Fraction(0)
    before = [point for point in curve if point[0] <= recall]
    after = [point for point in curve if point[0] > recall]
    if not before:
        return curve[0][1]
    if not after:
        return before[-1][1]
    (left, precision), (right, next_precision) = before[-1], after[0]
    return precision + (next_precision - precision) * (recall - left) / (right - left)


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_map_scannet_is_that_of_its_definition(drawn: list[Scene]) -> None:
    assert value("map_scannet", drawn) == pytest.approx(expected(scannet, drawn), abs=TOLERANCE)


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_map_nuscenes_is_that_of_its_definition(drawn: list[Scene]) -> None:
    assert value("map_nuscenes", drawn) == pytest.approx(expected(nuscenes, drawn), abs=TOLERANCE)


class Seen(NamedTuple):
    """A box of a track in a frame."""

    frame: int
    track: int
    label: str
    place: tuple[float, float]
    score: float = 0.0


Video: TypeAlias = tuple[list[Seen], list[Seen]]
"""What was found, and what is there."""


@st.composite
def videos(draw: st.DrawFn) -> list[Video]:
    """Objects that walk about, and tracks that follow them, lose them and change over from one to another."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    drawn = []
    for objects, tracks in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=2)):
        labels = [str(random.choice(LABELS)) for _ in range(max(objects, tracks))]
        ways = random.uniform(0, 6, (objects, 1, 2)) + random.normal(0, 0.7, (objects, 5, 2)).cumsum(axis=1)
        wanted = [
            Seen(frame, track + 1, labels[track], tuple(ways[track, frame]))
            for track, frame in product(range(objects), range(5))
            if random.random() < 0.9
        ]
        found = []
        for track in range(tracks):
            followed, sure = random.integers(0, 3, 5), random.random()
            for frame in range(5):
                target = followed[0] if random.random() < 0.7 else followed[frame]
                if random.random() < 0.85:
                    place = ways[target, frame] if target < objects else random.uniform(0, 6, 2)
                    near = tuple(place + random.normal(0, 0.6, 2))
                    found.append(Seen(frame, track + 11, labels[track], near, sure + random.normal(0, 0.1)))
        drawn.append((found, wanted))
    return drawn


def as_tracks(seen: Sequence[Seen]) -> Boxes:
    cuboids = [
        Box3D(
            (*each.place, 0), (1, 1, 1), label=each.label, score=each.score, track_id=each.track, frame_index=each.frame
        )
        for each in seen
    ]
    return Boxes(tuple(cuboids), space=BoxSpace.METRE)


def amota(drawn: Sequence[Video]) -> float:
    """At 40 recalls the share of objects that is not an error, where objects beyond the recall are no errors.

    At each recall only tracks count that are as sure as the least sure one needed to find so many objects.
    """
    labels = sorted({each.label for _, wanted in drawn for each in wanted})
    if not labels:
        return 0.0 if any(found for found, _ in drawn) else 1.0
    return sum(amota_of_label(drawn, label) for label in labels) / len(labels)


def amota_of_label(drawn: Sequence[Video], label: str) -> float:
    clips = [tuple([each for each in side if each.label == label] for side in video) for video in drawn]
    count = sum(len(wanted) for _, wanted in clips)
    sureness = [mean_scores(found) for found, _ in clips]
    finds = sorted(
        (
            scores[track]
            for scores, (found, wanted) in zip(sureness, clips, strict=True)
            for _, pairs in followed(found, wanted)
            for track in pairs.values()
        ),
        reverse=True,
    )
    total = 0.0
    for step in range(1, 41):
        needed = ceil(Fraction(step, 40) * count)
        if needed > len(finds):
            continue
        errors = 0
        for scores, (found, wanted) in zip(sureness, clips, strict=True):
            errors += mistakes([each for each in found if scores[each.track] >= finds[needed - 1]], wanted)
        spared = (1 - step / 40) * count
        total += min(1.0, max(0.0, 1 - (errors - spared) / (step / 40 * count)))
    return total / 40


def mean_scores(found: Sequence[Seen]) -> Mapping[int, float]:
    tracks: dict[int, list[float]] = {}
    for each in found:
        tracks.setdefault(each.track, []).append(each.score)
    return {track: sum(scores) / len(scores) for track, scores in tracks.items()}


def mistakes(found: Sequence[Seen], wanted: Sequence[Seen]) -> int:
    """What is missed, seen where nothing is, and seen under another track than the last time it was seen."""
    wrong, known = 0, dict[int, int]()
    for (boxes, objects), pairs in followed(found, wanted):
        wrong += boxes + objects - 2 * len(pairs)
        for thing, track in pairs.items():
            wrong += known.get(thing, track) != track
            known[thing] = track
    return wrong


def followed(found: Sequence[Seen], wanted: Sequence[Seen]) -> Iterator[tuple[tuple[int, int], dict[int, int]]]:
    """Frame by frame, how many boxes and objects there are, and which track each object that is found is found by.

    Bernardin and Stiefelhagen 2008: pairs of the frame before stay while they are within 2 m; of all ways to pair the
    others the closest is taken, which is tried out.
    """
    pairs: dict[int, int] = {}
    every = sorted(
        [*((each, True) for each in found), *((each, False) for each in wanted)], key=lambda one: one[0].frame
    )
    for _, group in groupby(every, key=lambda one: one[0].frame):
        sides: tuple[dict[int, tuple[float, float]], dict[int, tuple[float, float]]] = ({}, {})
        for each, is_found in group:
            sides[not is_found][each.track] = each.place
        boxes, objects = sides
        near = {
            (thing, track): 1 - dist(objects[thing], boxes[track]) / 2
            for thing, track in product(objects, boxes)
            if dist(objects[thing], boxes[track]) < 2
        }
        kept = {thing: track for thing, track in pairs.items() if (thing, track) in near}
        others = {pair: worth for pair, worth in near.items() if pair[0] not in kept and pair[1] not in kept.values()}
        pairs = {**kept, **dict(max(pairings(list(others)), key=lambda chosen: sum(others[pair] for pair in chosen)))}
        yield (len(boxes), len(objects)), pairs


def pairings(pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """All sets of pairs that have nothing in common."""
    if not pairs:
        yield ()
        return
    first, *rest = pairs
    yield from pairings(rest)
    for chosen in pairings([pair for pair in rest if pair[0] != first[0] and pair[1] != first[1]]):
        yield (first, *chosen)


@settings(max_examples=200, deadline=None)
@given(videos())
def test_amota_is_that_of_its_definition(drawn: list[Video]) -> None:
    of = metric("amota")
    rows = [of.sample(as_tracks(found), [as_tracks(wanted)]) for found, wanted in drawn]
    assert of.finish(rows) == pytest.approx(amota(drawn), abs=TOLERANCE)
