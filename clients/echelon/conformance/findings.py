"""What checks find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echelon.conformance.subject import Subject


class State(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of one check: `said` is what was seen, why it failed or why it was skipped; `fix` goes with failures."""

    check: str
    about: str
    state: State
    said: str
    fix: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `run` returns what it saw, or raises NotConformingError or NotApplicableError."""

    id: str
    about: str
    run: Callable[[Subject], Awaitable[str]]


class NotConformingError(Exception):
    """The model breaks what the check asks for."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


class NotApplicableError(Exception):
    """The check makes no sense for this model; the text says why."""
