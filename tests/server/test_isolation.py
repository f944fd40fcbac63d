"""Adapters in processes of their own: whatever one of them does, the others answer, and it comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Answer, Call, Request, Text, errors
from echelon.clients import AsyncClient, Client, Options, Retry

Serving = Callable[..., Any]
ROGUE = {"name": "rogue", "adapter": "rogue", "max_batch_size": 8}
TASKS = {"name": "tasks", "adapter": "rogue-async"}
ONCE = Options(retry=Retry(attempts=1))
PATIENT = Options(retry=Retry(attempts=100, longest_delay_s=0.2))
LONG_S = 60.0


def said(instruction: str, **more: Any) -> Request:
    return Request(Call.LANGUAGE, instruction, **more)


def words_of(outcome: Any) -> str:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        # A zombie is nobody's orphan: it only waits to be counted.
        with suppress(OSError):
            return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


class Model:
    """Asks one model, in words."""

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self.name = name

    async def tell(self, instruction: str, **more: Any) -> str:
        return words_of(await self._client.ask(self.name, said(instruction), **more))

    async def dies_of(self, instruction: str, **more: Any) -> errors.EchelonError:
        with pytest.raises(errors.AdapterCrashedError) as caught:
            await self.tell(instruction, **more)
        return caught.value

    async def pid(self) -> int:
        return int((await self.tell("pid")).split()[0])

    async def returns(self) -> int:
        """Wait until it answers again; its process."""
        while True:
            with suppress(errors.ModelNotReadyError, errors.AdapterCrashedError):
                return await self.pid()
            await asyncio.sleep(0.02)


@pytest.fixture
def beside(serving: Serving) -> Callable[..., Any]:
    """A model of the rogue vendor, and a neighbour that is asked all the time and must never fail."""

    @asynccontextmanager
    async def serve(model: dict[str, Any] = ROGUE, **more: Any) -> AsyncIterator[Model]:
        models = [{**model, **more}, {"name": "neighbour", "adapter": "rogue"}, {"name": "null", "adapter": "null"}]
        async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
            assert [info.state for info in await client.models()] == ["ready"] * 3
            enough = asyncio.Event()
            asking = [asyncio.create_task(_ask_on(client, name, enough)) for name in ("neighbour", "null")]
            try:
                yield Model(client, model["name"])
            finally:
                enough.set()
            # Raises what a neighbour's call failed with.
            assert all(count > 0 for count in await asyncio.gather(*asking))

    return serve


async def _ask_on(client: AsyncClient, name: str, enough: asyncio.Event) -> int:
    count = 0
    while not enough.is_set():
        outcome = await client.ask(name, said("me"))
        assert isinstance(outcome, Answer)
        count += 1
        await asyncio.sleep(0.01)
    return count


DEATHS = {
    "segfault": "was ended by SIGSEGV",
    "abort": "was ended by SIGABRT",
    "os._exit": "exited with code 7",
    "os._exit(0)": "exited with code 0",
    "kill": "was ended by SIGKILL",
}


@pytest.mark.parametrize("model", [ROGUE, TASKS], ids=["batch", "async"])
@pytest.mark.parametrize("deed", DEATHS)
async def test_a_process_that_ends_is_started_again_and_its_call_says_how(
    beside: Callable[..., Any], model: dict[str, Any], deed: str
) -> None:
    async with beside(model) as rogue:
        before = await rogue.pid()
        error = await rogue.dies_of(deed)
        assert str(error) == f"the model's process {DEATHS[deed]}"
        assert error.retry_after_s == 1.0
        assert await rogue.returns() != before
        assert not is_alive(before)


@pytest.mark.parametrize("model", [ROGUE, TASKS], ids=["batch", "async"])
@pytest.mark.parametrize("deed", ["sys.exit", "exit in a thread", "print", "close output"])
async def test_what_a_process_survives_costs_nobody_anything(
    beside: Callable[..., Any], model: dict[str, Any], deed: str
) -> None:
    async with beside(model) as rogue:
        before = await rogue.pid()
        if deed == "sys.exit":
            with pytest.raises(errors.AdapterFailedError):
                await rogue.tell(deed)
        else:
            await rogue.tell(deed)
        assert await rogue.pid() == before


@pytest.mark.parametrize("deed", ["hang", "spin", "hold the GIL", "stop"])
@pytest.mark.parametrize("model", [ROGUE, TASKS], ids=["batch", "async"])
async def test_a_process_that_hangs_is_killed_and_started_again(
    beside: Callable[..., Any], model: dict[str, Any], deed: str
) -> None:
    async with beside(model, process={"stuck_s": 3.0}) as rogue:
        before = await rogue.pid()
        with pytest.raises((errors.AdapterCrashedError, errors.BudgetExceededError)):
            await rogue.tell(deed, timeout_s=1.0)
        assert await rogue.returns() != before
        assert not is_alive(before)


@pytest.mark.parametrize("model", [ROGUE, TASKS], ids=["batch", "async"])
async def test_a_process_that_leaks_to_its_limit_is_started_again_and_only_a_glutton_is_blamed(
    beside: Callable[..., Any], model: dict[str, Any]
) -> None:
    async with beside(model, process={"memory_mb": 300}) as rogue:
        before = await rogue.pid()
        for _ in range(20):
            with suppress(errors.AdapterCrashedError, errors.ModelNotReadyError):
                await rogue.tell("leak")
        after = await rogue.returns()
        assert after != before
        error = await rogue.dies_of("gorge")
        assert str(error) == "the model's process reached its limit of memory"
        assert await rogue.returns() != after


async def test_limits_of_processor_time_and_files_hold(beside: Callable[..., Any], serving: Serving) -> None:
    async with beside(ROGUE, process={"cpu_s": 3}) as rogue:
        error = await rogue.dies_of("spin", timeout_s=LONG_S)
        assert str(error) == "the model's process was ended by SIGXCPU"
        await rogue.returns()
    async with serving([{**ROGUE, "process": {"files": 1}}], loads=False) as server:
        failed = await server.load()
    assert isinstance(failed["rogue"], errors.EchelonError)


async def test_a_poisoned_request_fails_alone_and_its_batch_is_answered(serving: Serving, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    models = [{**ROGUE, "max_batch_size": 4, "max_delay_ms": 30_000, "settings": {"diary": str(diary)}}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        words = ["one", "two", "segfault", "three"]
        calls = [client.ask("rogue", said(word)) for word in words]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(outcomes[2], errors.AdapterCrashedError)
    assert [words_of(outcome) for outcome in (*outcomes[:2], outcomes[3])] == ["one", "two", "three"]
    # Once at first, once after the batch, and once after the guilty call by itself, unless that was the last.
    assert len(diary.read_text().splitlines()) in (2, 3)


async def test_an_answer_that_is_too_large_fails_alone_and_costs_no_process(serving: Serving) -> None:
    models = [
        {"name": "parrot", "adapter": "acme", "isolation": "subprocess", "max_batch_size": 4, "max_delay_ms": 30_000}
    ]
    limits = {"message_bytes": 1 << 20, "content_bytes_per_peer": 1 << 20}
    async with serving(models, limits=limits) as server, AsyncClient(server.listener.address, ONCE) as client:
        asked = [Request(Call.COMPREHEND, word) for word in ("one", "large 5000000", "large 1000", "two")]
        outcomes = await asyncio.gather(*(client.ask("parrot", each) for each in asked), return_exceptions=True)
        assert isinstance(outcomes[1], errors.LimitExceededError)
        assert "a message at most 1048576" in str(outcomes[1])
        assert [words_of(outcomes[0]), words_of(outcomes[3])] == ["one", "two"]
        assert isinstance(outcomes[2], Answer)


async def test_of_calls_that_ran_at_once_only_the_one_that_kills_alone_fails(serving: Serving) -> None:
    async with serving([TASKS]) as server, AsyncClient(server.listener.address, ONCE) as client:
        words = [f"call {number} after 0.5" for number in range(10)] + ["segfault after 0.2"]
        calls = [client.ask("tasks", said(word)) for word in words]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(outcomes[10], errors.AdapterCrashedError)
    assert [words_of(outcome) for outcome in outcomes[:10]] == [f"call {number}" for number in range(10)]


async def test_health_says_so_while_a_process_is_away(serving: Serving, until: Any, tmp_path: Path) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with (
        serving([ROGUE]) as server,
        AsyncClient(server.listener.address, ONCE) as client,
        client.options.channel(server.listener.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="rogue"))
        states = [(await watch.read()).status]
        rogue = Model(client, "rogue")
        await rogue.dies_of("segfault")
        states += [(await watch.read()).status for _ in range(2)]
        assert states == [1, 2, 1]
        assert await rogue.pid()
        watch.cancel()


async def test_health_says_what_an_adapter_in_its_process_says(serving: Serving, until: Any) -> None:
    async with serving([TASKS]) as server, AsyncClient(server.listener.address, ONCE) as client:
        tasks, model = Model(client, "tasks"), server.models.get("tasks")
        assert await model.ready()
        await tasks.tell("unwell")
        assert not await model.ready()
        await tasks.tell("well")
        assert await model.ready()


@pytest.mark.parametrize("deed", ["fork", "fork away"])
async def test_what_a_process_started_ends_with_it(beside: Callable[..., Any], deed: str, until: Any) -> None:
    async with beside() as rogue:
        child = int(await rogue.tell(deed))
        assert is_alive(child)
        await rogue.dies_of("segfault")
        await until(lambda: not is_alive(child))
        await rogue.returns()


@pytest.mark.parametrize("deed", ["hang", "hold the GIL", "fork", "fork away"])
def test_nothing_is_left_of_a_server_that_is_killed(processes: Callable[..., Any], deed: str) -> None:
    process, address = processes("--model", "rogue=rogue")
    with Client(address, ONCE) as client:
        worker, guardian = map(int, words_of(client.language("rogue", said("pid"))).split())
        left = [worker, guardian]
        with suppress(errors.BudgetExceededError):
            left.append(int(words_of(client.language("rogue", said(deed), timeout_s=2.0))))
    assert all(map(is_alive, left))
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    deadline = time.monotonic() + 20
    while any(map(is_alive, left)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in left if is_alive(pid)] == []


def test_a_server_that_stops_lets_the_adapter_close_and_leaves_nothing(processes: Callable[..., Any]) -> None:
    process, address = processes("--model", "rogue=rogue")
    with Client(address, ONCE) as client:
        left = [*map(int, words_of(client.language("rogue", said("pid"))).split())]
        left.append(int(words_of(client.language("rogue", said("fork")))))
    process.terminate()
    _, logged = process.communicate(timeout=30)
    assert process.returncode == 0
    printed = [line["line"] for line in map(json.loads, logged.splitlines()) if line["event"] == "output"]
    assert printed == ["opening, as everybody may hear", "closing"]
    assert [pid for pid in left if is_alive(pid)] == []


def test_what_is_printed_goes_to_the_log_in_bounds(processes: Callable[..., Any], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        process, address = processes("--model", "rogue=rogue", log=file)
    with Client(address, ONCE) as client:
        words_of(client.language("rogue", said("print")))
        with pytest.raises(errors.AdapterCrashedError):
            client.language("rogue", said("segfault"))
    process.terminate()
    assert process.wait(30) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    printed = [line["line"] for line in lines if line["event"] == "output"]
    left_out = sum(line["lines"] for line in lines if line["event"] == "output left out")
    assert max(map(len, printed)) <= 2048
    assert len(printed) < 5000
    assert left_out > 20_000
    assert any("Segmentation fault" in line for line in printed)
    (ended,) = [line for line in lines if line["event"] == "process ended"]
    assert (ended["model"], ended["how"]) == ("rogue", "was ended by SIGSEGV")


def test_secrets_and_files_of_the_server_stay_with_it(
    processes: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame-4711")
    monkeypatch.setenv("LICENCE", "for-the-vendor")
    config = tmp_path / "server.yaml"
    config.write_text(
        "models:\n"
        "- name: rogue\n"
        "  adapter: rogue\n"
        "  process: {environment: {LICENCE: null, CUDA_VISIBLE_DEVICES: '1'}}\n"
    )
    _, address = processes("--config", str(config))
    with Client(address, ONCE) as client:
        worker, guardian = map(int, words_of(client.language("rogue", said("pid"))).split())
        environment = json.loads(words_of(client.language("rogue", said("environment"))))
        files = json.loads(words_of(client.language("rogue", said("files"))))
    assert (environment["LICENCE"], environment["CUDA_VISIBLE_DEVICES"]) == ("for-the-vendor", "1")
    assert environment["PATH"] == os.environ["PATH"]
    for pid in (worker, guardian):
        assert b"sesame" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert "sesame-4711" not in environment.values()
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{worker}/status").read_text()
    # Nothing, the pipe of what it prints twice, and the socket.
    kinds = sorted(link.partition(":")[0] for number, link in files.items() if not link.startswith("/proc/"))
    assert kinds == ["/dev/null", "pipe", "pipe", "socket"]


def test_serve_tells_which_models_run_in_processes_of_their_own(vendor: None, tmp_path: Path) -> None:
    import sys

    config = tmp_path / "server.yaml"
    config.write_text(
        "listener: {listen: '127.0.0.1:0'}\n"
        "models:\n"
        "- {name: chosen, adapter: acme-slow, isolation: inproc}\n"
        "- {name: ours, adapter: 'null'}\n"
        "- {name: ours-apart, adapter: 'null', isolation: subprocess}\n"
        "- {name: theirs, adapter: rogue}\n"
        "- {name: trusted, adapter: acme}\n"
    )
    command = [sys.executable, "-m", "echelon.cli", "serve", "--config", str(config), "--trust", "acme-models"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    models, _, _ = line.partition(" on ")
    assert models == "serving chosen, ours, ours-apart (subprocess), theirs (subprocess), trusted"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"adapter": "rogue-closed"}, "the model's process exited with code 11"),
        ({"adapter": "rogue", "settings": {"opens_with": "segfault"}}, "the model's process was ended by SIGSEGV"),
        ({"adapter": "rogue", "settings": {"opens_with": "sys.exit"}}, "7"),
        ({"adapter": "rogue", "settings": {"opens_wit": ""}}, "unknown key 'opens_wit' (did you mean 'opens_with'?)"),
        (
            {"adapter": "rogue", "settings": {"opens_with": "hang"}, "process": {"load_s": 2}},
            "the model's process was killed: it was not open within 2 s",
        ),
        ({"adapter": "rogue", "process": {"environment": {"NO_SUCH": None}}}, "whose NO_SUCH is to be passed on"),
        ({"adapter": "rogue", "process": {"python": __file__}}, "there is no Python at"),
        ({"adapter": "rogue", "process": {"python": "/bin/true"}}, "does not work as a Python interpreter"),
    ],
)
async def test_a_process_that_does_not_open_its_adapter_fails_the_model_alone(
    serving: Serving, model: dict[str, Any], words: str
) -> None:
    try:
        async with serving([{"name": "rogue", **model}, {"name": "null", "adapter": "null"}], loads=False) as server:
            failed = await server.load()
            assert list(failed) == ["rogue"]
            told = str(failed["rogue"])
    except errors.ConfigurationError as error:
        told = str(error)
    assert words in told


async def test_a_server_that_stops_while_a_process_opens_its_adapter_leaves_nothing(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    diary = tmp_path / "diary"
    models = [{**ROGUE, "settings": {"opens_with": "hang", "diary": str(diary)}}]
    async with serving(models, loads=False) as server:
        loading = asyncio.create_task(server.load())
        await until(lambda: diary.exists() and diary.read_text().endswith("\n"))
        pid = int(diary.read_text())
        assert is_alive(pid)
        loading.cancel()
    assert not is_alive(pid)


@pytest.mark.parametrize(
    "lie",
    [
        "items without order",
        "items without end",
        "a failure that cannot be told",
        "answers to nobody",
        "pieces without end",
    ],
)
async def test_a_process_that_says_what_it_must_not_is_ended(beside: Callable[..., Any], lie: str) -> None:
    async with beside(ROGUE) as rogue:
        before = await rogue.pid()
        error = await rogue.dies_of(lie, timeout_s=LONG_S)
        assert str(error).startswith("the model's process was killed: it sent ")
        assert await rogue.returns() != before
        assert not is_alive(before)


async def test_a_stream_that_does_not_wait_for_its_reader_ends_its_process(serving: Serving) -> None:
    async with serving([ROGUE]) as server, AsyncClient(server.listener.address, ONCE) as client:
        pieces = client.stream_language("rogue", said("pieces without end"), timeout_s=LONG_S)
        with pytest.raises(errors.AdapterCrashedError, match="it sent 'piece', or more pieces than were asked for"):
            await _read_slowly(pieces)


async def _read_slowly(pieces: AsyncIterator[Any]) -> None:
    async for _ in pieces:
        await asyncio.sleep(0.01)


async def test_a_call_that_is_given_up_before_it_began_costs_no_process(serving: Serving) -> None:
    """The event loop of the adapter is busy, and finds the call and its end at once."""
    models = [{**TASKS, "process": {"stuck_s": 1.0}}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        tasks = Model(client, "tasks")
        before = await tasks.pid()
        napping = asyncio.create_task(tasks.tell("nap"))
        await asyncio.sleep(0.1)
        given_up = asyncio.create_task(tasks.tell("never heard", timeout_s=0.3))
        await asyncio.sleep(0.1)
        given_up.cancel()
        await napping
        # Were it still waited for, the process would be killed a second after the call's deadline.
        await asyncio.sleep(2.5)
        assert await tasks.pid() == before


async def test_a_stream_that_is_given_up_while_it_is_sent_costs_no_process(serving: Serving) -> None:
    """Nobody reads while a thread holds the lock, so that what is larger than a socket's buffer waits half sent."""
    models = [{**TASKS, "process": {"stuck_s": 1.5}}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        tasks = Model(client, "tasks")
        before = await tasks.pid()
        napping = asyncio.create_task(tasks.tell("nap with the GIL"))
        await asyncio.sleep(0.1)
        large = Request(Call.GENERATE, "forty pieces", (Text("x" * 50_000),) * 40)
        given_up = asyncio.create_task(anext(client.stream_generate("tasks", large, timeout_s=0.5)))
        await asyncio.sleep(0.2)
        assert given_up.cancel()
        await napping
        # A stream that nobody reads or ends would be waited for, and the process killed.
        await asyncio.sleep(3)
        assert await tasks.pid() == before
