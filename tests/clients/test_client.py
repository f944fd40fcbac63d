"""Clients: retries by reason, the synchronous form, targets, and `echelon models`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from echelon.adapters import Answer, Call, EchelonError, Request, Text, errors
from echelon.clients import AsyncClient, Client, Options, Retry, Target, parse_target
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.status import to_status

Serving = Callable[..., Any]
QUICK = Options(retry=Retry(attempts=3, first_delay_s=0.001))


def said(instruction: str, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, **more)


def words_of(outcome: Any) -> str:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


class Failing(pb_grpc.ModelServiceServicer):
    """A server that fails so many times before it answers, and keeps the ids it was asked under."""

    def __init__(self, failure: EchelonError, times: int) -> None:
        self.failure = failure
        self.times = times
        self.ids: list[str] = []

    async def Comprehend(self, request: pb.ComprehendRequest, context: Any) -> pb.ComprehendResponse:  # noqa: N802  (the contract's name)
        self.ids.append(request.call.request_id)
        if len(self.ids) <= self.times:
            await context.abort_with_status(rpc_status.to_status(to_status(self.failure)))
        answer = pb.Answer(parts=[content_pb2.Part(text=content_pb2.Text(value="at last"))])
        return pb.ComprehendResponse(outcome=pb.Outcome(answer=answer))


@asynccontextmanager
async def failing(failure: EchelonError, times: int) -> AsyncIterator[tuple[Failing, str]]:
    servicer = Failing(failure, times)  # type: ignore[abstract]  # one method is enough
    server = grpc.aio.server()
    pb_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.mark.parametrize(
    "kind",
    [
        errors.ServerBusyError,
        errors.ModelNotReadyError,
        errors.BackendError,
        errors.AdapterCrashedError,
        errors.UnreachableError,
    ],
)
async def test_a_passing_trouble_is_tried_again_under_the_same_id(kind: type[EchelonError]) -> None:
    async with failing(kind("not now"), 2) as (servicer, address), AsyncClient(address, QUICK) as client:
        assert words_of(await client.ask("any", said("x"))) == "at last"
    assert len(servicer.ids) == 3
    assert len(set(servicer.ids)) == 1
    assert servicer.ids[0]


@pytest.mark.parametrize(
    ("kind", "attempts"),
    [
        (errors.ServerBusyError, 3),
        (errors.AdapterFailedError, 2),
        (errors.InvalidInputError, 1),
        (errors.UnsupportedError, 1),
        (errors.LimitExceededError, 1),
        (errors.ModelNotFoundError, 1),
        (errors.OutputInvalidError, 1),
        (errors.BudgetExceededError, 1),
        (errors.AuthMissingError, 1),
        (errors.AuthDeniedError, 1),
        (errors.EchelonError, 1),
    ],
)
async def test_how_often_a_trouble_that_stays_is_tried(kind: type[EchelonError], attempts: int) -> None:
    async with failing(kind("never"), 99) as (servicer, address), AsyncClient(address, QUICK) as client:
        with pytest.raises(kind, match="never"):
            await client.ask("any", said("x"))
    assert len(servicer.ids) == attempts


async def test_a_client_comes_back_no_sooner_than_it_is_told() -> None:
    busy = errors.ServerBusyError("busy", retry_after_s=0.2)
    async with failing(busy, 1) as (_, address), AsyncClient(address, QUICK) as client:
        started = time.monotonic()
        await client.ask("any", said("x"))
        assert time.monotonic() - started >= 0.2


def test_waiting_grows_up_to_its_bound_and_never_in_step() -> None:
    retry = Retry(attempts=10, first_delay_s=1.0, factor=2.0, longest_delay_s=3.0)
    busy = errors.ServerBusyError("busy")
    for attempt, bound in ((1, 1.0), (2, 2.0), (3, 3.0), (9, 3.0)):
        delays = {retry.delay_s(attempt, busy) for _ in range(20)}
        assert all(delay is not None and bound / 2 <= delay <= bound for delay in delays)
        assert len(delays) > 1
    assert retry.delay_s(10, busy) is None


async def test_every_call_has_an_id_of_its_own() -> None:
    async with (
        failing(errors.EchelonError(""), 0) as (servicer, address),
        AsyncClient(address) as one,
        AsyncClient(address) as other,
    ):
        await asyncio.gather(*(client.ask("any", said("x")) for client in (one, other) for _ in range(5)))
    assert len(set(servicer.ids)) == 10


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with AsyncClient("127.0.0.1:9", QUICK) as client:
        with pytest.raises(errors.UnreachableError):
            await client.models()


@pytest.fixture
def address(serving: Serving) -> Iterator[str]:
    """A server on a loop of its own, for clients that have none."""
    from echelon.rpc.loop import run

    found: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving() as server:
            found.append(server.listener.address)
            ready.set()
            while not over.is_set():  # noqa: ASYNC110  (set from another thread)
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=run, args=(serve,))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    over.set()
    thread.join()


def test_the_synchronous_client_does_what_the_other_does(address: str) -> None:
    with Client(address) as client:
        assert [info.card.name for info in client.models()] == ["parrot"]
        assert client.model("parrot").ready
        for ask in (client.comprehend, client.generate, client.language):
            assert words_of(ask("parrot", said("hello"))) == "hello"
        with pytest.raises(errors.ModelNotFoundError):
            client.model("nobody")
    client.close()


def test_many_questions_are_answered_in_their_order(address: str) -> None:
    with Client(address) as client:
        outcomes = list(client.ask_all("parrot", (said(f"{n}") for n in range(300)), in_flight=50))
        assert [words_of(outcome) for outcome in outcomes] == [f"{n}" for n in range(300)]
        mixed = list(client.ask_all("parrot", [said("a"), said("unable"), said("b")]))
        assert [type(outcome) for outcome in mixed] == [Answer, errors.UnsupportedError, Answer]


def test_questions_are_taken_as_there_is_room_for_them(address: str) -> None:
    taken = 0

    def questions() -> Iterator[Request]:
        nonlocal taken
        for taken in range(1, 1001):
            yield said(f"{taken}")

    with Client(address) as client:
        answers = client.ask_all("parrot", questions(), in_flight=10)
        assert words_of(next(answers)) == "1"
        assert taken == 11


def test_a_client_closes_under_questions_that_are_not_read(address: str) -> None:
    with Client(address) as client:
        answers = client.ask_all("parrot", [said(f"{n}") for n in range(100)], in_flight=10)
        next(answers)
    # What was asked and never read ends without a word.
    del answers
    with Client(address) as client:
        assert client.model("parrot").ready


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("127.0.0.1:50051/digits", Target("127.0.0.1:50051", "digits")),
        ("unix:/run/echelon.sock/digits", Target("unix:/run/echelon.sock", "digits")),
        ("dns:///models.example:443/a.b-c_1", Target("dns:///models.example:443", "a.b-c_1")),
        ("[::1]:1/x", Target("[::1]:1", "x")),
    ],
)
def test_a_target_is_an_address_and_a_models_name(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert str(target) == text


@pytest.mark.parametrize("text", ["", "digits", "127.0.0.1:50051", "127.0.0.1:50051/", "/digits", "dns:///digits"])
def test_what_is_no_target_is_told_with_an_example(text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="write ADDRESS/MODEL, for example"):
        parse_target(text)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "models.example", "http://127.0.0.1:1", "127.0.0.1:1/digits", "127.0.0.1:http", ""]
)
def test_what_is_no_address_is_told_before_anybody_looks_it_up(address: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="is no address; write HOST:PORT"):
        AsyncClient(address)


async def test_who_listens_and_does_not_speak_grpc_is_told_apart() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as web:
        host, port = web.sockets[0].getsockname()
        async with AsyncClient(f"{host}:{port}", Options(retry=Retry(attempts=1))) as client:
            with pytest.raises(errors.UnreachableError, match=f"cannot reach {host}:{port}: whoever listens there"):
                await client.models()


@pytest.mark.parametrize("address", ["localhost:1", "[::1]:1", "dns:///models.example", "unix:/run/echelon.sock"])
async def test_every_form_of_address_that_grpc_knows_is_taken(address: str) -> None:
    await AsyncClient(address).close()


def models_of(*arguments: str) -> str:
    command = [sys.executable, "-m", "echelon.cli", "models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_models_lists_what_a_server_holds(address: str) -> None:
    assert models_of(address) == "parrot  ready     comprehend, generate, language    Repeats what it hears.\n"
    (model,) = json.loads(models_of(address, "--json"))
    assert (model["name"], model["state"], model["version"]) == ("parrot", "ready", "7")
    assert model["identity"]["distribution"] == "acme-models"


def test_health_is_an_exit_code(address: str) -> None:
    def health(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "echelon.cli", "health", *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr

    assert health(address) == health(address, "parrot") == (0, "serving\n")
    assert health(address, "nobody") == (1, f"error: the server at {address} holds no model 'nobody'\n")
