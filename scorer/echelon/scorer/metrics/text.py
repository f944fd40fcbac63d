"""Metrics of text. Words are what stands between spaces; case does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from echelon.adapters import Kind, Part, Text
from echelon.scorer.metrics.metric import MeanMetric, RatioMetric, Stats, expect, quotient

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class WordErrorRate(RatioMetric):
    """Word edits by reference words, over all samples; the stats are (edits, reference words).

    A sample has at most as many edits as its reference has words: else a long wrong answer would be worse than none.
    """

    name = "wer"
    variant = "/corpus@1;tokens=whitespace;case=fold;cap=1"
    kind = Kind.TEXT
    higher_is_better = False

    def compare(self, prediction: Part, reference: Part) -> Stats:
        from rapidfuzz.distance import Levenshtein

        given, wanted = _words(prediction), _words(reference)
        count = _count(wanted)
        return float(min(count, Levenshtein.distance(given, wanted))), float(count)

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(_count(_words(references[0])))
        return count, count

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


class Anls(MeanMetric):
    """The mean similarity by edits of characters, which is 0 where it is below a half."""

    name = "anls"
    variant = "@1;threshold=0.5;case=fold;spaces=collapsed"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        from rapidfuzz.distance import Levenshtein

        given, wanted = " ".join(_words(prediction)), " ".join(_words(reference))
        similarity = Levenshtein.normalized_similarity(given, wanted)
        return similarity if similarity > 0.5 else 0.0


class Bleu1(RatioMetric):
    """Corpus BLEU of single words; the stats are (words, reference words, matching words)."""

    name = "bleu1"
    variant = "/corpus@1;tokens=whitespace;case=fold;references=pooled;length=closest"
    kind = Kind.TEXT

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        given, wanted = _words(prediction), [_words(reference) for reference in references]
        ceiling: Counter[str] = Counter()
        for words in wanted:
            ceiling |= Counter(words)
        matching = (Counter(given) & ceiling).total()
        closest = min((len(words) for words in wanted), key=lambda count: (abs(count - len(given)), count))
        return float(len(given)), float(closest), float(matching)

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.sample(prediction, [reference])

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(_count(_words(references[0])))
        return count, count, 0.0

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        given, wanted, matching = np.moveaxis(sums, -1, 0)
        precision = quotient(matching, given, empty=1.0)
        # Saying nothing where words are wanted is as brief as can be.
        brevity = 1 - quotient(wanted, given, empty=np.inf)
        return np.where((given == 0) & (wanted == 0), 1.0, precision * np.exp(np.minimum(0.0, brevity)))


def _words(part: Part) -> list[str]:
    return expect(part, Text).value.casefold().split()


def _count(words: list[str]) -> int:
    """How much a reference weighs; an empty one as much as a word, so that it can be missed."""
    return max(1, len(words))
