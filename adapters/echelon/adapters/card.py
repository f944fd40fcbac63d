"""What a model says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echelon.adapters.calls import Call
    from echelon.adapters.content import Kind


class Composition(StrEnum):
    """What stands behind a model's name."""

    UNVERIFIED = "unverified"
    SINGLE = "single"
    ENSEMBLE = "ensemble"
    DISPATCHER = "dispatcher"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class CallSupport:
    """The kinds that one call takes and gives."""

    call: Call
    input_kinds: tuple[Kind, ...]
    output_kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A model's card; the server fills in `name` and `max_batch_size`."""

    version: str
    calls: tuple[CallSupport, ...]
    description: str = ""
    deterministic: bool = False
    weights_digest: str = ""
    """ "sha256:" and 64 hex digits, empty where undeclared."""
    engine: str = ""
    precision: str = ""
    device: str = ""
    frame_sampling: str = ""
    composition: Composition = Composition.UNVERIFIED
    name: str = ""
    max_batch_size: int = 1

    def support(self, call: Call) -> CallSupport | None:
        """What the card says of `call`, None where it is not supported."""
        for support in self.calls:
            if support.call is call:
                return support
        return None
