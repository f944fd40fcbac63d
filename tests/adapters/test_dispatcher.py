"""The dispatcher over specialists, and the noise that makes answers worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Box3D,
    Boxes,
    Call,
    CallSupport,
    Choice,
    Composition,
    Image,
    InvalidInputError,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Request,
    Returned,
    Tensor,
    Text,
    UnsupportedError,
    Video,
)
from echelon.adapters.controls.dispatcher import Dispatcher, DispatcherSettings
from echelon.adapters.controls.luck import dice
from echelon.adapters.controls.noise import spoilt
from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load

ECHO = {"inputs": {"x": {"part": "tensor"}}, "output": {"kind": "tensor", "from": ["y"]}}
TENFOLD = {"inputs": {"x": {"part": "tensor"}}, "output": {"kind": "number", "from": ["y"], "scale": 10}}
ROUTES = [
    {"phrase": "give back", "call": "comprehend", "folder": "echo"},
    {"phrase": "Ten times", "call": "comprehend", "folder": "tenfold"},
]
Dispatching = Callable[..., Dispatcher]


@pytest.fixture
def dispatching(passing: Any, folder_of: Any, tmp_path: Path) -> Dispatching:
    """Opens a dispatcher over two specialists."""

    def open_(*, routes: list[dict[str, str]] = ROUTES, **settings: Any) -> Dispatcher:
        folder_of(passing([1]), ECHO, name="bundle/echo", deterministic=True)
        folder_of(passing([1]), TENFOLD, name="bundle/tenfold")
        bundle = tmp_path / "bundle" / "bundle.yaml"
        bundle.write_text(json.dumps({"description": "Two of them.", "routes": routes}))
        dispatcher = Dispatcher()
        dispatcher.open(load(DispatcherSettings, {"bundle": str(bundle), **settings}))
        return dispatcher

    return open_


def asked(instruction: str, value: float = 3, **more: Any) -> Request:
    tensor = Tensor.from_array(np.array([value], np.float32))
    return Request(Call.COMPREHEND, instruction, (tensor,), **more)


def part_of(returned: Returned) -> Any:
    assert isinstance(returned, Answer)
    (part,) = returned.parts
    return part


def test_each_request_goes_to_the_specialist_that_its_instruction_names(dispatching: Dispatching) -> None:
    requests = [asked("How much is ten times this?", 1), asked("Please give back!"), asked("TEN TIMES", 2)]
    first, second, third = map(part_of, dispatching().comprehend(requests))
    assert (first, third) == (Number(10), Number(20))
    assert second.array().tolist() == [3]


def test_what_no_specialist_is_made_for_is_unsupported(dispatching: Dispatching) -> None:
    unknown = asked("Sing!")
    other_call = Request(Call.GENERATE, "ten times")
    broken = Request(Call.COMPREHEND, "ten times")
    returned = dispatching().comprehend([unknown, other_call, broken, asked("ten times")])
    assert [type(item) for item in returned] == [UnsupportedError, UnsupportedError, InvalidInputError, Answer]


def test_its_card_is_the_union_of_its_specialists_and_says_dispatcher(dispatching: Dispatching) -> None:
    card = dispatching().card()
    assert card.calls == (CallSupport(Call.COMPREHEND, (Kind.TENSOR,), (Kind.NUMBER, Kind.TENSOR)),)
    assert card.composition is Composition.DISPATCHER
    assert card.description == "Two of them."
    assert not card.deterministic


def test_its_card_can_be_made_to_claim_to_be_one_model(dispatching: Dispatching) -> None:
    assert dispatching(composition="single").card().composition is Composition.SINGLE


def test_its_probe_reaches_the_first_specialist(dispatching: Dispatching) -> None:
    dispatcher = dispatching()
    probe = dispatcher.probe(Call.COMPREHEND)
    assert probe is not None
    assert part_of(dispatcher.comprehend([probe])[0]).kind is Kind.TENSOR
    assert dispatcher.probe(Call.LANGUAGE) is None


def test_its_noise_is_the_same_each_time_and_differs_between_requests(dispatching: Dispatching) -> None:
    dispatcher = dispatching(noise=0.5)
    requests = [asked("ten times", value) for value in range(1, 20)]
    answers = [part_of(item).value for item in dispatcher.comprehend(requests)]
    assert answers == [part_of(item).value for item in dispatcher.comprehend(requests)]
    assert min(abs(answer / (10 * value) - 1) for value, answer in enumerate(answers, 1)) > 0.2
    assert len({answer / value for value, answer in enumerate(answers, 1)}) > 10


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"noise": 1.5}, "'noise' is 1.5; it must be from 0 to 1"),
        ({"composition": "ensemble"}, "'composition' is 'ensemble'"),
        ({"routes": []}, "'routes' is empty"),
        ({"routes": [{"phrase": "x", "call": "comprehend", "folder": "none"}]}, "there is no model folder"),
        ({"routes": [{"phrase": "x", "call": "comprehend", "folder": "../echo"}]}, "inside the folder"),
        ({"routes": [{"phrase": "x", "call": "sing", "folder": "echo"}]}, "'routes.0..call' is 'sing'"),
    ],
)
def test_wrong_settings_and_bundles_are_told(dispatching: Dispatching, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        dispatching(**settings)


def test_a_missing_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no bundle"):
        Dispatcher().open(DispatcherSettings(bundle=tmp_path / "none.yaml"))


REQUEST = Request(Call.COMPREHEND, labels=("a", "b", "c"))
PIXELS = np.full((16, 16), 128, np.uint8)
TRACK = Box(10, 10, 30, 20, "cat", 0.5, track_id=3, frame_index=4)


def spoil(part: Part, amount: float, seed: int = 0) -> Any:
    return spoilt(part, amount, dice(seed, REQUEST), REQUEST)


@pytest.mark.parametrize(
    "part",
    [
        Text("one two three four five six seven eight"),
        Number(0),
        Number(-250.0, "degree"),
        Choice.of("a"),
        Image.from_array(PIXELS),
        Audio.from_array(np.zeros(64), 8000),
        Video.from_array(np.stack([PIXELS] * 2), frames_per_second=5),
        PointCloud.from_array(np.eye(3)),
        Mesh.from_array(np.eye(3), np.array([[0, 1, 2]])),
        Mask.from_array(PIXELS // 128, labels=("x", "y")),
        Boxes((TRACK, Box3D((1, 2, 3), (1, 1, 1)))),
        Tensor.from_array(np.zeros((3, 2), np.float16), name="flow"),
        Tensor.from_array(np.arange(64)),
    ],
    ids=lambda part: part.kind,
)
def test_noise_changes_every_kind_and_keeps_its_form(part: Part) -> None:
    assert spoil(part, 0) is part
    worse = spoil(part, 1.0)
    assert worse != part
    assert type(worse) is type(part)
    assert worse.name == part.name
    for form in ("shape", "width", "point_count", "face_count", "sample_rate_hz", "data_type", "space", "unit"):
        assert getattr(worse, form, None) == getattr(part, form, None)


@given(amount=st.floats(0.05, 1), seed=st.integers(0, 1000))
def test_a_shifted_box_never_stays_nearly_where_it_was(amount: float, seed: int) -> None:
    (box,) = spoil(Boxes((TRACK,)), amount, seed).boxes
    across, down = abs(box.x_min - 10) / 20, abs(box.y_min - 10) / 10
    assert min(across, down) >= 0.49 * amount
    assert (box.x_max - box.x_min, box.y_max - box.y_min) == pytest.approx((20, 10))
    assert (box.label, box.track_id, box.frame_index) == ("cat", 3, 4)


def test_a_flipped_label_is_another_of_the_offered_ones() -> None:
    assert {spoil(Choice.of("a"), 1.0, seed).label for seed in range(20)} == {"b", "c"}


def test_flipped_pixels_are_wrong_and_as_many_as_the_noise_says() -> None:
    mask = Mask.from_array(np.zeros((64, 64), np.uint8), labels=("x", "y", "z"))
    values = spoil(mask, 0.3).array()
    assert 0.25 < (values != 0).mean() < 0.35
    assert set(np.unique(values)) == {0, 1, 2}


def test_words_are_dropped_and_the_rest_keeps_its_order() -> None:
    text = spoil(Text(" ".join(map(str, range(100)))), 0.5).value
    words = [int(word) for word in text.split()]
    assert 30 < len(words) < 70
    assert words == sorted(words)
