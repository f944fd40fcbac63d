"""What each input step makes of a part, seen through a network that gives back what it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Box3D,
    Boxes,
    Call,
    Image,
    InvalidInputError,
    Mask,
    Number,
    Part,
    PointCloud,
    Request,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.errors import SettingsError

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
RGB = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
FRAMES = np.stack([GREY + i for i in range(5)])
POINTS = np.arange(12, dtype=np.float32).reshape(4, 3)
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64

Fed = Callable[..., NDArray[Any]]


@pytest.fixture
def fed(passing: Any, folder_of: Any, opened: Any) -> Fed:
    """What reaches the network when `part` goes through `steps`."""

    def feed(part: Part | str, *steps: dict[str, Any], item: list[int | None], data_type: int = FLOAT) -> NDArray[Any]:
        kind = "instruction" if isinstance(part, str) else str(part.kind)
        route = {
            "inputs": {"x": {"part": kind, "steps": steps}},
            "output": {"kind": "tensor", "from": ["y"]},
        }
        model = opened(folder_of(passing(item, data_type=data_type), route))
        asked = {"instruction": part} if isinstance(part, str) else {"parts": (part,)}
        (returned,) = model.comprehend([Request(Call.COMPREHEND, **asked)])
        if isinstance(returned, Exception):
            raise returned
        assert isinstance(returned, Answer)
        (answer,) = returned.parts
        assert isinstance(answer, Tensor)
        return answer.array()

    return feed


def sound(samples: Any, rate: int = 8000) -> Audio:
    return Audio.from_array(np.asarray(samples, np.float32), rate)


def test_pixels_arrive_as_they_are(fed: Fed) -> None:
    assert (fed(Image.from_array(GREY), item=[2, 3]) == GREY).all()


def test_resize_nearest_repeats_pixels(fed: Fed) -> None:
    big = fed(Image.from_array(GREY), {"resize": {"size": [4, 6], "method": "nearest"}}, item=[4, 6])
    assert (big == GREY.repeat(2, 0).repeat(2, 1)).all()


def test_resize_is_bilinear(fed: Fed) -> None:
    halved = fed(Image.from_array(np.array([[0, 100], [100, 200]], np.uint8)), {"resize": [1, 1]}, item=[1, 1])
    assert halved.item() == 100


def test_resize_takes_each_frame_of_a_video(fed: Fed) -> None:
    video = Video.from_array(FRAMES, frames_per_second=5)
    assert fed(video, {"resize": [1, 1]}, item=[5, 1, 1]).shape == (5, 1, 1)


def test_channels_repeat_grey(fed: Fed) -> None:
    coloured = fed(Image.from_array(GREY), {"channels": 3}, item=[2, 3, 3])
    assert (coloured == GREY[..., None]).all()


def test_channels_make_grey_from_colours_like_everybody(fed: Fed) -> None:
    grey = fed(Image.from_array(RGB), {"channels": 1}, item=[2, 3, 1])
    assert np.abs(grey[..., 0] - RGB @ [0.299, 0.587, 0.114]).max() <= 0.5


def test_scale_and_normalize_make_float32(fed: Fed) -> None:
    steps = {"channels": 3}, {"scale": 0.5}, {"normalize": {"mean": [1, 2, 3], "std": [1, 2, 4]}}
    values = fed(Image.from_array(RGB), *steps, item=[2, 3, 3])
    assert np.allclose(values, (RGB * 0.5 - [1, 2, 3]) / [1, 2, 4])


@pytest.mark.parametrize(("layout", "shape"), [("chw", [3, 2, 3])])
def test_layout_moves_the_channels_of_an_image(fed: Fed, layout: str, shape: list[int]) -> None:
    assert (fed(Image.from_array(RGB), {"layout": layout}, item=shape) == RGB.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(("layout", "axis"), [("chw", 0), ("cfhw", 0), ("fchw", 1)])
def test_layout_moves_the_channels_of_a_video(fed: Fed, layout: str, axis: int) -> None:
    expected = np.expand_dims(FRAMES, axis)
    video = Video.from_array(FRAMES, frames_per_second=5)
    assert (fed(video, {"layout": layout}, item=list(expected.shape)) == expected).all()


@pytest.mark.parametrize(("count", "picked"), [(3, [0, 2, 4]), (1, [0]), (7, [0, 1, 2, 3, 4, 4, 4])])
def test_frames_are_picked_evenly_or_the_last_repeated(fed: Fed, count: int, picked: list[int]) -> None:
    values = fed(Video.from_array(FRAMES, frames_per_second=5), {"frames": count}, item=[count, 2, 3])
    assert (values == FRAMES[picked]).all()


def test_mono_is_the_mean_of_all_channels(fed: Fed) -> None:
    stereo = sound([[0.5, 0.25], [0.5, -0.25]])
    assert fed(stereo, {"mono": True}, item=[2]).tolist() == [0.375, 0.125]


def test_resample_interpolates_between_samples(fed: Fed) -> None:
    values = fed(sound([0, 0.5]), {"mono": True}, {"resample": 16000}, item=[4])
    assert values.tolist() == [0, 0.25, 0.5, 0.5]


@pytest.mark.parametrize(("count", "expected"), [(1, [0.5]), (3, [0.5, 0.25, 0])])
def test_length_cuts_or_pads_with_zeros(fed: Fed, count: int, expected: list[float]) -> None:
    assert fed(sound([0.5, 0.25]), {"mono": True}, {"length": count}, item=[count]).tolist() == expected


@pytest.mark.parametrize(("count", "picked"), [(2, [0, 2]), (4, [0, 1, 2, 3]), (6, [0, 1, 2, 3, 0, 1])])
def test_points_are_picked_evenly_or_repeated(fed: Fed, count: int, picked: list[int]) -> None:
    values = fed(PointCloud.from_array(POINTS), {"points": count}, item=[count, 3])
    assert (values == POINTS[picked]).all()


@pytest.mark.parametrize(
    ("options", "text", "numbers"),
    [
        ({"by": "byte", "length": 4}, "aé", [99, 197, 171, 0]),
        ({"by": "byte", "length": 2}, "abc", [99, 100]),
        ({"by": "word", "length": 4, "vocabulary": "words.txt"}, "The cat, the DOG?", [2, 3, 2, 1]),
        ({"by": "character", "length": 4, "vocabulary": "letters.txt"}, "ba!", [4, 2, 1, 0]),
    ],
)
def test_tokenize_turns_text_into_numbers(
    fed: Fed, tmp_path: Path, options: dict[str, Any], text: str, numbers: list[int]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "words.txt").write_text("the\ncat\n")
    (folder / "letters.txt").write_text("a\n \nb")
    length = options["length"]
    for part in (Text(text), text):
        assert fed(part, {"tokenize": options}, item=[length], data_type=INT).tolist() == numbers


def test_a_number_is_a_scalar(fed: Fed) -> None:
    assert fed(Number(2.5), item=[]).item() == 2.5


def test_boxes_are_their_corners(fed: Fed) -> None:
    boxes = Boxes((Box(1, 2, 3, 4), Box(5, 6, 7, 8)))
    assert fed(boxes, item=[2, 4]).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_mask_is_its_values(fed: Fed) -> None:
    assert (fed(Mask.from_array(GREY), item=[2, 3]) == GREY).all()


def test_cast_and_reshape_change_form_alone(fed: Fed) -> None:
    tensor = Tensor.from_array(np.arange(6, dtype=np.float64))
    values = fed(tensor, {"cast": "int64"}, {"reshape": [2, 3]}, item=[2, 3], data_type=INT)
    assert values.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("part", "steps", "said"),
    [
        (Image(b"no image"), [], "cannot read the image"),
        (Image.from_array(GREY), [{"resize": [2, 2]}], "uint8 of shape \\[2, 2\\] .* takes float32 of \\[2, 3\\]"),
        (Tensor.from_array(np.zeros((2, 3), np.complex64).view(np.float32)), [], "shape \\[2, 6\\]"),
        (Boxes((Box3D((0, 0, 0), (1, 1, 1)),)), [], "two dimensions"),
        (Text("word"), [], "the text gives text"),
        (Text("word"), [{"scale": 2.0}], "the text of shape \\[\\] does not fit the model's step 'scale'"),
        (PointCloud.from_array(np.zeros((0, 3))), [{"points": 2}], "does not fit the model's step 'points'"),
    ],
)
def test_a_part_that_does_not_fit_is_told(fed: Fed, part: Part, steps: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        fed(part, *steps, item=[2, 3])


def test_floats_are_never_cut_to_whole_numbers_unasked(fed: Fed) -> None:
    with pytest.raises(InvalidInputError, match=r"float32 .* takes int64"):
        fed(Tensor.from_array(np.zeros(2, np.float32)), item=[2], data_type=INT)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"rezise": [2, 2]}, "unknown step 'rezise' \\(did you mean 'resize'"),
        ({"scale": 1, "cast": "int8"}, "a step is one name and its value, not scale, cast"),
        ({}, "not nothing"),
        ({"resize": [2]}, "'size' must have 2 items"),
        ({"resize": [0, 2]}, "must be at least 1"),
        ({"resize": {"size": [2, 2], "method": "cubic"}}, "'method' is 'cubic'"),
        ({"channels": 2}, "'count' is 2"),
        ({"normalize": {"mean": [0], "std": [0]}}, "'std' must not be 0"),
        ({"cast": "complex64"}, "unknown type 'complex64'"),
        ({"tokenize": {"by": "word", "length": 2}}, "tokens by word take a 'vocabulary'"),
        ({"tokenize": {"by": "byte", "length": 2, "vocabulary": "x"}}, "tokens by byte take no 'vocabulary'"),
        ({"tokenize": {"by": "word", "length": 2, "vocabulary": "x"}}, "cannot read 'x': No such file"),
    ],
)
def test_a_wrong_step_is_told(fed: Fed, step: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        fed("x", step, item=[2])


def test_a_wrong_step_is_told_with_its_place(fed: Fed) -> None:
    with pytest.raises(SettingsError, match=r"model.yaml: routes\[0\].inputs.x.steps\[1\]"):
        fed("x", {"scale": 1}, {"scael": 1}, item=[2])
