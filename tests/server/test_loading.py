"""Models that load, or do not, and never take each other down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Answer, Call, Request, errors
from echelon.clients import AsyncClient, Options, Retry

Serving = Callable[..., Any]
PARROT = {"name": "parrot", "adapter": "acme"}
FAULTS: dict[str, dict[str, Any]] = {
    "an adapter that raises when it opens": {"adapter": "acme-closed"},
    "settings that do not fit": {"adapter": "acme", "settings": {"gait": 1}},
    "a settings file that is not there": {"adapter": "acme", "settings_file": "nowhere.yaml"},
    "a card that breaks the contract": {
        "adapter": "acme-closed",
        "settings": {"raises": False, "description": "x" * 2000},
    },
    "a card of a wrong type": {"adapter": "acme-closed", "settings": {"raises": False, "version": 7}},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_model_that_does_not_load_stops_no_other(serving: Serving, fault: str) -> None:
    models = [{"name": "broken", **FAULTS[fault]}, PARROT]
    once = Options(retry=Retry(attempts=1))
    async with (
        serving(models, loads=False) as server,
        AsyncClient(server.listener.address, once) as client,
    ):
        failed = await server.load()
        assert list(failed) == ["broken"]
        assert {info.card.name: info.state for info in await client.models()} == {"broken": "failed", "parrot": "ready"}
        assert isinstance(await client.ask("parrot", Request(Call.COMPREHEND, "x")), Answer)
        with pytest.raises(errors.ModelNotReadyError):
            await client.ask("broken", Request(Call.COMPREHEND, "x"))


async def test_settings_that_do_not_fit_are_told_with_the_nearest_key(serving: Serving) -> None:
    async with serving([{"name": "broken", "adapter": "acme", "settings": {"gait": 1}}], loads=False) as server:
        failed = await server.load()
    assert str(failed["broken"]) == "settings of model 'broken': unknown key 'gait' (did you mean 'gate'?)"


async def test_a_model_that_hangs_does_not_keep_the_server_from_stopping(serving: Serving, tmp_path: Path) -> None:
    models = [{**PARROT, "settings": {"opens_when": str(tmp_path / "never")}}]
    async with serving(models, loads=False) as server:
        loading = asyncio.create_task(server.load())
        await asyncio.sleep(0.05)
        loading.cancel()
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 2
    (tmp_path / "never").touch()


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ("acmee", r"no adapter 'acmee' is installed \(did you mean 'acme'\?\)"),
        ("acme-gone", "its module 'acme_gone' is not installed"),
        ("acme-raises", "failed to import: RuntimeError: no licence found"),
        ("acme-vague", "names no class"),
    ],
)
async def test_an_adapter_that_cannot_be_had_is_told_before_anything_listens(
    serving: Serving, adapter: str, words: str
) -> None:
    with pytest.raises(errors.ConfigurationError, match=words):
        async with serving([{"name": "x", "adapter": adapter}]):
            pass
