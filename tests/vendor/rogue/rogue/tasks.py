"""An async model that does its deeds on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from echelon.adapters import (
    Answer,
    AsyncAdapter,
    Call,
    CallSupport,
    Card,
    Kind,
    NoSettings,
    Outcome,
    Part,
    Request,
    Text,
)

from .deeds import do


class RogueTasks(AsyncAdapter[NoSettings]):
    """Does what it is told, many things at once."""

    def card(self) -> Card:
        kinds = (Kind.TEXT,)
        return Card("1", (CallSupport(Call.LANGUAGE, kinds, kinds), CallSupport(Call.GENERATE, kinds, kinds)))

    async def ready(self) -> bool:
        return self._is_well

    def open(self, settings: NoSettings) -> None:
        self._is_well = True

    async def language(self, request: Request) -> Outcome:
        word, _, seconds = request.instruction.partition(" after ")
        await asyncio.sleep(float(seconds or 0))
        self._is_well = word != "unwell"
        return Answer((Text(do(word)),))

    def stream_generate(self, request: Request) -> AsyncIterator[Part] | None:
        return self._parts(request)

    async def generate(self, request: Request) -> Outcome:
        return Answer((Text("at once"),))

    async def _parts(self, request: Request) -> AsyncIterator[Part]:
        for number in range(40):
            yield Text(str(number))
        do(request.instruction)
