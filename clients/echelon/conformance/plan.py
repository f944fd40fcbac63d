"""What is to be checked, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from echelon.adapters.calls import Request
    from echelon.clients.options import Options


@dataclass(frozen=True)
class Conformance:
    """An installed adapter by its name, or a served model as HOST:PORT/MODEL, and how it is to be checked.

    At the top of a test module, under any name, it becomes one test for each check.
    """

    target: str
    settings: Mapping[str, Any] | Path | None = None
    """Of the adapter, or a YAML file with them; of a served model, none. Paths count from the current folder, those in
    a file from the file's."""
    requests: tuple[Request, ...] = ()
    """Requests that the model answers, for one that answers none of those that the kit makes up."""
    tolerance: float = 0.0
    """How far numbers may be apart, relative to their size, where calls run together; 0 wants the same bits."""
    timeout_s: float = 60.0
    """For one call."""
    isolation: Literal["inproc", "subprocess"] | None = None
    """Where an adapter runs; left out, where a server would put it."""
    options: Options | None = None
    """How to connect to a served model; a call is never tried again, whatever they say."""

    @property
    def is_served(self) -> bool:
        """Whether the target is a model on a running server."""
        return "/" in self.target
