"""What each output kind makes of a network's values, seen through a network that gives back what it gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Boxes,
    BoxSpace,
    Call,
    Choice,
    EchelonError,
    Image,
    Mask,
    Number,
    PointCloud,
    Request,
    Tensor,
    Text,
    UnsupportedError,
    Video,
)
from echelon.adapters.errors import OutputInvalidError, SettingsError

Answered = Callable[..., Any]


@pytest.fixture
def answered(passing: Any, folder_of: Any, opened: Any) -> Answered:
    """The answer's part, or the error, of a network that gave `values`; `output` is the route's."""

    def answer(output: dict[str, Any], *values: Any, offered: tuple[str, ...] = (), image: Image | None = None) -> Any:
        arrays = [np.asarray(given, np.float32) for given in values]
        names = [f"x{i}" if len(arrays) > 1 else "x" for i in range(len(arrays))]
        route = {
            "inputs": {name: {"part": "tensor", "name": name} for name in names},
            "output": {"from": [name.replace("x", "y") for name in names], **output},
        }
        model = opened(folder_of(passing(*[list(array.shape) for array in arrays]), route))
        parts = [Tensor.from_array(array, name=name) for name, array in zip(names, arrays, strict=True)]
        pictures = () if image is None else (image,)
        (returned,) = model.comprehend([Request(Call.COMPREHEND, parts=(*parts, *pictures), labels=offered)])
        if isinstance(returned, EchelonError):
            return returned
        assert isinstance(returned, Answer)
        (part,) = returned.parts
        return part

    return answer


CHOICE = {"kind": "choice", "labels": ["a", "b", "c"]}
MASK = {"kind": "mask", "labels": ["none", "some"]}
BOXES = {"kind": "boxes", "labels": ["cat", "dog"]}
CORNERS = [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.4], [0.5, 0.5, 1, 1], [0.6, 0.6, 0.4, 1]]
SCORES = [[0.8, 0.1], [0.7, 0.1], [0.1, 0.9], [0.9, 0.9]]


def test_a_choice_ranks_the_labels_by_their_share(answered: Answered) -> None:
    part = answered(CHOICE, [0, np.log(3), -np.inf])
    assert isinstance(part, Choice)
    assert [scored.label for scored in part.labels] == ["b", "a", "c"]
    assert np.allclose([scored.score or 0 for scored in part.labels], [0.75, 0.25, 0])


def test_only_the_offered_labels_compete(answered: Answered) -> None:
    part = answered(CHOICE, [1, 9, 2], offered=("a", "c", "z"))
    assert [scored.label for scored in part.labels] == ["c", "a"]


def test_a_choice_among_unknown_labels_is_unsupported(answered: Answered) -> None:
    assert isinstance(answered(CHOICE, [1, 9, 2], offered=("y", "z")), UnsupportedError)


def test_labels_may_stand_in_a_file(answered: Answered, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "labels.txt").write_text("no\nüber\n", encoding="utf-8")
    assert answered({"kind": "choice", "labels_file": "labels.txt"}, [0, 1]).label == "über"


def test_a_number_is_scaled_and_has_its_unit(answered: Answered) -> None:
    assert answered({"kind": "number", "scale": 10, "offset": 1, "unit": "degree"}, [0.5]) == Number(6.0, "degree")


def test_text_is_the_best_token_at_each_place_up_to_the_first_0(answered: Answered, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "words.txt").write_text("hello\nworld\n")
    logits = np.eye(4)[[2, 1, 3, 0, 3]]
    output = {"kind": "text", "tokens": {"by": "word", "vocabulary": "words.txt"}}
    assert answered(output, logits) == Text("hello world")


def test_text_may_be_bytes(answered: Answered) -> None:
    assert answered({"kind": "text", "tokens": {"by": "byte"}}, [byte + 2 for byte in "é!".encode()]) == Text("é!")


@pytest.mark.parametrize(("layout", "shape"), [("chw", (3, 1, 2)), ("hwc", (1, 2, 3))])
def test_an_image_is_clipped_and_rounded(answered: Answered, layout: str, shape: tuple[int, ...]) -> None:
    pixels = np.array([[[-1, 0.5, 2], [0, 1, 0.25]]])
    given = pixels.transpose(2, 0, 1) if layout == "chw" else pixels
    assert given.shape == shape
    part = answered({"kind": "image", "layout": layout}, given)
    assert isinstance(part, Image)
    assert part.array().tolist() == [[[0, 128, 255], [0, 255, 64]]]


def test_an_image_of_one_channel_is_grey(answered: Answered) -> None:
    assert answered({"kind": "image"}, np.ones((1, 2, 3))).array().shape == (2, 3)


def test_a_sound_is_clipped(answered: Answered) -> None:
    part = answered({"kind": "audio", "sample_rate_hz": 4000}, [0, 0.5, -2])
    assert isinstance(part, Audio)
    samples, rate = part.array()
    assert samples[:, 0].tolist() == [0, 0.5, -1]
    assert rate == 4000


@pytest.mark.parametrize("layout", ["fchw", "cfhw"])
def test_a_video_has_its_frames_and_times(answered: Answered, layout: str) -> None:
    frames = np.zeros((2, 1, 3, 4))
    frames[1] = 1
    part = answered(
        {"kind": "video", "layout": layout, "frames_per_second": 4},
        frames if layout == "fchw" else frames.swapaxes(0, 1),
    )
    assert isinstance(part, Video)
    assert part.array().shape == (2, 3, 4)
    assert part.array().mean(axis=(1, 2)).tolist() == [0, 255]
    assert [frame.time_us for frame in part.frames] == [0, 250_000]


def test_a_point_cloud_has_its_channels(answered: Answered) -> None:
    part = answered({"kind": "point_cloud", "channels": ["x", "y"]}, [[1, 2], [3, 4], [5, 6]])
    assert isinstance(part, PointCloud)
    assert part.array().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert part.channels == ("x", "y")


def test_a_mask_is_the_best_class_of_each_pixel(answered: Answered) -> None:
    part = answered(MASK, [[[1, 0]], [[0, 1]]])
    assert isinstance(part, Mask)
    assert part.array().tolist() == [[0, 1]]
    assert part.labels == ("none", "some")


def test_a_mask_can_be_resized_to_the_image(answered: Answered) -> None:
    image = Image.from_array(np.zeros((2, 4), np.uint8))
    part = answered({**MASK, "resize": "input"}, [[[1, 0]], [[0, 1]]], image=image)
    assert part.array().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_boxes_reach_the_threshold_best_first_in_pixels_of_the_image(answered: Answered) -> None:
    image = Image.from_array(np.zeros((10, 20), np.uint8))
    part = answered({**BOXES, "threshold": 0.75}, CORNERS, SCORES, image=image)
    assert isinstance(part, Boxes)
    assert part.space is BoxSpace.PIXEL
    boxes = [box for box in part.boxes if isinstance(box, Box)]
    assert [(box.x_min, box.y_min, box.x_max, box.y_max, box.label) for box in boxes] == [
        (10, 5, 20, 10, "dog"),
        (0, 0, 10, 5, "cat"),
    ]
    assert np.allclose([box.score or 0 for box in boxes], [0.9, 0.8])


@pytest.mark.parametrize(("nms", "count"), [(None, 3), (0.9, 3), (0.5, 2)])
def test_nms_keeps_the_better_of_two_boxes_of_one_label(answered: Answered, nms: float | None, count: int) -> None:
    part = answered({**BOXES, "nms": nms, "space": "unit"}, CORNERS, SCORES)
    assert part.space is BoxSpace.UNIT
    assert len(part.boxes) == count


def test_boxes_without_a_find_are_none(answered: Answered) -> None:
    assert answered({**BOXES, "threshold": 0.99, "space": "unit"}, CORNERS, SCORES) == Boxes((), BoxSpace.UNIT)


def test_a_tensor_is_the_values(answered: Answered) -> None:
    part = answered({"kind": "tensor"}, [[1, 2], [3, 4]])
    assert isinstance(part, Tensor)
    assert part.array().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("output", "values", "said"),
    [
        (CHOICE, [1, 2], "the network tells 2 labels apart, its route lists 3"),
        (CHOICE, [1, np.nan, 2], "NaN"),
        ({"kind": "number"}, [1, 2], "gives 2 values where one number is wanted"),
        ({"kind": "number"}, [np.inf], "infinite"),
        ({"kind": "image"}, [1, 2], r"gives \[2\] where \(channels, height, width\) is wanted"),
        ({"kind": "image"}, np.zeros((2, 3, 3)), "pixels of 2 channels"),
        ({"kind": "point_cloud"}, [[1, 2]], "gives 2 channels, its route 3"),
        (MASK, np.zeros((3, 2, 2)), "tells 3 labels apart, its route lists 2"),
    ],
)
def test_values_that_make_no_answer_are_an_invalid_output(
    answered: Answered, output: dict[str, Any], values: Any, said: str
) -> None:
    with pytest.raises(OutputInvalidError, match=said):
        raise answered(output, values)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"kind": "picture"}, "'kind' is 'picture'"),
        ({"kind": "mesh"}, "'kind' is 'mesh'"),
        ({"kind": "choice"}, "it takes either 'labels'"),
        ({"kind": "choice", "labels": ["a", "a"]}, "each of them once"),
        ({"kind": "audio"}, "either 'sample_rate_hz' or 'media_type'"),
        ({"kind": "number", "form": []}, "unknown key 'form' .did you mean 'from'"),
        ({"kind": "number", "from": ["y", "y"]}, "'from' must name 1 outputs, not 2"),
        ({"kind": "number", "from": ["z"]}, "output.from: the network has no output 'z' .known: y"),
        ({"kind": "boxes", "labels": []}, "'from' must name 2 outputs"),
        ({"kind": "text", "tokens": {"by": "word"}}, "tokens: tokens by word take a 'vocabulary'"),
    ],
)
def test_a_wrong_output_is_told(answered: Answered, output: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        answered(output, [1.0])
