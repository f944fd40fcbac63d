"""Calls over a real Echelon server to a real HTTP server: what is asked, and what comes back."""

from __future__ import annotations
import asyncio
from typing import Any
import pytest
from echelon.adapters import Answer, Call, Image, Request, Text, Refusal
from echelon.clients import AsyncClient, Options, Retry

ONCE = Options(retry=Retry(attempts=1))


async def test_smoke(serving: Any, api: Any, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("Paris")
    model = {"name": "m", "adapter": dialect.name, "settings": dialect.settings(api.url)}
    async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:
        out = await client.ask("m", Request(Call.LANGUAGE, "Capital of France?"))
    assert out.parts == (Text("Paris"),), out
    print(api.asked[0].headers, api.asked[0].body)
    print(out)
