"""Blind answers that are boxes: in images, over the frames of videos, or cuboids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TypeAlias

from echelon.adapters import Box, Box3D, Boxes, EchelonError, Image, Part, Video
from echelon.adapters.content import BoxSpace
from echelon.scorer.chance.candidate import Candidate, Inputs, constant
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample

AnyBox: TypeAlias = Box | Box3D

TYPICAL = 6
KEPT = 400
"""Single boxes that are kept as an idea of where objects lie."""
MOST_FRAMES = 4096
MANY = 100
"""Boxes of one answer."""
OVERLAPS = (0.3, 0.6, 0.9)
"""How much boxes of one answer may overlap."""


class BoxObserver:
    """Learns where boxes lie, under which labels and in how many frames, and keeps some references whole."""

    def __init__(self, seeded: SeededHash, draws: int) -> None:
        self._seeded, self._draws = seeded, draws
        self._labels: Counter[str] = Counter()
        self._boxes: Reservoir[AnyBox] = Reservoir(seeded, KEPT)
        self._kept: Reservoir[Boxes] = Reservoir(seeded, TYPICAL)
        self._inputs = Inputs(Boxes)
        self._space = BoxSpace.PIXEL

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        reference = _reference(sample)
        if reference is None:
            return
        self._space = reference.space
        for number, box in enumerate(reference.boxes):
            self._labels[box.label] += 1
            self._boxes.offer(f"{sample.id}\n{number}", box)
        self._kept.offer(sample.id, reference)

    def candidates(self) -> Iterator[Candidate]:
        yield constant("no box", Boxes((), self._space))
        yield from self._inputs.candidates()
        yield Candidate("the boxes of the input, in every frame", self._input_everywhere)
        boxes = [box for _, box in self._boxes.items]
        flat = [box for box in boxes if isinstance(box, Box)]
        solid = [box for box in boxes if isinstance(box, Box3D)]
        labels = [label for label, _ in sorted(self._labels.items(), key=lambda each: (-each[1], each[0]))]
        if flat:
            yield from self._of_rectangles(flat, labels)
        if solid:
            yield from self._of_cuboids(solid, labels)
        for source, reference in self._kept.items:
            yield constant("one reference", reference, source)
            yield self._in_frames("one reference, in every frame", _unframed(reference.boxes), source)
        for draw in range(self._draws):
            yield Candidate(f"a reference drawn at random, {draw + 1}", partial(self._drawn, draw))

    def _of_rectangles(self, boxes: Sequence[Box], labels: Sequence[str]) -> Iterator[Candidate]:
        typical = [_median_box([box for box in boxes if box.label == label]) for label in labels[:MANY]]
        known = [box for box in typical if box is not None]
        yield self._in_frames("the median box of the most common label", known[:1])
        yield self._in_frames("the median box of each label", known)
        for overlap in OVERLAPS:
            for own in (1, MANY):
                ranked = [box for label in labels[:MANY] for box in _densest(boxes, label, own, overlap)]
                yield self._in_frames(f"the most typical boxes, {own} of each label, {overlap:g} apart", ranked)
        for margin in (0.0, 0.1, 0.25):
            yield Candidate(
                f"the whole picture but for a margin of {margin:g}", self._whole_picture(labels, boxes, margin)
            )

    def _of_cuboids(self, boxes: Sequence[Box3D], labels: Sequence[str]) -> Iterator[Candidate]:
        medians = [_median_cuboid([box for box in boxes if box.label == label]) for label in labels[:MANY]]
        yield self._in_frames("the median cuboid of each label", [box for box in medians if box is not None])
        for count in (1, 10, MANY):
            some = [box for label in labels[:MANY] for box in [each for each in boxes if each.label == label][:count]]
            yield self._in_frames(f"{count} cuboids of each label", some)

    def _in_frames(self, name: str, boxes: Sequence[AnyBox], source: str = "") -> Candidate:
        """The same boxes in each of the frames that the reference, or else the input, has."""

        def answer(sample: Sample) -> Part:
            framed = (replace(box, frame_index=frame) for frame in _frames(sample) for box in boxes)
            return Boxes(tuple(framed), self._space)

        return Candidate(name, answer, source)

    def _input_everywhere(self, sample: Sample) -> Part | None:
        given = [box for part in self._inputs.of(sample) if isinstance(part, Boxes) for box in part.boxes]
        return self._in_frames("", _unframed(given)).answer(sample) if given else None

    def _whole_picture(
        self, labels: Sequence[str], boxes: Sequence[Box], margin: float
    ) -> Callable[[Sample], Part | None]:
        ends = max(box.x_max for box in boxes), max(box.y_max for box in boxes)

        def answer(sample: Sample) -> Part:
            width, height = (1.0, 1.0) if self._space is BoxSpace.UNIT else _picture(sample) or ends
            left, top = margin * width, margin * height
            box = Box(left, top, width - left, height - top, label=labels[0])
            return self._in_frames("", [box]).answer(sample)  # type: ignore[return-value]  # it always answers

        return answer

    def _drawn(self, draw: int, sample: Sample) -> Part | None:
        options = [part for source, part in self._kept.items if source != sample.id]
        return self._seeded.pick(options, "draw", draw, sample.id) if options else None


def _reference(sample: Sample) -> Boxes | None:
    return next((part for part in sample.references if isinstance(part, Boxes)), None)


def _frames(sample: Sample) -> Sequence[int]:
    """The frames that an answer has to fill: those of the input's video, or else the reference's."""
    reference = _reference(sample)
    framed = sorted({box.frame_index for box in reference.boxes}) if reference is not None else []
    for part in sample.parts:
        if isinstance(part, Video) and part.frames and len(framed) < 2:
            return range(min(len(part.frames), MOST_FRAMES)) if framed != [0] else [0]
    return framed[:MOST_FRAMES] or [0]


def _picture(sample: Sample) -> tuple[float, float] | None:
    """Width and height of the input."""
    for part in sample.parts:
        image = part.frames[0].image if isinstance(part, Video) and part.frames else part
        if isinstance(image, Image):
            try:
                height, width = image.array().shape[:2]
            except EchelonError:
                continue
            return float(width), float(height)
    return None


def _unframed(boxes: Sequence[AnyBox]) -> list[AnyBox]:
    """The boxes of the first frame that has some."""
    first = min((box.frame_index for box in boxes), default=0)
    return [box for box in boxes if box.frame_index == first]


def _median_box(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    return Box(
        median(box.x_min for box in boxes),
        median(box.y_min for box in boxes),
        median(box.x_max for box in boxes),
        median(box.y_max for box in boxes),
        label=boxes[0].label,
        track_id=1,
    )


def _median_cuboid(boxes: Sequence[Box3D]) -> Box3D | None:
    if not boxes:
        return None
    center, size = _medians([box.center for box in boxes]), _medians([box.size for box in boxes])
    return replace(boxes[0], center=center, size=size, score=None, track_id=1)


def _medians(places: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    x, y, z = (median(values) for values in zip(*places, strict=True))
    return x, y, z


def _densest(boxes: Sequence[Box], label: str, most: int, overlap: float) -> list[Box]:
    """Boxes of a label, those first that lie where most others do, and no two that overlap more."""
    from echelon.scorer.metrics.boxes import intersection_over_union

    own = [box for box in boxes if box.label == label][: 2 * MANY]
    near = [sum(intersection_over_union(box, other) >= 0.5 for other in own) for box in own]
    chosen: list[Box] = []
    for at in sorted(range(len(own)), key=lambda at: -near[at]):
        if len(chosen) < most and all(intersection_over_union(own[at], box) < overlap for box in chosen):
            chosen.append(replace(own[at], score=near[at] / len(own), track_id=len(chosen) + 1))
    return chosen
