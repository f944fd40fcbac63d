"""What General-Bench's own evaluators compute from text, their faults included; for comparison with their figures.

Read off processors/nlp_processor.py and the audio and video predictors of the official repository at 420b8eb.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING

from echelon.adapters import Kind, Part, Text
from echelon.adapters.errors import MissingExtraError
from echelon.scorer.errors import NotComputedError
from echelon.scorer.metrics.labels import MicroF1
from echelon.scorer.metrics.metric import MeanMetric, RatioMetric, Stats, declared, expect, quotient
from echelon.scorer.metrics.text import Bleu1, ngram_matches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEPARATOR = "<p>"
_TINY, _SMALL = 1e-15, 1e-9
"""What pycocoevalcap adds to the counts of BLEU's fractions, above and below the line."""


class OfficialAccuracy(MeanMetric):
    """Share of the answers that are spelled as a reference, spaces around them aside."""

    name = "accuracy_official"
    variant = "@1;match=exact;strip=spaces"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        return float(_said(prediction).strip() == _said(reference).strip())


class OfficialContainment(MeanMetric):
    """Share of the answers in which the reference's letters occur anywhere.

    Case does not matter from the first reference on in which "yes" or "no" occurs, be it in "snow".
    """

    name = "accuracy_contains_official"
    variant = "@1;match=contained-letters;strip=spaces;case=ignored-from-yes-or-no"
    kind = Kind.TEXT

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        given, hit = _said(prediction), False
        for said in map(_said, references):
            folds = "yes" in said.lower() or "no" in said.lower()
            given, wanted = (given.lower(), said.lower()) if folds else (given, said)
            hit |= wanted.strip() in given.strip()
        return float(hit), 1.0

    def value(self, prediction: Part, reference: Part) -> float:
        return self.sample(prediction, [reference])[0]


class OfficialLabelContainment(MeanMetric):
    """Share of the answers that hold the reference's letters, the answer in lower case and the reference as it is."""

    name = "accuracy_contains_label_official"
    variant = "@1;match=contained-letters;case=lower-answer;strip=answer"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        return float(_said(reference) in _said(prediction).strip().lower())


class OfficialTokenF1(MeanMetric):
    """The mean F1 of words, shared ones counted once and all of them counted each time."""

    name = "token_f1_official"
    variant = "@1;tokens=whitespace;shared=set;words=list"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = _said(prediction).split(), _said(reference).split()
        shared = len(set(given) & set(wanted))
        return 2 * shared / (len(given) + len(wanted)) if shared else 0.0


class OfficialMicroF1(MicroF1):
    """F1 of label sets in one text, separated by `<p>`; an empty text is a set of one empty label.

    Spaces around the whole text are removed, those around a label are not.
    """

    name = "micro_f1_official"
    variant = "@2;sets=text;separator=<p>;match=exact;strip=text"
    kind = Kind.TEXT

    def label_set(self, part: Part) -> frozenset[str]:
        return frozenset(_said(part).strip().split(SEPARATOR))


class OfficialBleu1(MeanMetric):
    """The mean over the samples of BLEU of single words against the best reference, by spaces and with case.

    The script takes NLTK's words where NLTK's data is installed, and silently those between spaces where it is not, as
    on a fresh machine; the first are `bleu1_nltk_official`.
    """

    name = "bleu1_official"
    variant = "/sentence@2;tokens=whitespace;references=best"
    kind = Kind.TEXT

    def value(self, prediction: Part, reference: Part) -> float:
        given, wanted = self.words(_said(prediction)), self.words(_said(reference))
        return Bleu1().finish([ngram_matches(given, [wanted], order=1)]) if given else 0.0

    def words(self, text: str) -> list[str]:
        """The words that are compared."""
        return text.split()


class OfficialNltkBleu1(OfficialBleu1):
    """`bleu1_official` with the words of NLTK's tokenizer, which needs NLTK's data `punkt_tab`.

    The script for audio stops with an error without it.
    """

    name = "bleu1_nltk_official"
    variant = "/sentence@1;tokens=nltk-punkt;references=best"

    def words(self, text: str) -> list[str]:
        try:
            from nltk import word_tokenize
        except ImportError as error:
            raise MissingExtraError("nltk", "metrics") from error
        try:
            return list(word_tokenize(text))
        except LookupError as error:
            raise NotComputedError(
                "the official evaluator needs the data of NLTK's tokenizer: python -m nltk.downloader punkt_tab"
            ) from error


class OfficialVideoBleu1(RatioMetric):
    """Corpus BLEU of single words as pycocoevalcap computes it, with the constants that it adds to its counts.

    Texts are in lower case. The stats are (words, words of the reference, matching words).
    """

    name = "bleu1_video_official"
    variant = "/corpus@1;tokens=whitespace;case=lower;references=best;package=pycocoevalcap"
    kind = Kind.TEXT

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = (_said(part).lower().split() for part in (prediction, reference))
        return ngram_matches(given, [wanted], order=1)[:3]

    def worst(self, references: Sequence[Part]) -> Stats:
        count = float(max(1, len(_said(references[0]).split())))
        return count, count, 0.0

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        import numpy as np

        given, wanted, matching = np.moveaxis(sums, -1, 0)
        length = (given + _TINY) / (wanted + _SMALL)
        return np.asarray((matching + _TINY) / (given + _SMALL) * np.exp(np.minimum(0.0, 1 - 1 / length)))


class OfficialMeanAbsoluteError(RatioMetric):
    """The mean distance between answer and reference over the pairs in which both are numbers, others left out.

    Numbers are what Python's `float` reads, if they are finite. The score without any such pair is 0. The stats are
    (distance, 1), or (0, 0) for a pair left out. From 0, down; a failed sample counts the task's declared worst, which
    does not limit the error of others.
    """

    name = "mae_official"
    variant = "@1;numbers=python-float;unreadable=skipped;none=0"
    kind = Kind.TEXT
    higher_is_better = False
    range = (0.0, inf)
    unit = ""

    def __init__(self, worst: float | None = None, labels: tuple[str, ...] = ()) -> None:
        super().__init__(worst, labels)
        self.limit = declared(self.name, worst)

    @property
    def id(self) -> str:
        return f"{super().id};worst={self.limit:.17g}"

    def compare(self, prediction: Part, reference: Part) -> Stats:
        given, wanted = _finite(_said(prediction)), _finite(_said(reference))
        return (0.0, 0.0) if given is None or wanted is None else (abs(given - wanted), 1.0)

    def worst(self, references: Sequence[Part]) -> Stats:
        return self.limit, 1.0

    def from_sums(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return quotient(sums[..., 0], sums[..., 1])


def _finite(text: str) -> float | None:
    """The number that a text is; None where it is none, or where it is not finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _said(part: Part) -> str:
    return expect(part, Text).value
