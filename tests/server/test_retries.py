"""Request ids: asking again is harmless."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Answer, Call, Request, Text, errors
from echelon.clients import AsyncClient, Options, Pipeline, Retry

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))


def said(instruction: str, *parts: Any, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, **more)


def words_of(outcome: Any) -> str:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


async def diary(client: AsyncClient) -> list[str]:
    batches = json.loads(words_of(await client.ask("parrot", said("diary"))))
    return [word for batch in batches for word in batch if word != "diary"]


def gated(tmp_path: Path) -> list[dict[str, Any]]:
    return [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]


async def test_the_same_id_and_body_get_the_same_outcome_without_the_model(serving: Serving) -> None:
    async with serving() as server:
        outcomes = []
        for lane in range(4):
            async with AsyncClient(server.listener.address) as client, Pipeline(client) as pipeline:
                asker: Any = pipeline if lane % 2 else client
                outcomes.append(await asker.ask("parrot", said("once", id="a"), timeout_s=10 + lane))
        assert outcomes == [outcomes[0]] * 4
        async with AsyncClient(server.listener.address) as client:
            assert await diary(client) == ["once"]


async def test_copies_at_the_same_time_share_one_answer(serving: Serving, tmp_path: Path, until: Any) -> None:
    async with serving(gated(tmp_path)) as server, AsyncClient(server.listener.address) as client:
        async with Pipeline(client) as pipeline:
            askers: list[Any] = [client, pipeline, client, pipeline]
            asked = [asyncio.create_task(asker.ask("parrot", said("wait", id="a"))) for asker in askers]
            await until(lambda: server.listener.admission.calls == 4)
            (tmp_path / "gate").touch()
            assert [words_of(outcome) for outcome in await asyncio.gather(*asked)] == ["wait"] * 4
        assert await diary(client) == ["wait"]


@pytest.mark.parametrize("held", [True, False], ids=["while it runs", "once it is done"])
async def test_another_body_under_an_id_is_refused(serving: Serving, tmp_path: Path, until: Any, held: bool) -> None:
    async with serving(gated(tmp_path)) as server, AsyncClient(server.listener.address) as client:
        first = asyncio.create_task(client.ask("parrot", said("wait", id="a")))
        await until(lambda: server.listener.admission.calls)
        if not held:
            (tmp_path / "gate").touch()
            await first
        for other in (said("another", id="a"), Request(Call.GENERATE, "wait", id="a")):
            with pytest.raises(errors.InvalidInputError, match="was used before with another body") as caught:
                await client.ask("parrot", other)
            assert caught.value.violations == (("request_id", "already used with another body"),)
        (tmp_path / "gate").touch()
        await first


async def test_when_the_first_of_many_copies_gives_up_one_other_asks(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    async with serving(gated(tmp_path)) as server, AsyncClient(server.listener.address) as client:
        first = asyncio.create_task(client.ask("parrot", said("wait", id="a")))
        await until(lambda: server.listener.admission.calls == 1)
        others = [asyncio.create_task(client.ask("parrot", said("wait", id="a"))) for _ in range(3)]
        await until(lambda: server.listener.admission.calls == 4)
        first.cancel()
        await until(lambda: server.listener.admission.calls == 3)
        (tmp_path / "gate").touch()
        assert [words_of(outcome) for outcome in await asyncio.gather(*others)] == ["wait"] * 3
        assert await diary(client) == ["wait", "wait"]


async def test_a_copy_that_waits_for_another_still_has_its_own_budget(serving: Serving, tmp_path: Path) -> None:
    async with serving(gated(tmp_path)) as server, AsyncClient(server.listener.address) as client:
        first = asyncio.create_task(client.ask("parrot", said("wait", id="a")))
        async with Pipeline(client) as pipeline:
            started = time.monotonic()
            with pytest.raises(errors.BudgetExceededError):
                await pipeline.ask("parrot", said("wait", id="a"), timeout_s=0.1)
            assert time.monotonic() - started < 2
        (tmp_path / "gate").touch()
        assert words_of(await first) == "wait"


async def test_a_failure_is_not_remembered(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address, ONCE) as client:
        for _ in range(2):
            with pytest.raises(errors.BackendError):
                await client.ask("parrot", said("backend", id="a"))
        assert await diary(client) == ["backend", "backend"]


async def test_a_refused_message_leaves_its_id_free(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        with pytest.raises(errors.ModelNotFoundError):
            await client.ask("nobody", said("x", id="a"))
        assert words_of(await client.ask("parrot", said("x", id="a"))) == "x"


@pytest.mark.parametrize("limits", [{"remembered_calls": 2}, {"remembered_bytes": 100}], ids=["calls", "bytes"])
async def test_the_oldest_outcomes_are_forgotten_first(serving: Serving, limits: dict[str, int]) -> None:
    async with serving(limits=limits) as server, AsyncClient(server.listener.address) as client:
        for name in ("a", "b", "c", "c", "a"):
            await client.ask("parrot", said(name * 20, id=name))
        assert [word[0] for word in await diary(client)] == ["a", "b", "c", "a"]


async def test_a_client_that_is_told_to_come_back_uses_the_same_id(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    async with (
        serving(gated(tmp_path), limits={"calls": 1}) as server,
        AsyncClient(server.listener.address, Options(retry=Retry(attempts=50, first_delay_s=0.01))) as client,
    ):
        first = asyncio.create_task(client.ask("parrot", said("wait")))
        await until(lambda: server.listener.admission.calls == 1)
        second = asyncio.create_task(client.ask("parrot", said("second")))
        await asyncio.sleep(0.05)
        (tmp_path / "gate").touch()
        assert [words_of(await first), words_of(await second)] == ["wait", "second"]
        assert await diary(client) == ["wait", "second"]
