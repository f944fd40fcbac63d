"""What extractors read out of answers, and what they refuse to guess."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from math import nan
from time import process_time

import numpy as np
import pytest

from echelon.adapters import (
    Audio,
    Boxes,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.extract import EXTRACTORS, InvalidAnswer, extract, extractor
from echelon.scorer.suites.suite import Modality, Paradigm, Task

TASK = Task(
    id="animals",
    title="Animals",
    modality=Modality.IMAGE,
    paradigm=Paradigm.COMPREHENSION,
    skill="recognition",
    instruction="Which animal is it?",
    output=(Kind.CHOICE,),
    extractor="label",
    metric="accuracy",
    chance=0.25,
    labels=("cat", "black cat", "dog", "guinea-pig"),
)


def label(said: Part | str, labels: tuple[str, ...] = TASK.labels) -> str:
    parts = (Text(said) if isinstance(said, str) else said,)
    found = extract("label", parts, replace(TASK, labels=labels))
    assert isinstance(found, Choice)
    return found.label


def number(said: Part | str) -> float:
    found = extract("number", (Text(said) if isinstance(said, str) else said,), TASK)
    assert isinstance(found, Number)
    return found.value


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("cat", "cat"),
        (" Cat.\n", "cat"),
        ("**Dog**", "dog"),
        ("Guinea pig", "guinea-pig"),
        ("I can see a dog on a lawn.", "dog"),
        ("This is a black cat!", "black cat"),
        ("At first it looks like a cat, but the answer is dog.", "dog"),
        ("Answer: guinea-pig\nIt has no tail, unlike a cat.", "guinea-pig"),
        ("The answer is: a black cat, on a mat", "black cat"),
        ("The answer is 'dog'", "dog"),
        ("C", "dog"),
        ("(c)", "dog"),
        ("C. dog", "dog"),
        ("The answer is (B)", "black cat"),
        ("The answer is B.", "black cat"),
    ],
)
def test_a_label_is_read_from_text(said: str, expected: str) -> None:
    assert label(said) == expected


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "none of the task's labels"),
        ("a horse", "none of the task's labels"),
        ("concatenate", "none of the task's labels"),
        ("E", "none of the task's labels"),
        ("a cat or a dog", "2 of the task's labels"),
        ("The answer is cat or dog", "2 of the task's labels"),
        ("It is not a cat", "denied"),
        ("no dog here", "denied"),
        ("The answer is not a cat", "denied"),
        ("The answer isn't cat", "denied"),
    ],
)
def test_an_ambiguous_or_foreign_text_is_invalid_and_says_why(said: str, reason: str) -> None:
    with pytest.raises(InvalidAnswer, match=reason):
        label(said)


def test_a_choice_gives_its_best_label_in_the_tasks_spelling() -> None:
    assert label(Choice.of("dog", "cat")) == "dog"
    assert label(Choice.of("Black Cat")) == "black cat"
    with pytest.raises(InvalidAnswer, match="'horse' is none of the task's labels"):
        label(Choice.of("horse"))
    with pytest.raises(InvalidAnswer, match="no label"):
        label(Choice(()))


def test_a_choice_goes_before_the_text_beside_it() -> None:
    found = extract("label", (Text("perhaps a cat"), Choice.of("dog")), TASK)
    assert found == Choice.of("dog")


def test_labels_that_differ_in_case_or_sign_alone_need_their_exact_spelling() -> None:
    assert [label(said, ("a", "A", "-1", "1")) for said in ("a", "A", "-1", " 1 ")] == ["a", "A", "-1", "1"]
    with pytest.raises(InvalidAnswer):
        label("minus 1", ("-1", "1"))


def test_an_option_letter_goes_before_what_it_says() -> None:
    options = ("A", "B", "C", "D")
    assert [label(said, options) for said in ("B. A dog", "(c) a cat", "The answer is D) a bird", "B")] == [*"BCDB"]


def test_letters_are_no_options_where_letters_are_labels() -> None:
    assert label("B", ("c", "b", "a")) == "b"


def test_digits_and_words_of_other_scripts_can_be_labels() -> None:
    assert label("The digit is 7.", tuple("0123456789")) == "7"
    assert label("答案: 猫", ("猫", "犬")) == "猫"


def test_without_labels_the_answer_is_the_label() -> None:
    assert label(" Paris ", ()) == "Paris"
    assert label("I think the answer is Paris.", ()) == "Paris"
    assert label(Choice.of("anything"), ()) == "anything"
    with pytest.raises(InvalidAnswer, match="empty"):
        label("  ", ())


@pytest.mark.parametrize("said", [Choice.of("dog", "cat"), Text("Dog, cat"), Text("cat\ndog; dog")])
def test_a_set_of_labels_is_read_from_a_choice_or_a_list_in_text(said: Part) -> None:
    found = extract("labels", (said,), TASK)
    assert isinstance(found, Choice)
    assert {scored.label for scored in found.labels} == {"cat", "dog"}
    assert len(found.labels) == 2


def test_a_set_of_labels_may_be_empty_but_not_foreign() -> None:
    assert extract("labels", (Text(""),), TASK) == Choice(())
    with pytest.raises(InvalidAnswer, match="horse"):
        extract("labels", (Text("cat, horse"),), TASK)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("42", 42),
        ("-3.5", -3.5),
        ("\N{MINUS SIGN}2", -2),
        ("about 1,234,567.5 m", 1234567.5),
        ("1.5e3", 1500),
        (".5", 0.5),
        ("between 3-5", 5),
        ("x=-2", -2),
        ("1, 2,3", 3),
        ("12,34", 34),
        ("3 of 4 cars, so 75.", 75),
        ("The answer is 7 of 9.", 7),
        ("The answer is unclear: 1 or 2", 1),
        ("mp3 holds 5cm", 5),
        ("1e999 or 2", 2),
        ("共5个", 5),
    ],
)
def test_a_number_is_the_answers_or_the_texts_last(said: str, expected: float) -> None:
    assert number(said) == expected


@pytest.mark.parametrize("said", ["", "none", "mp3", "1e999", Number(nan), Number(float("inf"))])
def test_what_holds_no_finite_number_is_invalid(said: Part | str) -> None:
    with pytest.raises(InvalidAnswer, match="number"):
        number(said)


def test_a_number_part_is_taken_as_it_is() -> None:
    assert number(Number(2.5, "m")) == 2.5


def test_text_is_taken_as_it_is_and_words_without_case_and_punctuation() -> None:
    said = (Text("  Well, it's\n\u201cHELLO\u201d, World! "),)
    assert extract("text", said, TASK) == said[0]
    assert extract("words", said, TASK) == Text("well it's hello world")


PIXELS = np.zeros((2, 3), np.uint8)
MEDIA = {
    "mask": Mask.from_array(PIXELS),
    "boxes": Boxes(()),
    "image": Image.from_array(PIXELS),
    "audio": Audio.from_array(np.zeros(4), 8000),
    "video": Video.from_array(np.zeros((2, 2, 3), np.uint8), frames_per_second=5),
    "points": PointCloud.from_array(np.ones((4, 3))),
    "mesh": Mesh.from_array(np.eye(3), np.array([[0, 1, 2]])),
    "tensor": Tensor.from_array(np.ones((2, 2))),
}


@pytest.mark.parametrize("name", MEDIA)
def test_media_are_taken_from_among_other_parts(name: str) -> None:
    part = MEDIA[name]
    assert extract(name, (Text("here you are"), part), TASK) is part
    with pytest.raises(InvalidAnswer, match=f"no {part.kind} but text"):
        extract(name, (Text("I cannot"),), TASK)
    with pytest.raises(InvalidAnswer, match=f"2 parts of kind {part.kind}, one is wanted"):
        extract(name, (part, part), TASK)


def test_the_points_of_a_mesh_are_its_vertices() -> None:
    vertices = np.arange(9.0).reshape(3, 3)
    found = extract("points", (Mesh.from_array(vertices, np.array([[0, 1, 2]])),), TASK)
    assert isinstance(found, PointCloud)
    assert (found.array() == vertices).all()


@pytest.mark.parametrize("part", [Json("[1]"), Text("[1]"), Text(" ```json\n[1]\n``` ")])
def test_json_comes_as_such_or_as_text(part: Part) -> None:
    assert extract("json", (part,), TASK) == Json("[1]")


@pytest.mark.parametrize("text", ["", "one", "[1", "[" * 100_000])
def test_what_is_no_json_is_invalid(text: str) -> None:
    with pytest.raises(InvalidAnswer, match="no JSON in"):
        extract("json", (Text(text),), TASK)


@pytest.mark.parametrize(
    ("said", "label"), [("The answer is Cat.", "cat"), (' "New  York" ', "new york"), ("-1", "-1")]
)
def test_a_term_is_a_label_that_no_list_has(said: str, label: str) -> None:
    assert extract("term", (Text(said),), TASK) == Choice.of(label)


def test_terms_are_a_set_of_labels() -> None:
    wanted = Choice.of("ann", "new york", "bob")
    assert extract("terms", (Text("Ann, New York<p>Bob; ann"),), TASK) == wanted
    assert extract("terms", (Choice.of("Ann", "New York", "Bob"),), TASK) == wanted


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_refuses_an_answer_of_nothing(name: str) -> None:
    with pytest.raises(InvalidAnswer, match="nothing"):
        extract(name, (), TASK)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_has_a_versioned_id_and_gives_the_kind_it_declares(name: str) -> None:
    examples: dict[str, Part] = {**MEDIA, "label": Text("cat"), "labels": Text("cat"), "number": Text("1")}
    examples["json"] = Text("[]")
    found = extractor(name)
    assert found.id == f"{name}@{found.version}"
    assert found.take((examples.get(name, Text("hello")),), TASK).kind is found.kind


def test_an_unknown_extractor_is_refused_with_a_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'label'"):
        extract("lable", (), TASK)


HOSTILE = [
    "1",
    ",111",
    "-",
    "(",
    "answer is ",
    "answer  ",
    "a ",
    "black ",
    "black cat ",
    "'",
    " \n",
    "1e",
    ".1",
    "1.",
    "cat ",
    "\u0130",
    "\u0300\u0316",
]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("name", ["label", "labels", "number", "words"])
def test_time_grows_no_faster_than_hostile_text(name: str, piece: str) -> None:
    def seconds(length: int) -> float:
        text = Text((piece * length)[:length] + "!")
        return min(_timed(name, text) for _ in range(3))

    short, long = (seconds(length) for length in (12_500, 100_000))
    # Quadratic growth would be 64 times as long; the constant is for what a busy machine adds.
    assert long < 24 * short + 0.02


def _timed(name: str, text: Text) -> float:
    start = process_time()
    with suppress(InvalidAnswer):
        extract(name, (text,), TASK)
    return process_time() - start


def test_long_text_is_read_at_its_end() -> None:
    assert number("1 " * 100_000 + "2") == 2
    assert label("dog " * 100_000 + "." * 20_000 + "cat") == "cat"
    assert not any(later < earlier for earlier, later in pairwise([number("9" * length) for length in (1, 10, 100)]))
