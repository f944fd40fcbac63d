"""A model that does not open, or says too much of itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from echelon.adapters import BatchAdapter, Call, CallSupport, Card, Kind, Request, Returned, Text


@dataclass(frozen=True)
class ClosedSettings:
    """How it goes wrong."""

    raises: bool = True
    description: str = ""


class Closed(BatchAdapter[ClosedSettings]):
    """Fails when it opens, unless told otherwise."""

    def open(self, settings: ClosedSettings) -> None:
        if settings.raises:
            raise SystemExit("weights not found")
        self._description = settings.description

    def card(self) -> Card:
        support = CallSupport(Call.COMPREHEND, (Kind.TEXT,), (Kind.TEXT,))
        return Card("1", (support,), description=self._description)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return [self.answer() for _ in requests]

    def answer(self) -> Returned:
        from echelon.adapters import Answer

        return Answer((Text("open after all"),))
