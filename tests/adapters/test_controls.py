"""The controls: null, chance and oracle."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echelon.adapters import (
    Answer,
    Audio,
    Call,
    Choice,
    Image,
    InvalidInputError,
    Kind,
    Number,
    Part,
    PointCloud,
    Request,
    Returned,
    Text,
    Video,
)
from echelon.adapters.controls.chance import RANDOM, Chance, ChanceSettings
from echelon.adapters.controls.form import KINDS
from echelon.adapters.controls.null import Null, NullSettings
from echelon.adapters.controls.oracle import Oracle, OracleSettings, answer_line
from echelon.adapters.errors import SettingsError
from echelon.adapters.plain import from_plain, to_plain

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def only_part(returned: Returned) -> Any:
    assert isinstance(returned, Answer)
    (part,) = returned.parts
    return part


def opened_null(text: str = "-") -> Null:
    null = Null()
    null.open(NullSettings(text))
    return null


def opened_chance(seed: int = 0) -> Chance:
    chance = Chance()
    chance.open(ChanceSettings(seed))
    return chance


def opened_oracle(path: Path, *lines: str) -> Oracle:
    path.write_text("".join(line + "\n" for line in lines))
    oracle = Oracle()
    oracle.open(OracleSettings(path))
    return oracle


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", Call)
def test_null_answers_in_every_kind(kind: Kind, call: Call) -> None:
    request = Request(call, "?", output_kinds=(kind,))
    part = only_part(asyncio.run(getattr(opened_null(), call)(request)))
    assert part.kind is kind
    assert from_plain(to_plain(part)) == part


def test_null_says_the_text_it_is_set_to_and_picks_the_first_label() -> None:
    null = opened_null("nothing")
    assert only_part(asyncio.run(null.language(Request(Call.LANGUAGE)))).value == "nothing"
    assert only_part(asyncio.run(null.comprehend(Request(Call.COMPREHEND, labels=("a", "b"))))).label == "a"


@pytest.mark.parametrize("kind", KINDS)
def test_chance_answers_in_every_kind_the_same_way_each_time(kind: Kind) -> None:
    request = Request(Call.GENERATE, "some words here", output_kinds=(kind,))
    first, second = (opened_chance().generate([request])[0] for _ in range(2))
    assert only_part(first).kind is kind
    assert first == second


def test_chance_makes_every_kind_that_a_control_takes() -> None:
    assert set(RANDOM) == set(KINDS)


def test_chance_depends_on_its_seed_and_on_the_content() -> None:
    requests = [Request(Call.LANGUAGE, f"{i}", labels=("yes", "no")) for i in range(64)]
    one, other = ([only_part(answer).label for answer in opened_chance(seed).language(requests)] for seed in (1, 2))
    assert one != other
    assert set(one) == {"yes", "no"}


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        (Image.from_array(PIXELS), (4, 6, 3)),
        (Image.from_array(PIXELS[..., 0]), (4, 6)),
        (Video.from_array(np.stack([PIXELS] * 3), frames_per_second=5), (3, 4, 6, 3)),
        (PointCloud.from_array(np.zeros((5, 3), np.float32)), (5, 3)),
    ],
)
def test_chance_makes_noise_of_the_inputs_shape(part: Part, shape: tuple[int, ...]) -> None:
    request = Request(Call.GENERATE, parts=(part,), output_kinds=(part.kind,))
    assert only_part(opened_chance().generate([request])[0]).array().shape == shape


def test_chance_makes_sound_as_long_as_the_input() -> None:
    request = Request(Call.GENERATE, parts=(Audio.from_array(np.zeros(321), 4000),), output_kinds=(Kind.AUDIO,))
    samples, rate = only_part(opened_chance().generate([request])[0]).array()
    assert samples.shape == (321, 1)
    assert rate == 4000
    assert samples.std() > 0.3


def test_chance_fails_a_damaged_request_alone() -> None:
    damaged = Request(Call.GENERATE, parts=(Image(b"no image"),), output_kinds=(Kind.IMAGE,))
    whole = Request(Call.GENERATE, output_kinds=(Kind.IMAGE,))
    refused, answered = opened_chance().generate([damaged, whole])
    assert isinstance(refused, InvalidInputError)
    assert isinstance(answered, Answer)


def test_the_oracle_answers_what_the_file_says(tmp_path: Path) -> None:
    image = Request(Call.COMPREHEND, "Which?", (Image.from_array(PIXELS),), labels=("a", "b"))
    text = Request(Call.LANGUAGE, "How many?", (Text("three"),))
    oracle = opened_oracle(tmp_path / "answers.jsonl", answer_line(image, Choice.of("b")), answer_line(text, Number(3)))
    assert only_part(oracle.comprehend([image])[0]) == Choice.of("b")
    assert only_part(oracle.language([text])[0]) == Number(3)


def test_the_oracle_fails_what_it_does_not_know_alone(tmp_path: Path) -> None:
    known, unknown = Request(Call.LANGUAGE, "known"), Request(Call.LANGUAGE, "unknown")
    oracle = opened_oracle(tmp_path / "answers.jsonl", answer_line(known, Text("yes")))
    answered, failed = oracle.language([known, unknown])
    assert only_part(answered) == Text("yes")
    assert isinstance(failed, InvalidInputError)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: the top must be a mapping"),
        ('{"digest": "00"}', "line 2: 'answer' is required"),
        ('{"digest": "00", "answer": {"kind": "texts"}}', "line 2: 'kind' is 'texts' \\(did you mean 'text'"),
        ('{"digest": "00", "answer": {"kind": "text", "valeu": "x"}}', "did you mean 'value'"),
    ],
)
def test_a_fault_in_the_answers_file_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    good = json.dumps({"digest": "00", "answer": {"kind": "text", "value": "x"}})
    with pytest.raises(SettingsError, match=said):
        opened_oracle(tmp_path / "answers.jsonl", good, line)


def test_a_missing_answers_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the answers file"):
        Oracle().open(OracleSettings(tmp_path / "none.jsonl"))
