"""Metrics of labels, numbers and text, against other implementations and agreed values."""

from collections.abc import Sequence
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mean_absolute_error, root_mean_squared_error
from sklearn.preprocessing import MultiLabelBinarizer

from echelon.adapters import Choice, Number, Part, Text
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric


def score(of: Metric, predictions: Sequence[Part], references: Sequence[Sequence[Part]]) -> float:
    return of.finish([of.sample(*pair) for pair in zip(predictions, references, strict=True)])


def texts(values: Sequence[str]) -> list[Part]:
    return [Text(value) for value in values]


def test_accuracy_is_the_share_of_right_labels_with_any_reference_right() -> None:
    predictions = [Choice.of(label) for label in ("a", "b", "c", "A")]
    references = [[Choice.of("a")], [Choice.of("x"), Choice.of("b")], [Choice.of("x")], [Choice.of("a")]]
    assert score(metric("accuracy"), predictions, references) == 0.5


LABELS = st.sampled_from("abcd")


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40))
def test_macro_f1_is_that_of_scikit_learn_over_the_references_classes(pairs: list[tuple[str, str]]) -> None:
    wanted, given = zip(*pairs, strict=True)
    found = score(metric("macro_f1"), [Choice.of(x) for x in given], [[Choice.of(x)] for x in wanted])
    assert found == pytest.approx(f1_score(wanted, given, labels=sorted(set(wanted)), average="macro", zero_division=0))


def test_a_failed_sample_lowers_macro_f1_like_a_wrong_label() -> None:
    f1 = metric("macro_f1")
    right = f1.sample(Choice.of("a"), [Choice.of("a")])
    assert f1.finish([right, f1.worst([Choice.of("a")])]) == pytest.approx(2 / 3)


def test_micro_f1_of_label_sets_has_the_agreed_value() -> None:
    given = [Choice.of(*labels) for labels in ("ab", "c", "ade", "b", " ")]
    wanted = [[Choice.of(*labels)] for labels in ("abc", "c", "ae", "d", "x")]
    assert score(metric("micro_f1"), given, wanted) == 0.625


SETS = st.sets(LABELS, min_size=1)


@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=20))
def test_micro_f1_is_that_of_scikit_learn(pairs: list[tuple[set[str], set[str]]]) -> None:
    given, wanted = zip(*pairs, strict=True)
    binary = MultiLabelBinarizer().fit([set("abcd")])
    found = score(metric("micro_f1"), [Choice.of(*x) for x in given], [[Choice.of(*x)] for x in wanted])
    assert found == pytest.approx(f1_score(binary.transform(wanted), binary.transform(given), average="micro"))


def test_micro_f1_of_no_labels_where_none_are_wanted_is_1() -> None:
    assert score(metric("micro_f1"), [Choice(())], [[Choice(())]]) == 1


def test_wer_pools_the_edits_of_all_samples() -> None:
    given = texts(["this is a test", "hello duck", "the quick BROWN fox"])
    wanted = [[Text("this is the test")], [Text("hello world foo")], [Text("the quick brown fox")]]
    assert score(metric("wer"), given, wanted) == pytest.approx(3 / 11)


def test_wer_takes_the_closest_reference() -> None:
    assert score(metric("wer"), texts(["a b"]), [[Text("c d"), Text("a b")]]) == 0


@pytest.mark.parametrize(
    ("said", "wanted", "expected"), [("", "a b", 1), ("x " * 9, "a", 1), ("", "", 0), ("x", "", 1)]
)
def test_wer_of_a_sample_is_never_above_1(said: str, wanted: str, expected: float) -> None:
    assert score(metric("wer"), [Text(said)], [[Text(wanted)]]) == expected


def test_anls_is_the_similarity_by_edits_and_0_below_a_half() -> None:
    given = texts(["hallo", "Hello  World", "abcd", "", "ab"])
    wanted = [[Text("hello")], [Text("hello world")], [Text("axyz")], [Text("x")], [Text("ax")]]
    assert score(metric("anls"), given, wanted) == pytest.approx((0.8 + 1 + 0 + 0 + 0) / 5)
    assert score(metric("anls"), texts(["cat"]), [[Text("dog"), Text("cart")]]) == 0.75


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8))
def test_wer_counts_the_edits_of_the_textbook(pairs: list[tuple[list[str], list[str]]]) -> None:
    edits = sum(min(max(1, len(wanted)), textbook_edits(given, wanted)) for given, wanted in pairs)
    words = sum(max(1, len(wanted)) for _, wanted in pairs)
    given, wanted = zip(*pairs, strict=True)
    found = score(metric("wer"), [Text(" ".join(x)) for x in given], [[Text(" ".join(x))] for x in wanted])
    assert found == pytest.approx(edits / words)


def textbook_edits(one: Sequence[str], other: Sequence[str]) -> int:
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def test_bleu1_of_a_corpus_has_the_value_that_four_libraries_agree_on() -> None:
    given = [
        "the cat sat on the mat",
        "a man is riding a horse on the beach",
        "two dogs play in the snow",
        "he said hello world",
    ]
    wanted = [
        texts(["the cat is on the mat", "there is a cat on the mat"]),
        texts(["a man rides a horse along the beach"]),
        texts(["two dogs are playing in the snow", "dogs in snow"]),
        texts(["hello world he said"]),
    ]
    assert score(metric("bleu1"), texts(given), wanted) == pytest.approx(0.8)


def test_bleu1_punishes_brevity_and_survives_emptiness() -> None:
    bleu = metric("bleu1")
    assert score(bleu, texts(["the cat"]), [texts(["the cat sat down"])]) == pytest.approx(2.718281828459045**-1)
    assert score(bleu, texts([""]), [texts(["a"])]) == 0
    assert score(bleu, texts([""]), [texts([""])]) == 1


NUMBERS = st.floats(-1e3, 1e3)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_mae_and_rmse_are_those_of_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    given, wanted = zip(*pairs, strict=True)
    predictions, references = [Number(x) for x in given], [[Number(x)] for x in wanted]
    assert score(metric("mae", worst=1e4), predictions, references) == pytest.approx(mean_absolute_error(wanted, given))
    assert score(metric("rmse", worst=1e4), predictions, references) == pytest.approx(
        root_mean_squared_error(wanted, given)
    )


def test_an_error_is_never_above_the_declared_worst() -> None:
    assert score(metric("mae", worst=180), [Number(1e300)], [[Number(0)]]) == 180
    rmse = metric("rmse", worst=4)
    assert rmse.finish([rmse.worst([Number(0)]), rmse.sample(Number(0), [Number(0)])]) == sqrt(8)
