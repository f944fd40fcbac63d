"""CIDEr, which weighs words by how few samples' references have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import fsum, log
from typing import TYPE_CHECKING

from echelon.adapters import Kind, Part
from echelon.scorer.metrics.labels import label_code
from echelon.scorer.metrics.metric import Metric, Stats
from echelon.scorer.metrics.text import ngrams
from echelon.scorer.metrics.tokens import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ORDER = 4
SIGMA_WORDS = 6.0
"""How much longer or shorter than a reference an answer may be: a Gaussian's sigma."""
SCALE = 10.0

ORDER_AT, CODE_AT, GIVEN_AT = range(3)


class Cider(Metric):
    """CIDEr-D, averaged over all references: Vedantam et al. 2015, as the package pycocoevalcap computes it.

    The stats are the number of references, the words of the answer and of each reference, then for each n-gram its
    length, its code, and how often the answer and each reference have it. The references of all rows decide how rare
    an n-gram is, so that a row alone scores 0.
    """

    name = "cider"
    variant = "/d@2;order=4;sigma=6;frequencies=references;tokens=whitespace;case=lower"
    kind = Kind.TEXT
    unit = ""
    range = (0.0, SCALE)

    def sample(self, prediction: Part, references: Sequence[Part]) -> Stats:
        return _row(words(prediction), [words(reference) for reference in references])

    def compare(self, prediction: Part, reference: Part) -> Stats:
        return self.sample(prediction, [reference])

    def worst(self, references: Sequence[Part]) -> Stats:
        return _row([], [words(reference) for reference in references])

    def finish(self, rows: Sequence[Stats]) -> float:
        import numpy as np

        tables = [_table(row) for row in rows]
        in_references = [table[table[:, GIVEN_AT + 1 :].any(axis=1), CODE_AT] for table in tables]
        codes, frequencies = np.unique(np.concatenate(in_references), return_counts=True)
        rarity = log(len(rows)) - np.log(frequencies)
        return fsum(
            _score(row, table, _rarity(table[:, CODE_AT], codes, rarity, unseen=log(len(rows))))
            for row, table in zip(rows, tables, strict=True)
        ) / len(rows)


def _row(given: list[str], wanted: list[list[str]]) -> Stats:
    texts = (given, *wanted)
    row = [float(len(wanted)), *(float(len(text)) for text in texts)]
    for length in range(1, ORDER + 1):
        counts = [ngrams(text, length) for text in texts]
        for gram in sum(counts, Counter()):
            row += (float(length), label_code("\n".join(gram)), *(float(count[gram]) for count in counts))
    return tuple(row)


def _table(row: Stats) -> NDArray[np.float64]:
    """A line for each n-gram of a row."""
    import numpy as np

    reference_count = int(row[0])
    return np.array(row[2 + reference_count :]).reshape(-1, GIVEN_AT + 1 + reference_count)


def _rarity(
    wanted: NDArray[np.float64], codes: NDArray[np.float64], rarity: NDArray[np.float64], *, unseen: float
) -> NDArray[np.float64]:
    """The rarity of each wanted n-gram; one that no reference has counts as if one had it."""
    import numpy as np

    if not len(codes):
        return np.full(len(wanted), unseen)
    at = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
    return np.where(codes[at] == wanted, rarity[at], unseen)


def _score(row: Stats, table: NDArray[np.float64], rarity: NDArray[np.float64]) -> float:
    import numpy as np

    reference_count, given_words = int(row[0]), row[1]
    similarity = 0.0
    for length in range(1, ORDER + 1):
        chosen = table[:, ORDER_AT] == length
        weights = table[chosen, GIVEN_AT:] * rarity[chosen, None]
        given, wanted = weights[:, :1], weights[:, 1:]
        norms = np.linalg.norm(given, axis=0) * np.linalg.norm(wanted, axis=0)
        overlap = (np.minimum(given, wanted) * wanted).sum(axis=0)
        away = given_words - np.array(row[2 : 2 + reference_count])
        close = np.exp(-(away**2) / (2 * SIGMA_WORDS**2))
        similarity += float((np.divide(overlap, norms, out=np.zeros_like(norms), where=norms > 0) * close).sum())
    return SCALE * similarity / ORDER / reference_count
