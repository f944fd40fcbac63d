"""Blind answers that are texts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import isfinite

from echelon.adapters import Part, Text
from echelon.scorer.chance.candidate import Candidate, Inputs, constant
from echelon.scorer.chance.excerpts import excerpts
from echelon.scorer.chance.numbers import quantile_of
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample

PLAIN = ("", "-", "yes", "no", "Yes.", "No.", "A")
"""Answers that need no reference."""
COMMON = 6
TYPICAL = 12
"""References that are each tried as a constant: the most common ones, and some at random."""
KEPT = 64
LENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5)
"""Lengths of a text of common words, by the median reference's."""
MOST_WORDS = 400
MOST_CHARACTERS = 8192
MOST_DISTINCT = 20_000
LISTED = 400
"""References that one answer lists, for metrics that look for a reference in it."""


class TextObserver:
    """Learns the words of the references, how often they occur and follow each other, and keeps some whole."""

    def __init__(self, seeded: SeededHash, draws: int) -> None:
        self._seeded, self._draws = seeded, draws
        self._texts: Counter[str] = Counter()
        self._words: Counter[tuple[str, int]] = Counter()
        """How many references have a word at least so many times."""
        self._places: defaultdict[tuple[str, int], float] = defaultdict(float)
        """The sum of where in the text each of these stands, 0 to 1."""
        self._next: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lengths: list[int] = []
        self._kept: Reservoir[Text] = Reservoir(seeded, KEPT)
        self._inputs = Inputs(Text)

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        texts = [part for part in sample.references if isinstance(part, Text)]
        for value in dict.fromkeys(text.value for text in texts):
            beginning = value[:MOST_CHARACTERS]
            if beginning in self._texts or len(self._texts) < MOST_DISTINCT:
                self._texts[beginning] += 1
        if texts:
            self._kept.offer(sample.id, texts[0])
            self._count(units_of(texts[0].value))

    def _count(self, words: Sequence[str]) -> None:
        self._lengths.append(len(words))
        times: Counter[str] = Counter()
        before = ""
        for place, word in enumerate(words[:MOST_WORDS]):
            times[word] += 1
            self._words[word, times[word]] += 1
            self._places[word, times[word]] += place / len(words)
            self._next[before][word] += 1
            before = word

    def candidates(self) -> Iterator[Candidate]:
        for value in PLAIN:
            yield constant(f"always {value!r}", Text(value))
        yield from self._inputs.candidates()
        yield Candidate("the longest text of the input", _longest)
        yield Candidate("the instruction", lambda sample: Text(sample.instruction))
        yield from excerpts(Text)
        if not self._lengths:
            return
        median = round(quantile_of(sorted(self._lengths), 0.5))
        yield Candidate("the beginning of the input, as long as a reference", _part_of_input(median, end=False))
        yield Candidate("the end of the input, as long as a reference", _part_of_input(median, end=True))
        yield from self._references()
        yield from self._made_of_words(median)

    def _references(self) -> Iterator[Candidate]:
        common = sorted(self._texts, key=lambda text: (-self._texts[text], text))
        for value in common[:COMMON]:
            yield constant("the most common reference", Text(value))
        for source, text in self._kept.items[:TYPICAL]:
            yield constant("one reference", Text(text.value), source)
        by_length = sorted(common, key=lambda text: (len(text), text))
        yield constant("the shortest reference", Text(by_length[0]))
        yield constant("the longest reference", Text(by_length[-1]))
        numbers = sorted(number for text in common if (number := _number(text)) is not None)
        if numbers and 2 * len(numbers) >= len(common):
            yield constant("the median number", Text(f"{quantile_of(numbers, 0.5):g}"))
        yield constant("all common references in a row", Text(", ".join(common[:LISTED])[:MOST_CHARACTERS]))
        texts = [text for _, text in self._kept.items]
        for draw in range(self._draws):
            yield Candidate(f"a reference drawn at random, {draw + 1}", self._draw(texts, draw))

    def _draw(self, texts: Sequence[Text], draw: int) -> Callable[[Sample], Part]:
        return lambda sample: self._seeded.pick(texts, "draw", draw, sample.id)

    def _made_of_words(self, median: int) -> Iterator[Candidate]:
        ranked = sorted(self._words, key=lambda each: (-self._words[each], each))
        for share in LENGTHS:
            length = max(1, round(share * median))
            chosen = sorted(ranked[:length], key=lambda each: (self._places[each] / self._words[each], each))
            yield constant("the most common words", Text(_joined([word for word, _ in chosen])))
        for share in (0.5, 1.0):
            chain = _joined(self._chain(max(1, round(share * median))))
            yield constant("words that commonly follow each other", Text(chain))

    def _chain(self, length: int) -> list[str]:
        """From the most common first word on, each time the most common next one that was not used like that."""
        words: list[str] = []
        used: Counter[tuple[str, str]] = Counter()
        before = ""
        while len(words) < length and self._next.get(before):
            following = self._next[before]
            word = max(following, key=lambda each: (following[each] / (1 + used[before, each]) ** 2, each))
            used[before, word] += 1
            words.append(word)
            before = word
        return words


def units_of(text: str) -> list[str]:
    """The words of a text in lower case; its characters where it is written without spaces."""
    words = text.casefold().split()
    return [letter for word in words for letter in word] if any(len(word) > 40 for word in words) else words


def _joined(words: Sequence[str]) -> str:
    together = all(len(word) == 1 for word in words) and not "".join(words).isascii()
    return ("" if together else " ").join(words)


def _texts_of(sample: Sample) -> list[str]:
    return [part.value for part in sample.parts if isinstance(part, Text)]


def _longest(sample: Sample) -> Part | None:
    texts = _texts_of(sample)
    return Text(max(texts, key=len)) if texts else None


def _part_of_input(length: int, *, end: bool) -> Callable[[Sample], Part | None]:
    def answer(sample: Sample) -> Part | None:
        texts = _texts_of(sample) or [sample.instruction]
        words = max(texts, key=len).split()
        return Text(" ".join(words[-length:] if end else words[:length])) if length else None

    return answer


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None
