"""`echelon health`, as probes and scripts run it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from echelon.adapters.errors import ModelNotFoundError, UnreachableError
from echelon.adapters.registry import Registry
from echelon.clients.commands import health
from echelon.rpc.config import ListenerConfig
from echelon.server.app import Server
from echelon.server.config import ModelConfig, ServerConfig

TOKEN = "a-token"


def ask(*arguments: str | Path) -> Result:
    return CliRunner().invoke(health, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def address(token_file: Path) -> Iterator[str]:
    """A server that wants a token; its model `good` is ready, its model `bad` failed to load."""
    listener = ListenerConfig("127.0.0.1:0", token_file=token_file)
    models = [ModelConfig("good", "null"), ModelConfig("bad", "onnx", {"folder": "nowhere"})]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[Server, str]:
        server = Server(ServerConfig(listener, models), Registry.installed())
        address = await server.start()
        await server.load()
        return server, address

    server, address = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    yield address
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("model", [[], ["good"]])
def test_a_server_and_a_ready_model_exit_with_0(address: str, token_file: Path, model: list[str]) -> None:
    result = ask(address, *model, "--token-file", token_file)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "serving")


def test_a_model_that_failed_to_load_exits_with_1_though_the_server_serves(address: str, token_file: Path) -> None:
    result = ask(address, "bad", "--token-file", token_file)
    assert (result.exit_code, result.output) == (1, "Error: bad is not serving\n")


def test_a_model_that_is_not_there_is_named(address: str, token_file: Path) -> None:
    result = ask(address, "other", "--token-file", token_file)
    assert result.exit_code == 1
    assert isinstance(result.exception, ModelNotFoundError)
    assert "'other'" in str(result.exception)


def test_health_is_told_to_who_has_no_token_too(address: str) -> None:
    result = ask(address)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "serving")


def test_where_nothing_listens_the_exit_code_is_1() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        result = ask(f"127.0.0.1:{reserved.getsockname()[1]}")
    assert result.exit_code == 1
    assert isinstance(result.exception, UnreachableError)
