"""What General-Bench's evaluators of video compute, against their definitions written out once more in fractions."""

from fractions import Fraction
from math import dist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import Box, Boxes, Part, Tensor
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric

BEGUN = Fraction(1, 10_000)
"""What the evaluators count samples from."""
Corners = tuple[int, int, int, int]

sides = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
corners = sides.map(lambda side: (side[0], side[1], side[0] + side[2], side[1] + side[3]))
videos = st.lists(st.lists(st.tuples(corners, corners), min_size=1, max_size=5), min_size=1, max_size=3)


def overlap(one: Corners, other: Corners) -> Fraction:
    cells = [{(x, y) for x in range(left, right) for y in range(top, low)} for left, top, right, low in (one, other)]
    union = len(cells[0] | cells[1])
    return Fraction(len(cells[0] & cells[1]), union) if union else Fraction(0)


def j_and_f(video: list[tuple[Corners, Corners]]) -> Fraction:
    """Half the mean overlap of the frames' boxes, half the F1 of all boxes, frames forgotten."""
    mean = sum((overlap(*pair) for pair in video), Fraction(0)) / len(video)
    found, right = set(), 0
    for box, _ in video:
        overlaps = [overlap(box, wanted) for _, wanted in video]
        if max(overlaps) >= Fraction(1, 2):
            right += 1
            found.add(overlaps.index(max(overlaps)))
    if not right:
        return mean / 2
    precision, recall = Fraction(right, len(video)), Fraction(right, right + len(video) - len(found))
    return (mean + 2 * precision * recall / (precision + recall)) / 2


def tube(boxes: list[Corners]) -> Boxes:
    return Boxes(tuple(Box(*box, frame_index=at) for at, box in enumerate(boxes)))


@given(videos)
def test_j_and_f_is_what_the_evaluator_computes(drawn: list[list[tuple[Corners, Corners]]]) -> None:
    of = metric("j_and_f_official")
    rows = [of.sample(tube([box for box, _ in video]), [tube([wanted for _, wanted in video])]) for video in drawn]
    expected = sum(map(j_and_f, drawn), Fraction(0)) / (len(drawn) + BEGUN)
    assert of.finish(rows) == pytest.approx(float(expected), abs=1e-12)


def test_a_frame_without_a_box_has_one_of_no_size() -> None:
    of, wanted = metric("j_and_f_official"), tube([(0, 0, 2, 2)] * 4)
    half = Boxes(tuple(Box(0, 0, 2, 2, frame_index=at) for at in (1, 3)))
    # Overlap 1/2; two of four boxes hit, and both the first of four equal ones, so that three are missed.
    expected = (1 / 2 + 2 * (1 / 2) * (2 / 5) / (1 / 2 + 2 / 5)) / 2
    assert of.finish([of.sample(half, [wanted])]) == pytest.approx(expected / 1.0001)


def test_a_box_behind_the_end_of_the_video_is_no_answer() -> None:
    with pytest.raises(InvalidAnswer, match="a box in frame 2, the video has 2 frames"):
        metric("j_and_f_official").sample(tube([(0, 0, 1, 1)] * 3), [tube([(0, 0, 1, 1)] * 2)])


def test_a_long_video_needs_little_memory() -> None:
    count = 3000
    of, wanted = metric("j_and_f_official"), tube([(at, 0, at + 2, 2) for at in range(count)])
    assert of.finish([of.sample(wanted, [wanted])]) == pytest.approx(1 / 1.0001)


flows = st.lists(st.lists(st.tuples(*[st.integers(-9, 9)] * 4), min_size=1, max_size=6), min_size=1, max_size=3)


@given(flows)
def test_end_point_errors_are_counted_as_the_evaluator_does(drawn: list[list[tuple[int, ...]]]) -> None:
    of = metric("epe_official", worst=1e6)
    rows = [of.sample(*both(np.array(vectors, np.float32))) for vectors in drawn]
    means = [np.mean([dist(vector[:2], vector[2:]) for vector in vectors]) for vectors in drawn]
    assert of.finish(rows) == pytest.approx(float(sum(means)) / (len(drawn) + 1e-4), rel=1e-12)


def both(vectors: np.ndarray) -> tuple[Part, list[Part]]:
    return Tensor.from_array(vectors[:, :2]), [Tensor.from_array(vectors[:, 2:])]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8), min_size=1, max_size=3)
)
def test_masks_are_one_object_and_nothing_counts_nothing(drawn: list[list[tuple[int, int]]]) -> None:
    of = metric("miou_video_official")
    rows, expected = [], Fraction(0)
    for video in drawn:
        given_, wanted = (Tensor.from_array(np.array([[[pair[side]] for pair in video]])) for side in (0, 1))
        rows.append(of.sample(given_, [wanted]))
        union = sum(bool(a or b) for a, b in video)
        expected += Fraction(sum(bool(a and b) for a, b in video), union) if union else 0
    assert of.finish(rows) == pytest.approx(float(expected / len(drawn)), abs=1e-12)
