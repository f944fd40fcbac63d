"""What the kit starts, compares and counts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echelon.adapters import Answer, Box, Boxes, Call, Choice, Image, Mask, Number, Part, Refusal, Request, Tensor, Text
from echelon.adapters.content import Kind, Mesh, ScoredLabel
from echelon.adapters.controls.form import KINDS as FORM_KINDS
from echelon.adapters.errors import BackendError, SettingsError
from echelon.conformance import Conformance, contents, processes
from echelon.conformance.difference import difference
from echelon.conformance.given import read_requests, request_line
from echelon.conformance.kit import CHECKS, Kit
from echelon.wire.calls import call_to_proto
from echelon.wire.rules import check as obey

KINDS = contents.made_up(Kind)


def children() -> set[int]:
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return set(map(int, path.read_text().split()))


def test_the_server_is_gone_when_the_kit_is_closed() -> None:
    before = children()
    with Kit(Conformance("null")) as kit:
        assert len(children() - before) == 1
        assert kit.run(CHECKS[0]).said == "comprehend, generate, language"
    assert children() == before


def test_a_part_of_every_kind_that_a_model_may_take_can_be_made_up() -> None:
    assert tuple(KINDS) == FORM_KINDS


def test_memory_counts_the_process_and_those_it_started() -> None:
    alone = processes.memory_bytes(os.getpid())
    assert alone is not None
    with Kit(Conformance("null")):
        together = processes.memory_bytes(os.getpid())
    assert together is not None
    # A Python with gRPC in it takes some 60 MiB.
    assert together > alone + (20 << 20)


def test_every_check_has_a_name_of_its_own_and_says_what_it_asks() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert all(check.about for check in CHECKS)
    page = (Path(__file__).parents[2] / "docs" / "vendors.md").read_text()
    assert [check.id for check in CHECKS if f"| `{check.id}` |" not in page] == []


@pytest.mark.parametrize("kind", KINDS)
def test_made_up_parts_obey_the_contract(kind: Kind) -> None:
    odd = [*contents.empty(kind), *contents.broken(kind), *contents.odd_numbers(kind)]
    large = contents.large(kind)
    parts = [contents.small(kind, 0), contents.middling(kind), *([] if large is None else [large]), *dict(odd).values()]
    for part in parts:
        assert part.kind is kind
        obey(call_to_proto("model", Request(Call.COMPREHEND, "Answer.", (part,))))


@pytest.mark.parametrize("kind", KINDS)
def test_small_parts_differ_by_their_seed_alone(kind: Kind) -> None:
    assert contents.small(kind, 1) == contents.small(kind, 1)
    assert any(contents.small(kind, seed) != contents.small(kind, 1) for seed in range(2, 8))


def answer(*parts: Part) -> Answer:
    return Answer(parts)


def near(value: float) -> float:
    return value * (1 + 1e-6)


TENSOR = np.linspace(-1, 1, 16, dtype=np.float32)
MESH = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32), np.array([[0, 1, 2]])
PAIRS: list[tuple[Part, Part]] = [
    (Number(3.0), Number(near(3.0))),
    (Choice((ScoredLabel("a", 0.5),)), Choice((ScoredLabel("a", near(0.5)),))),
    (Boxes((Box(0, 0, 5, 5, "a"),)), Boxes((Box(0, 0, near(5), 5, "a"),))),
    (Tensor.from_array(TENSOR), Tensor.from_array(TENSOR * np.float32(1 + 1e-6))),
    (Mesh.from_array(*MESH), Mesh.from_array(MESH[0] * 1.000001, MESH[1])),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_rounding_is_a_difference_unless_it_is_allowed(one: Part, other: Part) -> None:
    assert difference(answer(one), answer(other))
    assert difference(answer(one), answer(other), 1e-5) == ""
    assert difference(answer(one), answer(other), 1e-8)


GREY = np.full((8, 8), 100, np.uint8)
APART: list[tuple[Part, Part]] = [
    (Text("yes"), Text("no")),
    (Choice.of("a"), Choice.of("b")),
    (Boxes((Box(0, 0, 5, 5, "a"),)), Boxes((Box(0, 0, 5, 5, "b"),))),
    (Boxes((Box(0, 0, 5, 5),)), Boxes(())),
    (Mask.from_array(GREY), Mask.from_array(GREY + 1)),
    (Image.from_array(GREY), Image.from_array(GREY + 50)),
    (Image.from_array(GREY), Image.from_array(GREY[:4])),
    (Number(1.0), Text("1.0")),
    (Tensor.from_array(TENSOR), Tensor.from_array(TENSOR.reshape(4, 4))),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_no_tolerance_makes_other_words_or_shapes_the_same(one: Part, other: Part) -> None:
    assert difference(answer(one), answer(other), 1e-3)


def test_refusals_and_failures_differ_from_answers() -> None:
    assert difference(Refusal("policy"), Refusal("safety")) == ""
    assert difference(Refusal(), answer(Text("yes"))) == "one is a refusal"
    assert difference(answer(Text("yes")), BackendError("gone")) == "first an answer, then BACKEND_UNAVAILABLE"
    assert difference(answer(Text("a" * 90 + "b")), answer(Text("a" * 90 + "c"))).count("a" * 19) == 2


def test_given_requests_come_back_as_they_were_written(tmp_path: Path) -> None:
    requests = [
        Request(Call.COMPREHEND, "Which?", (Image.from_array(GREY, name="left"),), (Kind.CHOICE,), ("a", "b")),
        Request(Call.LANGUAGE, "Grüße \u2028 und mehr", (Text("x\ny"),)),
    ]
    file = tmp_path / "requests.jsonl"
    file.write_text("\n".join(map(request_line, requests)) + "\n\n", encoding="utf-8")
    assert [replace(request) for request in read_requests(file)] == requests


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 2: not JSON"),
        ('{"call": "judge"}', "'call' is 'judge'"),
        ('{"call": "language", "parts": [{"kind": "txt"}]}', "parts[0]: 'kind' is 'txt' (did you mean 'text'?)"),
        ('{"call": "language", "label": []}', "unknown key 'label' (did you mean 'labels'?)"),
        ("[]", "must be a mapping"),
    ],
)
def test_a_given_request_that_is_none_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "requests.jsonl"
    file.write_text(f'{{"call": "language"}}\n{text}\n')
    with pytest.raises(SettingsError) as told:
        read_requests(file)
    assert said in str(told.value)
    assert "line 2" in str(told.value)
