"""The acceptable answers of an item, as the metric of its task takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from echelon.adapters import Kind
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.extract import EXTRACTORS
from echelon.scorer.general_bench.values import Finder, Line, decoded_line, is_array, is_medium, line_of, plain_text
from echelon.scorer.reading import folded, terms_of
from echelon.scorer.suites.lines import ChoiceLine, TextLine
from echelon.scorer.suites.suite import Task


def reference_lines(answers: Sequence[Any], task: Task, finder: Finder) -> tuple[Line, ...]:
    """The answers of one item, each of which would be right; InvalidSuiteError for one that the metric cannot take."""
    kind = EXTRACTORS[task.extractor].kind
    if kind not in (Kind.CHOICE, Kind.TEXT):
        return tuple(line_of(answer, kind, finder) for answer in answers)
    # A list is alternatives, but where sets are wanted: there it is one set.
    words = [word for answer in answers for word in (answer if isinstance(answer, list) else [answer])]
    if task.extractor == "terms":
        return (ChoiceLine(tuple(dict.fromkeys(term for word in words for term in terms_of(plain_text(word))))),)
    return tuple(_word(word, task, finder) for word in words)


def shown_lines(answers: Sequence[Any], prompt: str, finder: Finder) -> tuple[Line, ...]:
    """What a metric looks at that compares answers with prompts: pictures or words, the prompt itself at least."""
    return tuple(
        decoded_line(each, finder) if is_medium(each) else TextLine(plain_text(each)) for each in answers or [prompt]
    )


def reading_lines(answers: Sequence[Any], kind: Kind, task: Task, finder: Finder) -> tuple[Line, ...]:
    """What should be read from an answer, as a part of `kind`, or media like the answer; a list is alternatives.

    A file of numbers is a series.
    """
    medium = EXTRACTORS[task.extractor].kind
    words = [word for answer in answers for word in (answer if isinstance(answer, list) else [answer])]
    return tuple(line_of(word, medium if is_medium(word) and not is_array(word) else kind, finder) for word in words)


def _word(word: Any, task: Task, finder: Finder) -> Line:
    match task.extractor:
        case "term":
            return line_of(folded(str(word)), Kind.CHOICE, finder)
        case "label":
            label = next((label for label in task.labels if folded(label) == folded(str(word))), None)
            if label is None:
                raise InvalidSuiteError(f"the answer {word!r} is none of {', '.join(task.labels[:26])}")
            return ChoiceLine((label,))
    return line_of(word, EXTRACTORS[task.extractor].kind, finder)
