"""From many candidate boxes to the few that are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.content import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray


def boxes_of(
    corners: NDArray[Any],
    scores: NDArray[Any],
    labels: tuple[str, ...],
    *,
    threshold: float,
    nms: float | None,
    size: tuple[int, int],
) -> tuple[Box, ...]:
    """The boxes whose best score reaches the threshold, best first, in units of `size` (height, width).

    Of two boxes of one label that overlap by more than `nms`, the better one stays.
    """
    import numpy as np

    best = scores.argmax(axis=1)
    score = scores.max(axis=1)
    order = np.argsort(-score, kind="stable")
    kept = [int(place) for place in order if score[place] >= threshold and _is_box(corners[place])]
    if nms is not None:
        kept = _distinct(corners, best, kept, nms)
    scale = np.array([size[1], size[0]] * 2)
    placed = (np.clip(corners[kept], 0, 1) * scale).tolist()
    return tuple(
        Box(x_min, y_min, x_max, y_max, labels[best[place]], float(score[place]))
        for place, (x_min, y_min, x_max, y_max) in zip(kept, placed, strict=True)
    )


def _is_box(corners: NDArray[Any]) -> bool:
    return bool(corners[0] < corners[2] and corners[1] < corners[3])


def _distinct(corners: NDArray[Any], label: NDArray[Any], places: list[int], most: float) -> list[int]:
    kept: list[int] = []
    for place in places:
        rivals = [other for other in kept if label[other] == label[place]]
        if all(_overlap(corners[place], corners[other]) <= most for other in rivals):
            kept.append(place)
    return kept


def _overlap(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Intersection over union."""
    sides = (min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1]))
    shared = max(0.0, float(sides[0])) * max(0.0, float(sides[1]))
    return shared / (_area(one) + _area(other) - shared)


def _area(corners: NDArray[Any]) -> float:
    return float((corners[2] - corners[0]) * (corners[3] - corners[1]))
