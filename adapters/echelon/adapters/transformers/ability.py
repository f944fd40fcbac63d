"""What a checkpoint can do, as the adapter asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from echelon.adapters.calls import Call, Outcome, Request, Returned
    from echelon.adapters.card import CallSupport


class Ability(Protocol):
    """Answers the requests of some calls."""

    @property
    def supports(self) -> Sequence[CallSupport]:
        """The calls, with the kinds that the checkpoint really takes and gives and the settings allow."""
        ...

    def probe(self, call: Call) -> Request | None:
        """A typical request, None to do without."""
        ...

    def answer(self, requests: Sequence[Request]) -> list[Returned]:
        """An outcome for each request."""
        ...

    def stream(self, request: Request) -> Iterator[str | Outcome] | None:
        """The answer's text in pieces and then the answer, None for one that is not written piece by piece."""
        ...
