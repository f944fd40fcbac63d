"""A model that takes its time, by the batch or by the item."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, Request, Returned, Text


@dataclass(frozen=True)
class SlowSettings:
    """How long it takes, and how much fits into its memory."""

    batch_s: float = 0.0
    item_s: float = 0.0
    most: int = 1000


class Slow(BatchAdapter[SlowSettings]):
    """Sleeps, once for the batch and then for each of its items: so a machine that wakes it late is late for each."""

    def open(self, settings: SlowSettings) -> None:
        self._settings = settings

    def card(self) -> Card:
        return Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),))

    def probe(self, call: Call) -> Request:
        return Request(call, "warm up")

    def language(self, requests: Sequence[Request]) -> Sequence[Returned]:
        if len(requests) > self._settings.most:
            raise MemoryError
        time.sleep(self._settings.batch_s)
        for _ in requests:
            time.sleep(self._settings.item_s)
        return [Answer((Text(request.instruction),)) for request in requests]
