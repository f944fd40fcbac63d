"""Text as numbers: 0 ends a text, 1 is unknown, what is known begins at 2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from echelon.adapters.networks.files import Folder

FIRST = 2


@dataclass(frozen=True, slots=True)
class TokenForm:
    """How text is cut, and the file with one token a line; bytes need none."""

    by: Literal["byte", "word", "character"]
    vocabulary: str | None = None

    def __post_init__(self) -> None:
        if (self.by == "byte") != (self.vocabulary is None):
            needed = "no 'vocabulary'" if self.by == "byte" else "a 'vocabulary'"
            raise ValueError(f"tokens by {self.by} take {needed}")


class Tokens:
    """Turns text into numbers and back; words are runs of letters and digits in lower case."""

    def __init__(self, form: TokenForm, folder: Folder) -> None:
        self._by = form.by
        self._known = folder.lines(form.vocabulary) if form.vocabulary is not None else []
        self._numbers = {token: number for number, token in enumerate(self._known, FIRST)}

    def encode(self, text: str) -> list[int]:
        """The number of each token."""
        if self._by == "byte":
            return [byte + FIRST for byte in text.encode("utf-8", "replace")]
        tokens = re.findall(r"\w+", text.lower()) if self._by == "word" else text
        return [self._numbers.get(token, 1) for token in tokens]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text up to the first 0; what is unknown is left out."""
        places = []
        for number in numbers:
            if number == 0:
                break
            places.append(number - FIRST)
        if self._by == "byte":
            return bytes(place for place in places if 0 <= place < 256).decode("utf-8", "replace")
        between = " " if self._by == "word" else ""
        return between.join(self._known[place] for place in places if 0 <= place < len(self._known))
