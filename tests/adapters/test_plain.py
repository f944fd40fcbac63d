"""Parts as plain JSON, and the digest of a request."""

import json
from dataclasses import replace

import numpy as np
import pytest

from echelon.adapters import (
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
    Call,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Request,
    Role,
    ScoredLabel,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.errors import SettingsError
from echelon.adapters.plain import PARTS, from_plain, request_digest, to_plain

PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 6)
PARTS_OF_EVERY_KIND: list[Part] = [
    Text("straße\n\u2028", language="de", name="said", role=Role.HISTORY),
    Number(0.1, unit="degree"),
    Choice((ScoredLabel("a", 0.9), ScoredLabel("b"))),
    Image.from_array(PIXELS),
    Audio.from_array(np.linspace(-1, 1, 7), 8000),
    Video.from_array(np.stack([PIXELS, PIXELS]), frames_per_second=3),
    Video(data=b"GIF89a", media_type="image/gif"),
    PointCloud.from_array(np.eye(3), channels=("x", "y", "z")),
    Mesh.from_array(np.eye(3), np.array([[0, 1, 2]])),
    Mask.from_array(PIXELS, labels=("sky",)),
    Mask(2, 3, run_lengths=(1, 5)),
    Boxes((Box(1, 2.5, 3, 4, "cat", score=0.5, track_id=2, frame_index=7),), BoxSpace.UNIT),
    Boxes((Box3D((1, 2, 3), (4, 5, 6), (0, 0, 0, 1), "car"),), BoxSpace.METRE),
    Tensor.from_array(np.array([[np.nan, np.inf]], np.float16), name="flow"),
    Json('{"a": [1, null]}'),
]


@pytest.mark.parametrize("part", PARTS_OF_EVERY_KIND, ids=lambda part: part.kind)
def test_a_part_survives_the_way_through_json(part: Part) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(part)))) == part


def test_every_kind_has_its_plain_form() -> None:
    assert set(PARTS) == set(Kind) == {part.kind for part in PARTS_OF_EVERY_KIND}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "'kind' is 'None'"),
        ({"kind": "imag"}, "did you mean 'image'"),
        ({"kind": "image"}, "'data' is required"),
        ({"kind": "image", "data": "?"}, "'data' is not base64"),
        ({"kind": "number", "value": "3"}, "'value' must be a number"),
        ({"kind": "boxes", "boxes": [{"x_min": 1}]}, "'boxes\\[0\\].y_min' is required"),
    ],
)
def test_a_wrong_plain_form_is_told(values: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        from_plain(values)


IMAGE = Image.from_array(PIXELS)
ASKED = Request(Call.COMPREHEND, "Which?", (IMAGE,), labels=("a", "b"))


@pytest.mark.parametrize(
    "changed",
    [
        replace(ASKED, call=Call.GENERATE),
        replace(ASKED, instruction="Which"),
        replace(ASKED, labels=("b", "a")),
        replace(ASKED, parts=()),
        replace(ASKED, parts=ASKED.parts * 2),
        replace(ASKED, parts=(Image.from_array(PIXELS + 1),)),
        replace(ASKED, parts=(Image.from_array(PIXELS, name="before"),)),
    ],
)
def test_the_digest_of_a_request_changes_with_what_is_asked(changed: Request) -> None:
    assert request_digest(changed) != request_digest(ASKED)


@pytest.mark.parametrize(
    "same",
    [
        replace(ASKED, id="7", deadline=3.0, output_kinds=(Kind.CHOICE,)),
        replace(ASKED, parts=(Image(IMAGE.data, ""),)),
    ],
)
def test_the_digest_of_a_request_does_not_change_on_the_way(same: Request) -> None:
    assert request_digest(same) == request_digest(ASKED)


def test_whole_numbers_have_the_digest_of_what_the_wire_makes_of_them() -> None:
    given, received = (
        Request(Call.LANGUAGE, parts=(Boxes((Box(*at),)),)) for at in ((1, 2, 3, 4), (1.0, 2.0, 3.0, 4.0))
    )
    assert request_digest(given) == request_digest(received)
