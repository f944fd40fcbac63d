"""What a model's text says, as the kind that was asked for."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from echelon.adapters.content import Json, Number
from echelon.adapters.errors import OutputInvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = re.compile(r"(?<![\w.])[-+\N{MINUS SIGN}]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?(?![\w])")
LONGEST = 100_000
"""Characters of a text that are looked at, from its end."""


def number_in(text: str) -> Number:
    """The last number of a text; models put their result last."""
    found = NUMBER.findall(text[-LONGEST:])
    if not found:
        raise OutputInvalidError(f"the model's text holds no number: {_shortened(text)}")
    return Number(float(found[-1].replace(",", "").replace("\N{MINUS SIGN}", "-")))


def json_in(text: str) -> Json:
    """The first JSON object or list of a text, whatever stands around it."""
    for start in _openings(text[-LONGEST:]):
        try:
            _, length = json.JSONDecoder().raw_decode(start)
        except (ValueError, RecursionError):
            continue
        return Json(start[:length])
    raise OutputInvalidError(f"the model's text holds no JSON: {_shortened(text)}")


def _openings(text: str) -> Iterator[str]:
    """The text from each bracket on, at most a few: what follows many broken ones is not meant."""
    places = [match.start() for match in re.finditer(r"[{\[]", text)]
    return (text[place:] for place in places[:32])


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= 80 else flat[:77] + "...")
