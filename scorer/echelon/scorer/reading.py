"""Reads a label, a number or plain words out of a text.

Everything is linear in the text, whatever it holds: patterns never backtrack, and long text is read only at its end,
where answers stand.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import TypeAlias

LONGEST = 16_384
"""Characters of a text that are read for a label or a number."""

ARTICLES = frozenset({"a", "an", "the"})
DENIALS = frozenset({"not", "no", "nor", "neither", "never", "isn't", "wasn't", "aren't"})

CONCLUSION = re.compile(r"\banswer(?:\s++is\b(?!\s++not\b)|:)", re.IGNORECASE)
PIECE = re.compile(r"\S{1,256}+|\s++")
TERM_BREAK = re.compile(r"[,;\n]|<p>")
WORD = re.compile(r"[\w']++")
OPTION = re.compile(r"\(?([A-Za-z])(?:\)|[.:](?!\S)|$)")
NUMBER = re.compile(
    r"""(?<!\w)                                 # not inside a word
    [-+]?+                                      # a sign; a dash between numbers fails the line before
    (?:\d{1,3}+(?:,\d{3}(?!\d))++ | \d++ | (?=\.\d))   # with thousands separators, without, or nothing
    (?:\.\d++)?+ (?:[eE][-+]?\d{1,3}+)?+""",
    re.VERBOSE | re.ASCII,
)

Tokens: TypeAlias = tuple[str, ...]


class UnreadableError(ValueError):
    """The text says nothing of the wanted sort, or more than one thing."""


def label_in(text: str, labels: tuple[str, ...]) -> str:
    """The one of `labels` that the text names; without labels the text itself, or what "the answer is"."""
    text = text[-LONGEST:].strip()
    conclusion = _conclusion(text)
    if not labels:
        return _open_answer(conclusion or text)
    for said in (text, conclusion):
        label = same_label(said, labels) or _option(said, labels)
        if label is not None:
            return label
    mentioned = _mentions(conclusion, labels) or _mentions(text, labels)
    if len(mentioned) != 1 or None in mentioned:
        raise UnreadableError(_complaint(text, mentioned))
    return next(label for label in mentioned if label is not None)


def same_label(said: str, labels: tuple[str, ...]) -> str | None:
    """The label that `said` is, but for case, spaces and punctuation; exact spelling goes first."""
    if said in labels:
        return said
    return _by_tokens(labels).get(_tokens(said))


def number_in(text: str) -> float:
    """The number that "the answer is", else the last one in the text."""
    text = text[-LONGEST:].replace("\N{MINUS SIGN}", "-")
    numbers = _numbers(_conclusion(text))[:1] or _numbers(text)[-1:]
    if not numbers:
        raise UnreadableError(f"no number in {shortened(text)}")
    return numbers[0]


def words_of(text: str) -> str:
    """The text in lower case, without punctuation, single-spaced."""
    return " ".join(_tokens(text))


def folded(text: str) -> str:
    """A label of an open vocabulary, so that case, spaces and quotation marks around it do not matter."""
    normal = "".join(unicodedata.normalize("NFKC", piece) for piece in PIECE.findall(text))
    return " ".join(normal.casefold().split()).strip(string.whitespace + "\"'`*").removesuffix(".")


def terms_of(text: str) -> tuple[str, ...]:
    """The labels of an open vocabulary that a text lists, between commas, semicolons, lines or `<p>`."""
    terms = (folded(piece) for piece in TERM_BREAK.split(text[-LONGEST:]))
    return tuple(dict.fromkeys(term for term in terms if term))


def shortened(text: str) -> str:
    """A quotation for a message."""
    return repr(text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}")


def _conclusion(text: str) -> str:
    """What stands behind the last "answer is" or "answer:" on its line, empty where there is none."""
    end = max((found.end() for found in CONCLUSION.finditer(text)), default=None)
    line = "" if end is None else text[end:].lstrip(" :*").partition("\n")[0]
    return line.strip(string.whitespace + "\"'`*").removesuffix(".")


def _open_answer(said: str) -> str:
    if not said:
        raise UnreadableError("the answer is empty")
    return said


def _tokens(text: str) -> Tokens:
    # Normalising takes the square of a run of accents, hence word by word and never much at once.
    normal = "".join(unicodedata.normalize("NFKC", piece) for piece in PIECE.findall(text))
    folded = normal.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    stripped = (word.strip("'") for word in WORD.findall(folded))
    return tuple(word for word in stripped if word)


def _option(said: str, labels: tuple[str, ...]) -> str | None:
    """The label that an option letter is, or stands for where letters cannot be labels themselves."""
    found = OPTION.match(said)
    if found is None or len(labels) > len(string.ascii_uppercase):
        return None
    if any(len(label) == 1 for label in labels):
        return same_label(found[1], labels)
    index = string.ascii_uppercase.index(found[1].upper())
    return labels[index] if index < len(labels) else None


def _mentions(text: str, labels: tuple[str, ...]) -> set[str | None]:
    """The labels that occur in the text as whole words, longest first; None for one that is denied."""
    tokens, starts = _tokens(text), _by_first_token(labels)
    found: set[str | None] = set()
    at = 0
    while at < len(tokens):
        label = next((label for label in starts.get(tokens[at], ()) if tokens[at : at + len(label)] == label), None)
        if label is not None:
            found.add(None if _denied(tokens, at) else _by_tokens(labels)[label])
        at += len(label) if label else 1
    return found


@lru_cache(maxsize=64)
def _by_tokens(labels: tuple[str, ...]) -> Mapping[Tokens, str]:
    """Labels by their words; those that differ only in case or punctuation are left out."""
    readings = [(_tokens(label), label) for label in labels]
    alike = Counter(tokens for tokens, _ in readings)
    return {tokens: label for tokens, label in readings if tokens and alike[tokens] == 1}


@lru_cache(maxsize=64)
def _by_first_token(labels: tuple[str, ...]) -> Mapping[str, list[Tokens]]:
    """The words of labels by how they begin, longest first."""
    starts: dict[str, list[Tokens]] = {}
    for tokens in sorted(_by_tokens(labels), key=len, reverse=True):
        starts.setdefault(tokens[0], []).append(tokens)
    return starts


def _denied(tokens: Tokens, at: int) -> bool:
    before = at - 2 if at >= 2 and tokens[at - 1] in ARTICLES else at - 1
    return before >= 0 and tokens[before] in DENIALS


def _complaint(text: str, mentioned: set[str | None]) -> str:
    if not mentioned:
        return f"none of the task's labels in {shortened(text)}"
    if None in mentioned:
        return f"a label is denied, so it is unclear which one is meant in {shortened(text)}"
    return f"{len(mentioned)} of the task's labels in {shortened(text)}"


def _numbers(text: str) -> list[float]:
    values = (float(found[0].replace(",", "")) for found in NUMBER.finditer(text))
    return [value for value in values if isfinite(value)]
