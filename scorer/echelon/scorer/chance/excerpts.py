"""Blind answers that repeat a word of the question, or the option at a certain place, whatever it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

from echelon.adapters import Choice, Part, Text
from echelon.scorer.chance.candidate import Candidate
from echelon.scorer.suites.suite import Sample

MOST_OPTIONS = 5
LONGEST = 4096
"""Characters at the end of a question in which options are looked for."""
_BETWEEN = re.compile(r"[,;:?!|\n]|(?:^|(?<=\s))\(?[A-Za-z0-9][.)](?=\s)")
"""What separates options: punctuation, line ends, and markers such as "(b)" and "2."."""
_EDGES = " \t\r.,;:?!|()[]\"'"


def excerpts(answer: Callable[[str], Part]) -> Iterator[Candidate]:
    """The words and options that stand at certain places of the instruction and of the input's longest text."""
    for place in range(MOST_OPTIONS):
        yield Candidate(f"option {place + 1}", partial(_picked, answer, _options, place))
        yield Candidate(f"option {place + 1} from the end", partial(_picked, answer, _options, -1 - place))
    for name, source in (("instruction", _instruction), ("input", _longest_text)):
        for place in range(MOST_OPTIONS):
            picked = partial(_picked, answer, partial(_items, source), -1 - place)
            yield Candidate(f"item {place + 1} from the end of the {name}", picked)
        for end, place in (("first", 0), ("last", -1)):
            yield Candidate(f"the {end} word of the {name}", partial(_picked, answer, partial(_words, source), place))


def _picked(
    answer: Callable[[str], Part], found_in: Callable[[Sample], Sequence[str]], place: int, sample: Sample
) -> Part | None:
    found = found_in(sample)
    return answer(found[place]) if -len(found) <= place < len(found) else None


def _options(sample: Sample) -> Sequence[str]:
    """The labels of the first choice that the input offers."""
    offered = next((part for part in sample.parts if isinstance(part, Choice)), None)
    return [scored.label for scored in offered.labels if scored.label] if offered is not None else []


def _items(source: Callable[[Sample], str], sample: Sample) -> Sequence[str]:
    return _split(source(sample)[-LONGEST:])


@lru_cache(maxsize=16)
def _split(text: str) -> Sequence[str]:
    return [item for piece in _BETWEEN.split(text) if (item := piece.strip(_EDGES))]


def _words(source: Callable[[Sample], str], sample: Sample) -> Sequence[str]:
    """The first and the last word."""
    text = source(sample)
    ends = [*text[:LONGEST].split(maxsplit=1)[:1], *text[-LONGEST:].rsplit(maxsplit=1)[-1:]]
    return [word for end in ends if (word := end.strip(_EDGES))]


def _instruction(sample: Sample) -> str:
    return sample.instruction


def _longest_text(sample: Sample) -> str:
    return max((part.value for part in sample.parts if isinstance(part, Text)), key=len, default="")
