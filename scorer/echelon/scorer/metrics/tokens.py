"""Cuts texts into the tokens that metrics compare, in lower case.

Lower case is Python's, as in the reference implementations: "ß" stays apart from "ss". There is no Unicode
normalisation, so full width letters and decomposed accents differ from their plain forms, as they do there.
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import lru_cache

from echelon.adapters import Part, Text
from echelon.scorer.metrics.metric import expect

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)

_EAST_ASIAN = (
    "\u1100-\u11ff"  # Hangul letters
    "\u2e80-\u2fff"  # radicals of ideographs
    "\u3000-\u303f"  # punctuation
    "\u3040-\u33ff"  # kana, Bopomofo, more Hangul letters, enclosed and squared characters
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # ideographs
    "\ua960-\ua97f\uac00-\ud7ff"  # Hangul syllables and letters
    "\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef"  # vertical, full width and half width forms
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # more kana, more ideographs
)
_ALONE = re.compile(f"([{_EAST_ASIAN}\u2010-\u2027\u2030-\u205e])")
"""Characters that are tokens by themselves: those of Chinese, Japanese and Korean, and typographic punctuation."""
_EACH = re.compile(f"([{_EAST_ASIAN}])")


def words(part: Part) -> list[str]:
    """Return what stands between spaces."""
    return _lower(part).split()


def characters(part: Part) -> list[str]:
    """Return every Chinese, Japanese or Korean character by itself, and otherwise what stands between spaces.

    A run of Latin letters or digits stays one token, as with sacrebleu's tokenizer `zh`.
    """
    return _ALONE.sub(r" \1 ", _lower(part)).split()


def letters(part: Part) -> list[str]:
    """Return every character, spaces within the text included, as jiwer's character error rate has them."""
    return list(_lower(part).strip())


def squad_words(part: Part) -> list[str]:
    """Return the words without ASCII punctuation and English articles: Rajpurkar et al. 2016."""
    return ARTICLES.sub(" ", _lower(part).translate(PUNCTUATION)).split()


def squad_characters(part: Part) -> list[str]:
    """Return the `characters` without any punctuation and without English articles."""
    kept = "".join(each for each in _lower(part) if not _is_punctuation(each))
    return [token for token in _ALONE.sub(r" \1 ", kept).split() if not ARTICLES.fullmatch(token)]


class PlainTokens:
    """A tokenizer for rouge-score: words of any script, East Asian characters by themselves.

    A word is a run of letters, digits and the marks that belong to them, such as the vowels of Hindi and Thai.
    """

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return _EACH.sub(r" \1 ", "".join(each if _is_in_a_word(each) else " " for each in text.lower())).split()


def _lower(part: Part) -> str:
    return expect(part, Text).value.lower()


@lru_cache(maxsize=4096)
def _is_in_a_word(character: str) -> bool:
    if _EACH.match(character):
        return not _is_punctuation(character)
    return unicodedata.category(character)[0] in "LMN"


@lru_cache(maxsize=4096)
def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
