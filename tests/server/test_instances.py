"""Several copies of one adapter behind one model's queue, each on its device."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from echelon.adapters import Answer, Call, Request, Text, errors
from echelon.adapters.settings import load
from echelon.clients import AsyncClient, Options, Retry
from echelon.server.config import ServerConfig

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))
ROGUE = {"name": "rogue", "adapter": "rogue", "max_batch_size": 1}
TASKS = {"name": "rogue", "adapter": "rogue-async"}
BOTH = pytest.mark.parametrize("model", [ROGUE, TASKS], ids=["batch", "async"])


async def tell(client: AsyncClient, instruction: str, **more: Any) -> str:
    outcome = await client.ask("rogue", Request(Call.LANGUAGE, instruction), **more)
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


async def all_of(client: AsyncClient, instruction: str, count: int) -> set[str]:
    """What `count` instances say, asked until each has had a turn."""
    said: set[str] = set()
    while len(said) < count:
        said |= set(await asyncio.gather(*(tell(client, instruction) for _ in range(4 * count))))
    return said


@BOTH
async def test_each_instance_is_a_process_and_has_its_share(serving: Serving, model: dict[str, Any]) -> None:
    async with serving([{**model, "instances": 3}]) as server, AsyncClient(server.listener.address) as client:
        assert len(await all_of(client, "pid", 3)) == 3


@BOTH
async def test_while_one_instance_is_away_the_others_answer(serving: Serving, model: dict[str, Any]) -> None:
    models = [{**model, "instances": 2}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        before = await all_of(client, "pid", 2)
        with pytest.raises(errors.AdapterCrashedError):
            await tell(client, "segfault")
        # Never away as a whole.
        during = {await tell(client, "pid") for _ in range(20)}
        assert during & before
        while len(after := await all_of(client, "pid", 2)) < 2 or after == before:
            pass
        assert len(after & before) == 1


@BOTH
async def test_an_instance_that_hangs_keeps_nobody_waiting(serving: Serving, model: dict[str, Any]) -> None:
    models = [{**model, "instances": 2}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        hanging = asyncio.create_task(tell(client, "hang", timeout_s=30.0))
        await asyncio.sleep(0.1)
        if model is ROGUE:
            assert len({await tell(client, "pid") for _ in range(20)}) == 1
        else:
            # An async adapter that blocks its loop holds what it was given already, and gets nothing more.
            assert await tell(client, "pid")
        hanging.cancel()
        with suppress(asyncio.CancelledError):
            await hanging


async def test_each_process_sees_its_own_device(serving: Serving) -> None:
    models = [{**ROGUE, "devices": [0, 3], "instances": 2}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        pids = await all_of(client, "pid", 4)
        environments = await asyncio.gather(*(tell(client, "environment") for _ in range(40)))
    assert len(pids) == 4
    assert {json.loads(each)["CUDA_VISIBLE_DEVICES"] for each in environments} == {"0", "3"}


async def test_inside_the_server_each_instance_is_told_its_device(serving: Serving) -> None:
    models = [{**ROGUE, "isolation": "inproc", "devices": [0, 1]}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        assert await all_of(client, "device", 2) == {"cuda:0", "cuda:1"}


async def test_one_instance_that_does_not_open_fails_the_model(serving: Serving) -> None:
    models = [{**ROGUE, "instances": 2, "settings": {"opens_with": "os._exit"}}]
    async with serving(models, loads=False) as server:
        failed = await server.load()
    assert str(failed["rogue"]) == "the model's process exited with code 7"


@pytest.mark.parametrize("wrong", [{"instances": 0}, {"devices": [-1]}, {"devices": [1, 1]}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.SettingsError, match="instances must be at least 1, and devices numbers from 0 up"):
        load(ServerConfig, {"models": [{**ROGUE, **wrong}]})
