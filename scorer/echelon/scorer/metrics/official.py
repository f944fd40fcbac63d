"""What General-Bench's own evaluators compute from text, their faults included; for comparison with their figures.

Read off processors/nlp_processor.py and the audio and video predictors of the official repository at 420b8eb.
"""

from __future__ import annotations

from collections.abc import Sequence

from echelon.adapters import Kind, Part, Text
from echelon.scorer.metrics.labels import MicroF1
from echelon.scorer.metrics.metric import MeanMetric, Stats, expect
from echelon.scorer.metrics.text import Bleu1, ngram_matches

SEPARATOR = "<p>"


class OfficialAccuracy(MeanMetric):
    """Share of the answers that are spelled as a reference, spaces around them aside."""

    name = "accuracy_official"
    variant = "@1;match=exact;strip=spaces"
    kind = Kind.TEXT
    all_or_nothing = True

    def value(self, prediction: Part, reference: Part) -> float:
        return float(_said(prediction).strip() == _said(reference).strip())


class OfficialContainment(MeanMetric):
    """Share of the answers in which the reference's letters occur anywhere.

    Case does not matter from the first reference on in which "yes" or "no" occurs, be it in "snow".
    """

    name = "accuracy_contains_official"
    variant = "@1;match=contained-letters;strip=spaces;case=ignored-from-yes-or-no"
    kind = Kind.TEXT
    all_or_nothing = True

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        given, hit = _said(prediction), False
        for said in map(_said, references):
            folds = "yes" in said.lower() or "no" in said.lower()
            given, wanted = (given.lower(), said.lower()) if folds else (given, said)
            hit |= wanted.strip() in given.strip()
        return float(hit), 1.0

    def value(self, prediction: Part, reference: Part) -> float:
        return self.sample(prediction, [reference])[0]


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
    """F1 of label sets in one text, separated by `<p>`; an empty text is a set of one empty label."""

    name = "micro_f1_official"
    variant = "@1;sets=text;separator=<p>;match=exact"
    kind = Kind.TEXT

    def label_set(self, part: Part) -> frozenset[str]:
        return frozenset(_said(part).split(SEPARATOR))


class OfficialBleu1(MeanMetric):
    """The mean over the samples of BLEU of single words, by spaces and with case.

    The script takes NLTK's words where NLTK's data is installed, and silently those between spaces where it is not, as
    on a fresh machine.
    """

    name = "bleu1_official"
    variant = "/sentence@1;tokens=whitespace;references=pooled;length=closest"
    kind = Kind.TEXT

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        said, *wanted = (_said(part).split() for part in (prediction, *references))
        return (Bleu1().finish([ngram_matches(said, wanted, order=1)]) if said else 0.0), 1.0

    def value(self, prediction: Part, reference: Part) -> float:
        return self.sample(prediction, [reference])[0]


def _said(part: Part) -> str:
    return expect(part, Text).value
