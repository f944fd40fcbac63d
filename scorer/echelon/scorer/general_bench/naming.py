"""How names of General-Bench are compared: tasks are written in many ways, in folders, annotations and sheets."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

_RESIDUE = re.compile(r"\((?=[^)]*(?:[\u3400-\u9fff]|\?\?))[^)]*\)")
"""Notes of the editors that stayed in some names: brackets with Chinese text or question marks in them."""
_NEAR = 0.75


def key(name: str) -> str:
    """What stays of a name when case, spaces, dashes, full-width forms and editors' notes are put aside."""
    return "".join(letter for letter in _cleaned(name).casefold() if letter.isalnum())


def slug(name: str) -> str:
    """A name in lower case letters, digits and dashes."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", _cleaned(name))
    return "-".join(re.findall(r"[a-z0-9]+", spaced.casefold()))


def _cleaned(name: str) -> str:
    return _RESIDUE.sub("", unicodedata.normalize("NFKC", name))


def near_misses(name: str, known: Iterable[str]) -> list[str]:
    """The names among `known` that look most like `name`, best first, three at most."""
    by_key = {key(each): each for each in known}
    return [by_key[close] for close in difflib.get_close_matches(key(name), by_key, n=3, cutoff=_NEAR)]
