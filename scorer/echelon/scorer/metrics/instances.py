"""Metrics of instances that are more than boxes: masks and keypoints, as JSON in the form of COCO's results.

An answer is a list of mappings, one for each instance of an image: `category_id`, a whole number or a text, which may
be left out; `score`; and `segmentation`, {"size": [height, width], "counts": run lengths, plain or packed}, or
`keypoints`. A reference is such a list, too, where COCO's annotations may have `iscrowd`, and instances with keypoints
`area` and `bbox`. Whatever else is there is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import msgspec

from echelon.adapters import InvalidInputError, Json, Kind, Part
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.detection import COCO_LIMITS, CocoDetection, Group
from echelon.scorer.metrics.metric import InvalidAnswer, expect
from echelon.scorer.metrics.run_lengths import edges_of, pixel_count, shared_pixels, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from echelon.scorer.metrics.run_lengths import Edges

TOLERANCES = tuple(
    thousandths / 1000 for thousandths in (26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89)
)
"""How far annotators differ in each of COCO's 17 keypoints, nose to ankles, by the root of the object's area."""
NUMBERS = 3 * len(TOLERANCES)
LARGEST = 1e9
"""Above any coordinate."""
EPSILON = 2.0**-52

Side: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=32768)]
Length: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 30)]
Coordinate: TypeAlias = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Area: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=LARGEST**2)]


class RunLengths(msgspec.Struct, frozen=True):
    """A mask: height and width, and run lengths, plain or packed."""

    size: tuple[Side, Side]
    counts: str | tuple[Length, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What all instances have in COCO's form."""

    category_id: int | str = ""
    score: float | None = None
    iscrowd: bool | int = False


class MaskLine(Line, frozen=True, kw_only=True):
    """An instance with a mask."""

    segmentation: RunLengths


class KeypointsLine(Line, frozen=True, kw_only=True):
    """An instance with keypoints, each x, y and visibility: 0 in a reference where nobody knows where it is."""

    keypoints: Annotated[tuple[Coordinate, ...], msgspec.Meta(min_length=NUMBERS, max_length=NUMBERS)]
    area: Area | None = None
    bbox: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MaskInstance:
    """A mask as its edges."""

    score: float | None
    is_crowd: bool
    size: tuple[int, int]
    edges: Edges
    area: float


@dataclass(frozen=True, slots=True, eq=False)
class KeypointsInstance:
    """Places, (keypoints, 2), and which of them are known; the box is x, y, width, height."""

    score: float | None
    is_crowd: bool
    places: NDArray[np.float64]
    known: NDArray[np.bool_]
    area: float | None
    box: tuple[float, ...] | None


LineT = TypeVar("LineT", bound=Line)
InstanceT = TypeVar("InstanceT")


class MaskAveragePrecision(CocoDetection[MaskInstance]):
    """COCO's average precision of masks, which overlap by shared pixels; of a crowd a mask need only be a part.

    0 to 1, up; the worst is 0. Lin et al. 2014, arXiv 1405.0312.
    """

    kind = Kind.JSON

    def groups(self, part: Part) -> Mapping[Group, Sequence[MaskInstance]]:
        lines = _lines(part, MaskLine)
        return _grouped(lines, _masks(lines))

    def is_excused(self, wanted: MaskInstance) -> bool:
        return wanted.is_crowd

    def is_crowd(self, wanted: MaskInstance) -> bool:
        return wanted.is_crowd

    def closeness(self, found: Sequence[MaskInstance], objects: Sequence[MaskInstance]) -> list[list[float]]:
        import numpy as np

        _check_sizes(found, objects)
        shared = shared_pixels([each.edges for each in found], [each.edges for each in objects])
        area, other = (np.array([each.area for each in side]) for side in (found, objects))
        crowds = np.array([each.is_crowd for each in objects])
        either = np.where(crowds, area[:, None], area[:, None] + other - shared)
        overlaps: list[list[float]] = (shared / np.maximum(1, either)).tolist()
        return overlaps


class MaskAveragePrecision50(MaskAveragePrecision):
    """COCO's average precision of masks at an overlap of 0.5."""

    name = "ap50_masks"
    variant = "/coco@1;iou=0.5;recalls=101;most=100;ties=false-first;score=1"
    limits = (0.5,)


class MaskAveragePrecision75(MaskAveragePrecision):
    """COCO's average precision of masks at an overlap of 0.75."""

    name = "ap75_masks"
    variant = "/coco@1;iou=0.75;recalls=101;most=100;ties=false-first;score=1"
    limits = (0.75,)


class CocoMaskAveragePrecision(MaskAveragePrecision):
    """COCO's average precision of masks over the overlaps 0.5, 0.55 ... 0.95."""

    name = "ap_coco_masks"
    variant = "/coco@1;iou=0.5:0.95;recalls=101;most=100;ties=false-first;score=1"
    limits = COCO_LIMITS


class KeypointsAveragePrecision(CocoDetection[KeypointsInstance]):
    """COCO's average precision of keypoints, which are as close as their distances are small for the object's size.

    That is the mean over the known keypoints of exp(-distance^2 / (2 area (2 tolerance)^2)). An object without known
    keypoints is excused; there, distances are those from its box doubled to each side. The formula, like the tolerances
    of 17 keypoints, is that of COCO's code; Ronchi and Perona 2017, arXiv 1707.05388. 0 to 1, up; the worst is 0.
    """

    kind = Kind.JSON
    most = 20

    def groups(self, part: Part) -> Mapping[Group, Sequence[KeypointsInstance]]:
        lines = _lines(part, KeypointsLine)
        return _grouped(lines, _keypoints(lines))

    def is_excused(self, wanted: KeypointsInstance) -> bool:
        return wanted.is_crowd or not wanted.known.any()

    def is_crowd(self, wanted: KeypointsInstance) -> bool:
        return wanted.is_crowd

    def closeness(self, found: Sequence[KeypointsInstance], objects: Sequence[KeypointsInstance]) -> list[list[float]]:
        import numpy as np

        places = np.stack([each.places for each in found])
        columns: list[list[float]] = np.stack([_similarity(places, wanted) for wanted in objects], axis=1).tolist()
        return columns


class KeypointsAveragePrecision50(KeypointsAveragePrecision):
    """COCO's average precision of keypoints at a similarity of 0.5."""

    name = "ap50_keypoints"
    variant = "/coco@1;oks=0.5;tolerances=coco-17;recalls=101;most=20;ties=false-first;score=1"
    limits = (0.5,)


class KeypointsAveragePrecision75(KeypointsAveragePrecision):
    """COCO's average precision of keypoints at a similarity of 0.75."""

    name = "ap75_keypoints"
    variant = "/coco@1;oks=0.75;tolerances=coco-17;recalls=101;most=20;ties=false-first;score=1"
    limits = (0.75,)


class CocoKeypointsAveragePrecision(KeypointsAveragePrecision):
    """COCO's average precision of keypoints over the similarities 0.5, 0.55 ... 0.95."""

    name = "ap_coco_keypoints"
    variant = "/coco@1;oks=0.5:0.95;tolerances=coco-17;recalls=101;most=20;ties=false-first;score=1"
    limits = COCO_LIMITS


def _lines(part: Part, form: type[LineT]) -> list[LineT]:
    """The part's instances; InvalidInputError where it does not hold any in that form."""
    try:
        lines: list[LineT] = msgspec.json.decode(expect(part, Json).value, type=list[form])  # type: ignore[valid-type]  # a variable
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidInputError(f"this is no list of instances as COCO writes them: {error}") from error
    return lines


def _grouped(lines: Sequence[Line], instances: Iterable[InstanceT]) -> dict[Group, list[InstanceT]]:
    """The instances of these lines by category."""
    groups: dict[Group, list[InstanceT]] = {}
    for line, instance in zip(lines, instances, strict=True):
        groups.setdefault((0, str(line.category_id)), []).append(instance)
    return groups


def _masks(lines: Sequence[MaskLine]) -> Iterator[MaskInstance]:
    """The masks of these lines; InvalidInputError where run lengths are none."""
    import numpy as np

    masks = [line.segmentation for line in lines]
    packed = iter(unpacked([mask.counts for mask in masks if isinstance(mask.counts, str)]))
    for line, mask in zip(lines, masks, strict=True):
        lengths = next(packed) if isinstance(mask.counts, str) else np.array(mask.counts, np.int64)
        edges = edges_of(lengths, *mask.size)
        yield MaskInstance(line.score, bool(line.iscrowd), mask.size, edges, pixel_count(edges))


def _keypoints(lines: Sequence[KeypointsLine]) -> Iterator[KeypointsInstance]:
    import numpy as np

    numbers = np.array([line.keypoints for line in lines]).reshape(-1, len(TOLERANCES), 3)
    for line, places, known in zip(lines, numbers[..., :2], numbers[..., 2] > 0, strict=True):
        yield KeypointsInstance(line.score, bool(line.iscrowd), places, known, line.area, line.bbox)


def _check_sizes(found: Sequence[MaskInstance], objects: Sequence[MaskInstance]) -> None:
    wanted = objects[0].size
    for instance in objects:
        if instance.size != wanted:
            raise InvalidSuiteError(f"a reference cannot be used: it has masks of {instance.size} and of {wanted}")
    for instance in found:
        if instance.size != wanted:
            raise InvalidAnswer(f"a mask has the size {instance.size}, {wanted} is wanted")


def _similarity(places: NDArray[np.float64], wanted: KeypointsInstance) -> NDArray[np.float64]:
    """How close keypoints, (instances, keypoints, 2), are to those of an object, 0 to 1."""
    import numpy as np

    if wanted.area is None:
        raise InvalidSuiteError("a reference cannot be used: an instance with keypoints needs its `area`")
    if wanted.known.any():
        away = places - wanted.places
        counted = wanted.known
    elif wanted.box is None:
        raise InvalidSuiteError("a reference cannot be used: an instance without known keypoints needs its `bbox`")
    else:
        corner, sides = np.array(wanted.box[:2]), np.array(wanted.box[2:])
        away = np.maximum(0, corner - sides - places) + np.maximum(0, places - corner - 2 * sides)
        counted = np.ones_like(wanted.known)
    scales = 2 * (2 * np.array(TOLERANCES)) ** 2 * (wanted.area + EPSILON)
    similarity: NDArray[np.float64] = np.exp(-(away**2).sum(axis=-1) / scales)[:, counted].mean(axis=1)
    return similarity
