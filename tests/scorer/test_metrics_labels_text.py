"""Metrics of labels, numbers and text, against other implementations and agreed values."""

from collections.abc import Sequence
from math import sqrt

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Indel
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from scipy.stats import pearsonr
from sklearn.metrics import (
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    recall_score,
    root_mean_squared_error,
)
from sklearn.preprocessing import MultiLabelBinarizer

from echelon.adapters import Choice, Json, Number, Part, Tensor, Text
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import InvalidAnswer, Metric
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


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40))
def test_weighted_f1_and_macro_accuracy_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    wanted, given = zip(*pairs, strict=True)
    said = [Choice.of(label) for label in given]
    references = [[Choice.of(label)] for label in wanted]
    assert score(metric("f1_weighted"), said, references) == pytest.approx(f1_score(wanted, given, average="weighted"))
    assert score(metric("macro_accuracy"), said, references) == pytest.approx(
        recall_score(wanted, given, labels=sorted(set(wanted)), average="macro")
    )


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
    assert score(metric("anls"), given, wanted) == pytest.approx((0.8 + 1 + 0 + 0 + 0.5) / 5)
    assert score(metric("anls"), texts(["cat"]), [[Text("dog"), Text("cart")]]) == 0.75


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8))
def test_wer_counts_the_edits_of_the_textbook(pairs: list[tuple[list[str], list[str]]]) -> None:
    edits = sum(min(max(1, len(wanted)), textbook_edits(given, wanted)) for given, wanted in pairs)
    words = sum(max(1, len(wanted)) for _, wanted in pairs)
    given, wanted = zip(*pairs, strict=True)
    found = score(metric("wer"), [Text(" ".join(x)) for x in given], [[Text(" ".join(x))] for x in wanted])
    assert found == pytest.approx(edits / words)


SAID = st.lists(st.sampled_from("abcde"), min_size=1, max_size=12).map(" ".join)


@given(st.lists(st.tuples(SAID, st.lists(SAID, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_bleu_is_that_of_sacrebleu(corpus: list[tuple[str, list[str]]]) -> None:
    given, wanted = [said for said, _ in corpus], [references for _, references in corpus]
    most = max(map(len, wanted))
    # References by their place, as sacrebleu wants them; None where a sample has fewer.
    columns = [[(*references, *[None] * most)[place] for references in wanted] for place in range(most)]
    for name, order in (("bleu1", 1), ("bleu4", 4)):
        theirs = BLEU(tokenize="none", max_ngram_order=order, smooth_method="none")
        expected = theirs.corpus_score(given, columns).score / 100  # type: ignore[arg-type]  # None is documented
        assert score(metric(name), texts(given), [texts(each) for each in wanted]) == pytest.approx(expected)


@given(st.lists(st.tuples(SAID, SAID), min_size=1, max_size=6))
def test_wer_is_that_of_jiwer_where_no_sample_reaches_the_cap(pairs: list[tuple[str, str]]) -> None:
    kept = [(said, wanted) for said, wanted in pairs if jiwer.wer(wanted, said) <= 1] or [("a", "a")]
    given, wanted = map(list, zip(*kept, strict=True))
    references = [texts([each]) for each in wanted]
    assert score(metric("wer"), texts(given), references) == pytest.approx(jiwer.wer(wanted, given))
    alone = [jiwer.wer(each, said) for said, each in kept]
    assert score(metric("wer_mean"), texts(given), references) == pytest.approx(sum(alone) / len(alone))


@given(SAID, SAID)
def test_rouge_is_what_its_definition_gives(said: str, wanted: str) -> None:
    given, expected = said.split(), wanted.split()
    shared = sum(min(given.count(word), expected.count(word)) for word in set(given))
    common = (len(given) + len(expected) - Indel.distance(given, expected)) / 2
    both = len(given) + len(expected)
    assert score(metric("rouge1"), texts([said]), [texts([wanted])]) == pytest.approx(2 * shared / both)
    assert score(metric("rouge_l"), texts([said]), [texts([wanted])]) == pytest.approx(2 * common / both)


def test_rouge_stems_and_takes_the_best_reference() -> None:
    assert score(metric("rouge1"), texts(["Running dogs"]), [texts(["cats", "a dog runs"])]) == pytest.approx(0.8)
    theirs = RougeScorer(["rouge1"], use_stemmer=True).score("a dog runs", "Running dogs")
    assert theirs["rouge1"].fmeasure == pytest.approx(0.8)


def test_rouge_knows_no_chinese_but_in_its_plain_variant() -> None:
    said, wanted = texts(["今天天气很好"]), [texts(["今天天气好"])]
    assert score(metric("rouge1"), said, wanted) == 0
    assert score(metric("rouge1_plain"), said, wanted) == pytest.approx(2 * 5 / 11)
    assert score(metric("rouge_l_plain"), said, wanted) == pytest.approx(2 * 5 / 11)
    assert score(metric("rouge1_plain"), texts(["GPT-4 模型"]), [texts(["gpt 4 模型"])]) == 1


def test_cider_weighs_words_by_how_rare_they_are() -> None:
    wanted = [texts(["a red bus on a road"]), texts(["a cat on a sofa"]), texts(["a tall old tree"])]

    def told(first: str) -> float:
        return score(metric("cider"), texts([first, "a cat on a sofa", "a tall old tree"]), wanted)

    assert told("a red bus on a road") == pytest.approx(10)
    assert told("red bus") > told("on a") > 0


@pytest.mark.parametrize(
    ("name", "said", "wanted", "expected"),
    [
        ("exact_match", "The  Eiffel Tower!", "eiffel tower", 1),
        ("exact_match", "the tower", "eiffel tower", 0),
        ("accuracy_official", " Paris\n", "Paris", 1),
        ("accuracy_official", "paris", "Paris", 0),
        ("accuracy_contains", "It is a Dog.", "dog", 1),
        ("accuracy_contains", "hotdog", "dog", 0),
        ("accuracy_contains_official", "hotdog", "dog", 1),
        ("accuracy_contains_official", "YES, it is", "yes", 1),
        ("accuracy_contains_official", "DOG", "dog", 0),
        ("accuracy_contains_official", "SNOW", " snow ", 1),
        ("token_f1", "a cat", "the cat", 1),
        ("token_f1", "", "the", 1),
        ("token_f1", "cat cat", "cat", 2 / 3),
        ("token_f1_official", "cat cat", "cat cat", 0.5),
        ("bleu1_official", "", "a", 0),
        ("bleu1_official", "The cat", "the cat", 0.5),
        ("micro_f1_official", "", "", 1),
        ("micro_f1_official", " spam\n", "spam", 1),
        ("micro_f1_official", "spam <p>ham", "spam<p>ham", 0.5),
    ],
)
def test_a_match_is_what_the_metric_says(name: str, said: str, wanted: str, expected: float) -> None:
    assert score(metric(name), texts([said]), [texts([wanted])]) == pytest.approx(expected)


def test_official_bleu_takes_the_best_reference_and_pools_none() -> None:
    assert score(metric("bleu1_official"), texts(["a d"]), [texts(["a b", "c d"])]) == 0.5
    assert score(metric("bleu1"), texts(["a d"]), [texts(["a b", "c d"])]) == 1


OF_TEXT = (
    "accuracy_contains",
    "accuracy_contains_label_official",
    "accuracy_contains_official",
    "accuracy_official",
    "anls",
    "bleu1_official",
    "cer",
    "cider",
    "exact_match",
    "micro_f1_official",
    "rouge1",
    "rouge_l_plain",
    "token_f1",
    "token_f1_characters",
    "token_f1_official",
    "wer",
    "wer_characters",
    "wer_mean",
)


@pytest.mark.parametrize("name", OF_TEXT)
@given(said=st.text(max_size=20), wanted=st.text(max_size=20))
def test_no_text_is_worse_than_a_failed_sample(name: str, said: str, wanted: str) -> None:
    of = metric(name)
    sign = 1 if of.higher_is_better else -1
    failed, answered = of.worst([Text(wanted)]), of.sample(Text(said), [Text(wanted)])
    right = of.sample(Text("a right answer it is"), [Text("a right answer it is")])
    for others in ([], [right]):
        assert sign * of.finish([failed, *others]) <= sign * of.finish([answered, *others]) + 1e-12


@pytest.mark.parametrize("name", ["bleu1", "bleu4"])
@given(pairs=st.lists(st.tuples(WORDS, WORDS.filter(bool)), min_size=1, max_size=5))
def test_a_failed_sample_lowers_bleu_like_no_answer_of_the_references_length(
    name: str, pairs: list[tuple[list[str], list[str]]]
) -> None:
    of = metric(name)
    (said, wanted), *others = [(Text(" ".join(one)), Text(" ".join(other))) for one, other in pairs]
    short = Text(" ".join(said.value.split()[: len(wanted.value.split())]))
    rows = [of.sample(each, [reference]) for each, reference in others]
    assert of.finish([of.worst([wanted]), *rows]) <= of.finish([of.sample(short, [wanted]), *rows]) + 1e-12


def test_span_f1_compares_values_not_spelling() -> None:
    said = Json('[{"type": "PER", "text": "Ann"}, ["x", 1]]')
    wanted = Json('[ ["x",1], {"text":"Ann","type":"PER"}, "more" ]')
    assert score(metric("span_f1"), [said], [[wanted]]) == pytest.approx(0.8)


def test_entities_begin_with_i_where_nothing_goes_on() -> None:
    said, wanted = Json('["I-a", "I-a", "I-b"]'), Json('["B-a", "I-a", "B-b"]')
    assert score(metric("entity_f1"), [said], [[wanted]]) == 1


@pytest.mark.parametrize(("name", "said"), [("span_f1", "{}"), ("span_f1", "["), ("entity_f1", "[1]")])
def test_what_is_no_list_of_spans_is_invalid(name: str, said: str) -> None:
    with pytest.raises(InvalidAnswer):
        score(metric(name), [Json(said)], [[Json("[]")]])
    with pytest.raises(InvalidSuiteError):
        score(metric(name), [Json("[]")], [[Json(said)]])


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


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_mse_is_that_of_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    given, wanted = zip(*pairs, strict=True)
    found = score(metric("mse_number", worst=1e9), [*map(Number, given)], [[Number(x)] for x in wanted])
    assert found == pytest.approx(mean_squared_error(wanted, given))


def test_pcc_is_the_mean_of_those_of_scipy() -> None:
    random = np.random.default_rng(5)
    pairs = [(random.normal(size=20) * 1e-3 + 1e3, random.normal(size=20) * 1e5) for _ in range(5)]
    given, wanted = ([Tensor.from_array(series) for series in side] for side in zip(*pairs, strict=True))
    expected = np.mean([pearsonr(*pair).statistic for pair in pairs])
    assert score(metric("pcc"), given, [[each] for each in wanted]) == pytest.approx(expected, rel=1e-9)


def test_pcc_of_what_does_not_vary_is_0() -> None:
    flat, steep = Tensor.from_array(np.full(7, 0.1)), Tensor.from_array(np.arange(7.0))
    assert score(metric("pcc"), [flat], [[steep]]) == 0
    with pytest.raises(InvalidAnswer, match="7 numbers, 2 are wanted"):
        score(metric("pcc"), [steep], [[Tensor.from_array(np.arange(2.0))]])


def test_an_error_is_never_above_the_declared_worst() -> None:
    assert score(metric("mae", worst=180), [Number(1e300)], [[Number(0)]]) == 180
    rmse = metric("rmse", worst=4)
    assert rmse.finish([rmse.worst([Number(0)]), rmse.sample(Number(0), [Number(0)])]) == sqrt(8)


def test_errors_beyond_any_float_add_up_to_infinity() -> None:
    of = metric("mae_official", worst=5.0)
    assert of.finish([of.sample(Text("1e308"), [Text("1")])] * 2) == float("inf")
