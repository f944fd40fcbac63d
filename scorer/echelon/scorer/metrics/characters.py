"""Metrics of text in Chinese, Japanese and Korean, where a character counts as a word; and the character error rate.

ROUGE of that kind is `rouge1_plain` and `rouge_l_plain`.
"""

from __future__ import annotations

from echelon.adapters import Part
from echelon.scorer.metrics.text import Bleu1, Bleu4, TokenF1, WordErrorRate
from echelon.scorer.metrics.tokens import characters, letters, squad_characters

_BLEU = "/corpus@1;tokens=characters;case=lower;references=pooled;length=closest"


class CharacterErrorRate(WordErrorRate):
    """Character edits by reference characters, over all samples; the stats are (edits, reference characters).

    Spaces within a text are characters, those around it are not, as in jiwer. A sample has at most as many edits as its
    reference has characters.
    """

    name = "cer"
    variant = "/corpus@1;tokens=every-character;spaces=kept;case=lower;cap=1"

    def tokens(self, part: Part) -> list[str]:
        return letters(part)


class CharactersErrorRate(WordErrorRate):
    """Word edits by reference words, over all samples, where a Chinese, Japanese or Korean character is a word."""

    name = "wer_characters"
    variant = "/corpus@1;tokens=characters;case=lower;cap=1"

    def tokens(self, part: Part) -> list[str]:
        return characters(part)


class CharactersBleu1(Bleu1):
    """Corpus BLEU of single words, where a Chinese, Japanese or Korean character is a word."""

    name = "bleu1_characters"
    variant = _BLEU

    def tokens(self, part: Part) -> list[str]:
        return characters(part)


class CharactersBleu4(Bleu4):
    """Corpus BLEU of up to four words, where a Chinese, Japanese or Korean character is a word."""

    name = "bleu4_characters"
    variant = _BLEU

    def tokens(self, part: Part) -> list[str]:
        return characters(part)


class CharactersF1(TokenF1):
    """The mean F1 of an answer's words with those of the best reference, without punctuation of any script.

    A Chinese, Japanese or Korean character is a word.
    """

    name = "token_f1_characters"
    variant = "@1;normalise=squad;punctuation=unicode;tokens=characters;words=multiset"

    def tokens(self, part: Part) -> list[str]:
        return squad_characters(part)
