"""Case, and characters as words, against jiwer, sacrebleu, rouge-score and the evaluation script of DocVQA."""

from collections.abc import Sequence

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from echelon.adapters import Part, Text
from echelon.scorer.metrics.registry import metric


def score(name: str, given: Sequence[str], wanted: Sequence[Sequence[str]]) -> float:
    of = metric(name)
    return of.finish([of.sample(Text(said), texts(references)) for said, references in zip(given, wanted, strict=True)])


def texts(values: Sequence[str]) -> list[Part]:
    return [Text(value) for value in values]


# Sharp s, dotted and dotless i, final sigma, ligatures, full width, composed and decomposed accents, titlecase.
TRAPS = "ßẞsSiIİıΣσςﬁﬃféé\N{COMBINING ACUTE ACCENT}ＡａA1１ǅΐ가か\N{COMBINING KATAKANA-HIRAGANA VOICED SOUND MARK}が"
WORD = st.text(TRAPS, min_size=1, max_size=5)
SENTENCE = st.lists(WORD, min_size=1, max_size=6).map(" ".join)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=6)


@given(PAIRS)
def test_wer_and_cer_are_those_of_jiwer_in_every_script(pairs: list[tuple[str, str]]) -> None:
    for name, theirs in (("wer", jiwer.wer), ("cer", jiwer.cer)):
        lowered = [(said.lower(), wanted.lower()) for said, wanted in pairs]
        # A sample is capped at 1 here, and nowhere in jiwer.
        kept = [at for at, (said, wanted) in enumerate(lowered) if theirs(wanted, said) <= 1]
        if kept:
            expected = theirs([lowered[at][1] for at in kept], [lowered[at][0] for at in kept])
            found = score(name, [pairs[at][0] for at in kept], [[pairs[at][1]] for at in kept])
            assert found == pytest.approx(expected, abs=1e-9)


def docvqa(said: str, references: Sequence[str]) -> float:
    """Similarity of an answer as the evaluation script of DocVQA has it."""

    def distance(one: str, other: str) -> int:
        row = list(range(len(other) + 1))
        for at, letter in enumerate(one, 1):
            above, row[0] = row[0], at
            for place, theirs in enumerate(other, 1):
                above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (letter != theirs))
        return row[-1]

    plain = [" ".join(text.strip().lower().split()) for text in (said, *references)]
    length = len(said.upper())
    errors = [
        distance(plain[0], wanted) / max(length, len(text.upper()), 1)
        for wanted, text in zip(plain[1:], references, strict=True)
    ]
    return 0.0 if 1 - min(errors) < 0.5 else 1 - min(errors)


# Of one length in both cases, between single spaces.
PLAIN = st.lists(st.text("ẞsSiIıΣσςféＡａA1１ǅが가", min_size=1, max_size=5), min_size=1, max_size=6).map(" ".join)


def test_padding_an_answer_makes_it_similar_to_the_script_alone() -> None:
    assert docvqa("cat" + " " * 27, ["dog"]) == 0.9
    assert score("anls", ["cat" + " " * 27], [["dog"]]) == 0


@given(PLAIN, st.lists(PLAIN, min_size=1, max_size=3))
def test_anls_is_that_of_the_script(said: str, references: list[str]) -> None:
    assert score("anls", [said], [references]) == pytest.approx(docvqa(said, references), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "said", "wanted", "expected"),
    [
        ("anls", "Strasse", "Straße", 1 - 2 / 7),
        ("anls", "weis", "weiß", 3 / 4),
        ("anls", "ab", "ax", 1 / 2),
        ("wer", "die Strasse", "die Straße", 1 / 2),
        ("wer", "die STRAẞE", "die Straße", 0),
        ("bleu1", "die Strasse", "die Straße", 1 / 2),
        ("token_f1", "die Strasse", "die Straße", 1 / 2),
        ("exact_match", "Strasse", "Straße", 0),
        ("rouge1_plain", "die Strasse", "die Straße", 1 / 2),
        ("rouge1_plain", "\u0915\u093f\u0924\u093e\u092c", "\u0915\u0941\u0924\u0941\u092c", 0),
        ("rouge1_plain", "\u0e14\u0e35", "\u0e14\u0e39", 0),
        ("rouge1_plain", "cafe\u0301s", "cafe s", 0),
        (
            "rouge_l_plain",
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e",
            "\u0939\u093f\u0928\u094d\u0926\u0940",
            2 / 3,
        ),
        ("cer", "今天天气很差", "今天天气很好", 1 / 6),
        ("wer_characters", "今天天气很差", "今天天气很好", 1 / 6),
        ("wer_characters", "我用 GPT4 模型", "我用GPT4模型", 0),
        ("wer_characters", "김치가 맛있다", "김치는 맛있다", 1 / 6),
        ("bleu1_characters", "今天天气很差", "今天天气很好", 5 / 6),
        ("bleu4_characters", "今天天气很差", "今天天气很好", (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** (1 / 4)),
        ("token_f1_characters", "「東京」です。", "東京", 2 * 2 / (4 + 2)),
        ("token_f1_characters", "the iPhone 15，谢谢！", "iPhone 15 谢谢", 1),
    ],
)
def test_a_letter_is_itself_and_a_character_a_word(name: str, said: str, wanted: str, expected: float) -> None:
    assert score(name, [said], [[wanted]]) == pytest.approx(expected, abs=1e-12)


# Words and numbers in Latin letters, ideographs, and punctuation that stands by itself.
CHINESE = st.lists(
    st.one_of(
        st.text("今天气很好差的一丁丂龥㐀豈", min_size=1, max_size=4),
        st.sampled_from([" GPT4 ", "iPhone", " 2024 ", "，", "。", "《", "》", "“", "”", "…", "—", "Ａ", "５"]),
    ),
    min_size=1,
    max_size=8,
).map("".join)
JAPANESE_AND_KOREAN = st.text("東京都はひらがなカタカナー々한국어가나다ㄱ𠀋𩸽ｶﾞが", min_size=1, max_size=12)


@pytest.mark.parametrize(("drawn", "tokenize"), [(CHINESE, "zh"), (JAPANESE_AND_KOREAN, "char")])
@pytest.mark.parametrize(("name", "order"), [("bleu1_characters", 1), ("bleu4_characters", 4)])
@given(data=st.data())
def test_bleu_of_characters_is_that_of_sacrebleu(
    name: str, order: int, drawn: st.SearchStrategy[str], tokenize: str, data: st.DataObject
) -> None:
    corpus = data.draw(st.lists(st.tuples(drawn, drawn), min_size=1, max_size=5))
    said, wanted = [one for one, _ in corpus], [other for _, other in corpus]
    theirs = BLEU(tokenize=tokenize, lowercase=True, max_ngram_order=order, smooth_method="none")
    expected = theirs.corpus_score(said, [wanted]).score / 100
    assert score(name, said, [[each] for each in wanted]) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(JAPANESE_AND_KOREAN, JAPANESE_AND_KOREAN), min_size=1, max_size=5))
def test_words_that_are_characters_are_the_characters_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    kept = [(said, wanted) for said, wanted in pairs if jiwer.cer(wanted, said) <= 1]
    if kept:
        said, wanted = map(list, zip(*kept, strict=True))
        found = score("wer_characters", said, [[each] for each in wanted])
        assert found == pytest.approx(jiwer.cer(wanted, said), abs=1e-9)


@pytest.mark.parametrize(("name", "measure"), [("rouge1_plain", "rouge1"), ("rouge_l_plain", "rougeL")])
@given(data=st.data())
def test_rouge_of_characters_is_that_of_rouge_score_on_spaced_characters(
    name: str, measure: str, data: st.DataObject
) -> None:
    class Spaces:
        def tokenize(self, text: str) -> list[str]:
            return text.split()

    said, wanted = data.draw(JAPANESE_AND_KOREAN), data.draw(JAPANESE_AND_KOREAN)
    scorer = RougeScorer([measure], tokenizer=Spaces())
    expected = scorer.score(" ".join(wanted), " ".join(said))[measure].fmeasure
    assert score(name, [said], [[wanted]]) == pytest.approx(expected, abs=1e-9)
