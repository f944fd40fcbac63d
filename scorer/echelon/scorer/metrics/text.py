"""Metrics of text. Words are what stands between spaces; case does not matter, unless an id says otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from echelon.adapters import Kind, Part, Text
from echelon.adapters.errors import MissingExtraError
from echelon.scorer.metrics.metric import MeanMetric, RatioMetric, Stats, expect, quotient
from echelon.scorer.metrics.tokens import PlainTokens, squad_words, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Grams: TypeAlias = "Counter[tuple[str, ...]]"


class WordErrorRate(RatioMetric):
    """Word edits by reference words, over all samples; the stats are (edits, reference words).

    A sample has at most as many edits as its reference has words: else a long wrong answer would be worse than none.
    """

    name = "wer"
    variant = "/corpus@2;tokens=whitespace;case=lower;cap=1"
    kind = Kind.TEXT
    higher_is_better = False

    def compare(self, prediction: Part, reference: Part) -> Stats:
        from rapidfuzz.distance import Levenshtein

        given, wanted = self.tokens(prediction), self.tokens(reference)
        count = _count(wanted)
        return float(min(count, Levenshtein.distance(given, wanted))), float(count)

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(_count(self.tokens(references[0])))
        return count, count

    def tokens(self, part: Part) -> list[str]:
        """Return what is counted."""
        return words(part)

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


class MeanWordErrorRate(WordErrorRate):
    """The mean over the samples of word edits by reference words; the stats are (rate, 1)."""

    name = "wer_mean"
    variant = "/utterance@2;tokens=whitespace;case=lower;cap=1"

    def compare(self, prediction: Part, reference: Part) -> Stats:
        edits, count = super().compare(prediction, reference)
        return edits / count, 1.0

    def worst(self, references: Sequence[Part]) -> Stats:
        return 1.0, 1.0


class Anls(MeanMetric):
    """The mean similarity by edits of characters, which is 0 where it is below a half: Biten et al. 2019.

    A half counts as a half, as in the evaluation script of DocVQA; the paper's formula has 0 there. The script divides
    by the lengths in upper case before spaces are collapsed, so that padding an answer with spaces makes it similar.
    Here lengths are those of the compared texts.
    """

    name = "anls"
    variant = "@2;threshold=0.5-inclusive;case=lower;spaces=collapsed"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        from rapidfuzz.distance import Levenshtein

        given, wanted = " ".join(words(prediction)), " ".join(words(reference))
        similarity = Levenshtein.normalized_similarity(given, wanted)
        return similarity if similarity >= 0.5 else 0.0


class Bleu(RatioMetric):
    """Corpus BLEU without smoothing: Papineni et al. 2002.

    The stats are (words, reference words), then for each length of n-grams the matching ones, then all of them.
    """

    variant = "/corpus@2;tokens=whitespace;case=lower;references=pooled;length=closest"
    kind = Kind.TEXT
    order: ClassVar[int]

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        wanted = [self.tokens(reference) for reference in references]
        return ngram_matches(self.tokens(prediction), wanted, self.order)

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.sample(prediction, [reference])

    def worst(self, references: Sequence[Part]) -> Stats:
        # All words wrong, and none that would make up for brevity elsewhere.
        count = _count(self.tokens(references[0]))
        return 0.0, *_match_stats(count, count, [0] * self.order)[1:]

    def tokens(self, part: Part) -> list[str]:
        """Return what n-grams are made of."""
        return words(part)

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        given, wanted = sums[..., 0], sums[..., 1]
        matching, possible = np.split(sums[..., 2:], 2, axis=-1)
        precision = quotient(matching, possible).prod(axis=-1) ** (1 / self.order)
        # Saying nothing where words are wanted is as brief as can be.
        brevity = 1 - quotient(wanted, given, empty=np.inf)
        return np.where((given == 0) & (wanted == 0), 1.0, precision * np.exp(np.minimum(0.0, brevity)))


class Bleu1(Bleu):
    """Corpus BLEU of single words."""

    name = "bleu1"
    order = 1


class Bleu4(Bleu):
    """Corpus BLEU of up to four words; a corpus without a match of four scores 0."""

    name = "bleu4"
    order = 4


class Rouge(MeanMetric):
    """The mean F of ROUGE, with the best reference: Lin 2004, as the package rouge-score computes it."""

    variant = "@1;package=rouge-score;beta=1;tokens=a-z0-9;stemmer=porter"
    kind = Kind.TEXT
    measure: ClassVar[str]

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = (expect(part, Text).value for part in (prediction, reference))
        return float(self._scorer.score(wanted, given)[self.measure].fmeasure)

    @cached_property
    def _scorer(self) -> Any:
        return _rouge_scorer(self.measure, use_stemmer=True)


class Rouge1(Rouge):
    """ROUGE of single words; text without Latin letters or digits has none, and scores 0."""

    name = "rouge1"
    measure = "rouge1"


class RougeL(Rouge):
    """ROUGE of the longest common subsequence; text without Latin letters or digits scores 0."""

    name = "rouge_l"
    measure = "rougeL"


class PlainRouge1(Rouge):
    """ROUGE of single words of any script; a character is a word where a script has no spaces."""

    name = "rouge1_plain"
    variant = "@3;package=rouge-score;beta=1;tokens=unicode;marks=kept;cjk=characters;case=lower"
    measure = "rouge1"

    @cached_property
    def _scorer(self) -> Any:
        return _rouge_scorer(self.measure, tokenizer=PlainTokens())


class PlainRougeL(PlainRouge1):
    """ROUGE of the longest common subsequence, for any script."""

    name = "rouge_l_plain"
    measure = "rougeL"


class ExactMatch(MeanMetric):
    """Share of the answers that equal a reference but for case, punctuation and articles: Rajpurkar et al. 2016."""

    name = "exact_match"
    variant = "@1;normalise=squad"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        return float(squad_words(prediction) == squad_words(reference))


class TokenF1(MeanMetric):
    """The mean F1 of an answer's words with those of the best reference: Rajpurkar et al. 2016."""

    name = "token_f1"
    variant = "@1;normalise=squad;words=multiset"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = self.tokens(prediction), self.tokens(reference)
        if not given or not wanted:
            return float(given == wanted)
        shared = (Counter(given) & Counter(wanted)).total()
        return 2 * shared / (len(given) + len(wanted))

    def tokens(self, part: Part) -> list[str]:
        """Return what has to be shared."""
        return squad_words(part)


class Containment(MeanMetric):
    """Share of the answers in which a reference occurs, as whole words and but for case and punctuation."""

    name = "accuracy_contains"
    variant = "@1;match=contained-words;normalise=squad"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = squad_words(prediction), squad_words(reference)
        starts = range(len(given) - len(wanted) + 1)
        return float(any(given[at : at + len(wanted)] == wanted for at in starts) if wanted else not given)


def ngram_matches(given: Sequence[str], wanted: Sequence[Sequence[str]], order: int) -> Stats:
    """The stats of BLEU for an answer's words, with all its references."""
    matching = [_matches(given, wanted, length) for length in range(1, order + 1)]
    closest = min(map(len, wanted), key=lambda count: (abs(count - len(given)), count))
    return _match_stats(len(given), closest, matching)


def _matches(given: Sequence[str], wanted: Sequence[Sequence[str]], length: int) -> int:
    """How many n-grams occur in a reference too, each at most as often as there."""
    counts, (ceiling, *others) = ngrams(given, length), [ngrams(reference, length) for reference in wanted]
    for other in others:
        ceiling |= other
    return sum(min(counts[gram], ceiling[gram]) for gram in counts.keys() & ceiling.keys())


def ngrams(tokens: Sequence[str], length: int) -> Grams:
    """How often each run of `length` tokens occurs."""
    return Counter(zip(*(tokens[start:] for start in range(length)), strict=False))


def _match_stats(given: int, wanted: int, matching: Sequence[int]) -> Stats:
    possible = (max(0, given - shorter) for shorter in range(len(matching)))
    return tuple(map(float, (given, wanted, *matching, *possible)))


def _count(wanted: list[str]) -> int:
    """How much a reference weighs; an empty one as much as a word, so that it can be missed."""
    return max(1, len(wanted))


def _rouge_scorer(measure: str, **options: Any) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtraError("rouge-score", "metrics") from error
    return RougeScorer([measure], **options)
