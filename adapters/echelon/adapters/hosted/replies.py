"""What hosted APIs reply, in one form for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from echelon.adapters.calls import FinishReason


@dataclass(frozen=True, slots=True)
class Tokens:
    """How many tokens a reply took; the cached ones are part of the input."""

    input: int = 0
    output: int = 0
    cached_input: int = 0


NO_TOKENS = Tokens()


@dataclass(frozen=True, slots=True)
class Reply:
    """What an API said; `refused` is a word for why it would not, None where it did not refuse."""

    text: str = ""
    tokens: Tokens = NO_TOKENS
    finish: FinishReason = FinishReason.COMPLETE
    refused: str | None = None


def count(usage: Any, name: str) -> int:
    """What a reply counts under `name`; 0 where it counts nothing of the sort, as many servers do."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value > 0 else 0
