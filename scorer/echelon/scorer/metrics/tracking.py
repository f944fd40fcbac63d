"""Metrics of many objects that are tracked at once; boxes of one track have one `track_id` above 0."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, dist, fsum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from echelon.adapters import Box, Box3D, Boxes, InvalidInputError, Kind, Part
from echelon.scorer.metrics.boxes import intersection_over_union, rectangles
from echelon.scorer.metrics.cuboids import cuboids
from echelon.scorer.metrics.detection import score_of
from echelon.scorer.metrics.labels import label_code
from echelon.scorer.metrics.metric import Metric, RatioMetric, Stats, expect, quotient, ratio, read_both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OVERLAP = 0.5
ALPHAS = tuple(step / 20 for step in range(1, 20))
RECALLS = tuple(step / 40 for step in range(1, 41))
NEAR_M = 2.0
SLACK = 1e-10
SURE = 1e9
"""The score, and the distance from everything, of what a failed sample counts as having seen."""

WANTED_AT, LABEL_AT, FRAME_AT, TRACK_AT, SCORE_AT, PLACE_AT = range(6)
COLUMNS = 7

BoxT = TypeVar("BoxT")
ShapeT = TypeVar("ShapeT", bound=Box | Box3D)
Tracks: TypeAlias = Mapping[int, Mapping[int, BoxT]]
"""Boxes by frame and track."""
Pair: TypeAlias = tuple[int, int]
"""A track of the reference and one of the answer, by their places in the video."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The places of both sides' tracks in the video, and how alike their boxes are: from 0, for no match, to 1."""

    wanted: NDArray[np.intp]
    given: NDArray[np.intp]
    alike: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scene:
    """The frames of a video, and in how many of them each track is."""

    frames: tuple[Frame, ...]
    wanted: NDArray[np.float64]
    given: NDArray[np.float64]

    @property
    def objects(self) -> float:
        """Boxes of the reference."""
        return float(self.wanted.sum())

    @property
    def boxes(self) -> float:
        """Boxes of both sides."""
        return self.objects + float(self.given.sum())


class _Tracking(RatioMetric):
    """A ratio of counts over the tracks of rectangles; labels do not matter."""

    kind = Kind.BOXES

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_both(_rectangles, prediction, reference)
        scene = _scene(given, wanted, intersection_over_union)
        return tuple(map(float, self.counts(scene)))

    @abstractmethod
    def counts(self, scene: Scene) -> Iterable[float]:
        """The stats of a video."""


class Mota(_Tracking):
    """One less the share of objects that are missed, seen wrongly or under another track: Bernardin et al. 2008.

    The stats are (errors, objects). A video has at most twice as many errors as objects, so that a score is at least
    -1: else a wrong answer would be worse than none.
    """

    name = "mota"
    variant = "/clear@1;iou=0.5;cap=2"
    range = (-1.0, 1.0)

    def counts(self, scene: Scene) -> Iterable[float]:
        objects = max(1.0, scene.objects)
        return min(2 * objects, _errors(scene, OVERLAP)), objects

    def worst(self, references: Sequence[Part]) -> Stats:
        objects = _weight(references[0])
        return 2 * objects, objects

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 - quotient(sums[..., 0], sums[..., 1])


class Idf1(_Tracking):
    """F1 of boxes under the best pairing of whole tracks: Ristani et al. 2016; the stats are (hits, both's boxes)."""

    name = "idf1"
    variant = "@1;iou=0.5"

    def counts(self, scene: Scene) -> Iterable[float]:
        together = _together(scene, lambda alike: alike >= OVERLAP - SLACK)
        hits = fsum(together[pair] for pair in _best(together))
        return (hits, scene.boxes) if scene.boxes else (0.5, 1.0)

    def worst(self, references: Sequence[Part]) -> Stats:
        return 0.0, 2 * _weight(references[0])

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(2 * sums[..., 0], sums[..., 1])


class Hota(_Tracking):
    """The geometric mean of detection and association, over the overlaps 0.05 to 0.95: Luiten et al. 2021.

    The stats are, for each overlap, the hits, how well the tracks of hits agree, and what both have but for hits.
    """

    name = "hota"
    variant = "@1;alphas=19"

    def counts(self, scene: Scene) -> Iterable[float]:
        import numpy as np

        pairs = list(_aligned(scene))
        hits, agreement = [], []
        for alpha in ALPHAS:
            matched = np.zeros((len(scene.wanted), len(scene.given)))
            for pair, alike in pairs:
                matched[pair] += alike >= alpha - SLACK
            either = np.add.outer(scene.wanted, scene.given) - matched
            hits.append(float(matched.sum()))
            agreement.append(fsum((matched**2 / np.maximum(1, either)).flat))
        return (*hits, *agreement, *(scene.boxes - hit for hit in hits))

    def worst(self, references: Sequence[Part]) -> Stats:
        nothing = (0.0,) * len(ALPHAS)
        return (*nothing, *nothing, *(2 * _weight(references[0]),) * len(ALPHAS))

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        hits, agreement, either = np.split(sums, 3, axis=-1)
        scores = np.sqrt(quotient(hits, either) * quotient(agreement, hits)).mean(axis=-1)
        return np.where((either == 0).all(axis=-1), 1.0, scores)


class Amota(Metric):
    """MOTA at 40 recalls, each freed of the objects that its recall leaves out, averaged: Weng et al. 2020.

    Cuboids match whose centres are within 2 m on the ground, over the labels of the references. A track's score is the
    mean of its boxes'. The stats are seven numbers for each box: whether it is the reference's, label, frame, track,
    score, x and y.
    """

    name = "amota"
    variant = "/own@1;centre=2;recalls=40;score=track-mean"
    kind = Kind.BOXES

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = read_both(_cuboids, prediction, reference)
        return (*_stats(given, 0.0), *_stats(wanted, 1.0))

    def worst(self, references: Sequence[Part]) -> Stats:
        missed = _stats(_cuboids(references[0]), 1.0)
        alarms = [
            number
            for at in range(0, len(missed), COLUMNS)
            for number in (0.0, *missed[at + LABEL_AT : at + SCORE_AT], SURE, SURE, SURE)
        ]
        # Rightly seeing nothing must not look the same as failing.
        return (*missed, *alarms) or (0.0,) * COLUMNS

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        tables = [np.asarray(row, np.float64).reshape(-1, COLUMNS) for row in rows]
        labels = np.unique(np.concatenate([table[table[:, WANTED_AT] == 1, LABEL_AT] for table in tables]))
        averages = [_amota([table[table[:, LABEL_AT] == label] for table in tables]) for label in labels]
        return ratio(fsum(averages), len(averages), empty=0.0 if any(map(len, tables)) else 1.0)


def _amota(tables: Sequence[NDArray[np.float64]]) -> float:
    """The metric of one label."""
    scenes = [_centres(table) for table in tables]
    objects = fsum(scene.objects for scene, _ in scenes)
    found = sorted((score for scene, scores in scenes for score in _found(scene, scores)), reverse=True)
    averaged = []
    for recall in RECALLS:
        needed = ceil(recall * objects - SLACK)
        if needed <= len(found):
            errors = fsum(_errors(_surer(*scene, found[needed - 1]), SLACK) for scene in scenes)
            averaged.append(min(1.0, max(0.0, 1 - (errors - (1 - recall) * objects) / (recall * objects))))
    return fsum(averaged) / len(RECALLS)


def _centres(table: NDArray[np.float64]) -> tuple[Scene, NDArray[np.float64]]:
    """A scene of cuboids, alike as their centres are close, and the score of each given track."""
    import numpy as np

    given, wanted = (table[table[:, WANTED_AT] == side] for side in (0, 1))
    scores = [given[given[:, TRACK_AT] == track, SCORE_AT] for track in np.unique(given[:, TRACK_AT])]
    scene = _scene(_places(given), _places(wanted), lambda one, other: max(0.0, 1 - dist(one, other) / NEAR_M))
    return scene, np.array([fsum(of) / len(of) for of in scores])


def _places(table: NDArray[np.float64]) -> Tracks[tuple[float, ...]]:
    tracks: dict[int, dict[int, tuple[float, ...]]] = {}
    for line in table.tolist():
        tracks.setdefault(int(line[FRAME_AT]), {})[int(line[TRACK_AT])] = tuple(line[PLACE_AT:])
    return tracks


def _found(scene: Scene, scores: NDArray[np.float64]) -> Iterator[float]:
    """The score of each object that is found."""
    for _, pairs in _matched(scene, SLACK):
        yield from (float(scores[track]) for _, track in pairs)


def _surer(scene: Scene, scores: NDArray[np.float64], least: float) -> Scene:
    """The scene without tracks of a lower score."""
    frames = []
    for frame in scene.frames:
        kept = scores[frame.given] >= least
        frames.append(Frame(frame.wanted, frame.given[kept], frame.alike[:, kept]))
    return Scene(tuple(frames), scene.wanted, scene.given)


def _errors(scene: Scene, least: float) -> float:
    """Missed objects, false alarms, and objects that are found under another track than last time."""
    errors = 0
    last: dict[int, int] = {}
    for frame, pairs in _matched(scene, least):
        errors += len(frame.wanted) + len(frame.given) - 2 * len(pairs)
        for wanted, given in pairs:
            errors += last.get(wanted, given) != given
            last[wanted] = given
    return float(errors)


def _matched(scene: Scene, least: float) -> Iterator[tuple[Frame, list[Pair]]]:
    """The best pairs of each frame that are alike enough; those of the frame before go first."""
    import numpy as np

    before: set[Pair] = set()
    for frame in scene.frames:
        close = frame.alike >= max(SLACK, least - SLACK)
        kept = np.array([[(row, column) in before for column in frame.given] for row in frame.wanted], bool)
        value = np.where(close, frame.alike + 1000 * kept.reshape(close.shape), 0.0)
        pairs = [(int(frame.wanted[row]), int(frame.given[column])) for row, column in _best(value)]
        before = set(pairs)
        yield frame, pairs


def _aligned(scene: Scene) -> Iterator[tuple[Pair, float]]:
    """HOTA's pairs, which favour tracks that are alike throughout, and how alike they are in each frame."""
    import numpy as np

    together = _together(scene, _shares)
    alignment = together / np.maximum(SLACK, np.add.outer(scene.wanted, scene.given) - together)
    for frame in scene.frames:
        for row, column in _best(alignment[np.ix_(frame.wanted, frame.given)] * frame.alike):
            yield (int(frame.wanted[row]), int(frame.given[column])), float(frame.alike[row, column])


def _shares(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    """How alike two are, by how alike either is to anything."""
    either = alike.sum(axis=0, keepdims=True) + alike.sum(axis=1, keepdims=True) - alike
    return quotient(alike, either)


def _together(
    scene: Scene, likeness: Callable[[NDArray[np.float64]], NDArray[np.float64] | NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """Over the frames, how alike each two tracks are."""
    import numpy as np

    total = np.zeros((len(scene.wanted), len(scene.given)))
    for frame in scene.frames:
        total[np.ix_(frame.wanted, frame.given)] += likeness(frame.alike)
    return total


def _best(value: NDArray[np.float64]) -> list[Pair]:
    """The pairs of rows and columns that are worth most in sum, without those that are worth nothing."""
    from scipy.optimize import linear_sum_assignment

    pairs = zip(*linear_sum_assignment(value, maximize=True), strict=True)
    return [(int(row), int(column)) for row, column in pairs if value[row, column] > 0]


def _scene(given: Tracks[BoxT], wanted: Tracks[BoxT], likeness: Callable[[BoxT, BoxT], float]) -> Scene:
    import numpy as np

    places = [
        {track: place for place, track in enumerate(sorted({track for frame in side.values() for track in frame}))}
        for side in (wanted, given)
    ]
    lengths = [np.zeros(len(side)) for side in places]
    frames = []
    for at in sorted(given.keys() | wanted.keys()):
        theirs, mine = wanted.get(at, {}), given.get(at, {})
        alike = np.array([[likeness(box, other) for box in mine.values()] for other in theirs.values()])
        rows, columns = (
            np.array([of[track] for track in side], np.intp) for of, side in zip(places, (theirs, mine), strict=True)
        )
        lengths[0][rows] += 1
        lengths[1][columns] += 1
        frames.append(Frame(rows, columns, alike.reshape(len(rows), len(columns))))
    return Scene(tuple(frames), *lengths)


def _rectangles(part: Part) -> Tracks[Box]:
    return _tracks(rectangles(part))


def _cuboids(part: Part) -> Tracks[Box3D]:
    return _tracks(cuboids(part))


def _tracks(boxes: Iterable[ShapeT]) -> Tracks[ShapeT]:
    tracks: dict[int, dict[int, ShapeT]] = {}
    for box in boxes:
        frame = tracks.setdefault(box.frame_index, {})
        if box.track_id < 1 or box.track_id in frame:
            raise InvalidInputError(f"frame {box.frame_index}: each box needs a track_id of its own, above 0")
        frame[box.track_id] = box
    return tracks


def _weight(reference: Part) -> float:
    """How much a reference weighs; one without objects as much as one, so that it can be failed."""
    return float(max(1, len(expect(reference, Boxes).boxes)))


def _stats(tracks: Tracks[Box3D], side: float) -> list[float]:
    return [
        number
        for frame, boxes in tracks.items()
        for track, box in boxes.items()
        for number in (side, label_code(box.label), float(frame), float(track), score_of(box), *box.center[:2])
    ]
