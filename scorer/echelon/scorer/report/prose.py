"""Other people's text, made harmless to read: what is invisible is named, what is too long is cut."""

from __future__ import annotations

import re

MAX_CHARACTERS = 800
"""Characters of one text in the page."""

# Control characters, marks that turn the reading direction, and lone surrogates.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with a name, like [U+202E], in place of every character that would act instead of showing."""
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text.replace("\r\n", "\n"))


def clipped(text: str, limit: int = MAX_CHARACTERS) -> str:
    """The text's beginning, with a note of what was cut."""
    if len(text) <= limit:
        return visible(text)
    return f"{visible(text[:limit])} … ({len(text):,} characters, the first {limit:,} are shown)"


def line(text: str, limit: int = 60) -> str:
    """The text's beginning on one line, for a terminal."""
    flat = visible(" ".join(text[: 4 * limit].split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
