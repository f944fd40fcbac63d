"""Models that another server holds, asked through ours."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from traceback import format_exception
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from echelon.adapters import Answer, Call, EchelonError, Number, Outcome, Request, Tensor, Text, errors
from echelon.adapters.settings import load
from echelon.clients import AsyncClient, Options, Pipeline, Retry
from echelon.conformance import Conformance
from echelon.conformance.findings import State
from echelon.conformance.kit import CHECKS, Kit
from echelon.server.config import ServerConfig
from echelon.server.hosts import remote as module
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))
STREAM = [{"name": "stream", "adapter": "acme-async"}]
PARROT = [{"name": "parrot", "adapter": "acme", "max_batch_size": 1}]
LOCAL = {"name": "local", "adapter": "acme", "max_batch_size": 1}


def said(instruction: str, *parts: Any, call: Call = Call.COMPREHEND, **more: Any) -> Request:
    return Request(call, instruction, parts, **more)


def words_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Answer)
    (text,) = outcome.parts
    assert isinstance(text, Text)
    return text.value


def remote(address: str, model: str = "parrot", **more: Any) -> dict[str, Any]:
    return {"name": "far", "remote": {"target": f"{address}/{model}", **more}}


@asynccontextmanager
async def through(serving: Serving, far: Any, model: str = "parrot", **more: Any) -> AsyncIterator[AsyncClient]:
    """A client of a server that passes calls on to `model` of the server `far`, and holds a parrot of its own."""
    async with (
        serving([remote(far.listener.address, model, **more), LOCAL]) as near,
        AsyncClient(near.listener.address, ONCE) as client,
    ):
        yield client


async def state_of(client: AsyncClient, model: str = "far") -> str:
    return (await client.model(model)).state


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what only asking tells."""
    while not await holds():  # noqa: ASYNC110  (see above)
        await asyncio.sleep(0.02)


async def becomes(client: AsyncClient, state: str) -> None:
    """Wait until model and health say so."""

    async def say_so() -> bool:
        return (await state_of(client), await client.serving("far")) == (state, state == "ready")

    await eventually(say_so)


@pytest.mark.parametrize(
    ("adapter", "call", "instruction"),
    [
        ("acme-async", Call.GENERATE, "parts"),
        ("acme-async", Call.GENERATE, "total"),
        ("acme-async", Call.GENERATE, "refuse"),
        ("acme-async", Call.GENERATE, "raise"),
        ("acme-async", Call.GENERATE, "whole"),
        ("acme", Call.GENERATE, "repeat"),
        ("acme", Call.GENERATE, "refuse"),
        ("acme-async-writer", Call.LANGUAGE, "say"),
        ("acme-async-writer", Call.LANGUAGE, "refuse"),
        ("acme-async-writer", Call.LANGUAGE, "backend"),
        ("acme-async-writer", Call.LANGUAGE, "raise"),
        ("acme-writer", Call.LANGUAGE, "whole"),
        ("acme", Call.LANGUAGE, "repeat"),
    ],
)
async def test_streams_pass_through_event_by_event(
    serving: Serving, adapter: str, call: Call, instruction: str
) -> None:
    parts = (Text("one two"), Text("three")) if call is Call.GENERATE else (Text("one two three"),)
    request = said(instruction, *parts, call=call)
    async with serving([{"name": "far", "adapter": adapter}]) as far, through(serving, far, "far") as client:
        there = await events(far.listener.address, request)
        here = await events(client.address, request)
    assert here == there
    assert len(there) > 1 or instruction == "refuse"


async def events(address: str, request: Request) -> list[Any]:
    """What a stream of `far` consists of, without what two calls of one model differ in."""
    method, kind = {
        Call.GENERATE: ("StreamGenerate", pb.StreamGenerateRequest),
        Call.LANGUAGE: ("StreamLanguage", pb.StreamLanguageRequest),
    }[request.call]
    found: list[Any] = []
    message: Any = kind(call=pb.Call(model="far", instruction=request.instruction))
    for part in request.parts:
        assert isinstance(part, Text)
        message.call.parts.add().text.value = part.value
    async with Options().channel(address) as channel:
        try:
            async for event in getattr(pb_grpc.ModelServiceStub(channel), method)(message):
                if event.HasField("end"):
                    usage = event.end.usage if request.call is Call.GENERATE else event.end.outcome.usage
                    usage.queue_us = usage.compute_us = 0
                found.append(event)
        except grpc.RpcError as error:
            found.append(error.code())
    return found


async def test_the_first_piece_does_not_wait_for_the_last(serving: Serving) -> None:
    async with serving(STREAM) as far, through(serving, far, "stream") as client:
        hanging = client.stream_parts("far", said("hang", Text("first"), Text("second")))
        assert await anext(hanging) == Text("first")
        await hanging.aclose()


@pytest.mark.parametrize("lane", ["unary", "pipeline", "stream"])
async def test_a_call_that_is_given_up_is_cancelled_in_the_far_adapter(
    serving: Serving, tmp_path: Path, until: Any, lane: str
) -> None:
    notes = tmp_path / "notes"
    async with (
        serving([{**STREAM[0], "settings": {"notes": str(notes)}}]) as far,
        through(serving, far, "stream") as client,
        Pipeline(client) as pipeline,
    ):
        if lane == "stream":
            hanging = client.stream_parts("far", said("hang", Text("first"), Text("second")))
            await anext(hanging)
            await hanging.aclose()
        else:
            asker: Any = client if lane == "unary" else pipeline
            asking = asyncio.create_task(asker.ask("far", said("sleep")))
            await until(lambda: far.listener.admission.calls == 1)
            asking.cancel()
        await until(notes.exists)
        await until(lambda: far.listener.admission.calls == 0)
    assert notes.read_text() == ("stream over" if lane == "stream" else "cancelled")


async def test_a_deadline_holds_on_both_servers(serving: Serving, tmp_path: Path, until: Any) -> None:
    models = [{**PARROT[0], "settings": {"gate": str(tmp_path / "gate")}}]
    async with serving(models) as far, through(serving, far) as client, Pipeline(client) as pipeline:
        (left,) = (await client.ask("far", said("deadline"), timeout_s=50)).parts  # type: ignore[union-attr]  # it answers
        assert isinstance(left, Number)
        assert 40 < left.value < 51  # gRPC sends a time-out in few digits, rounded up
        for asker in (client, pipeline):
            with pytest.raises(errors.BudgetExceededError):
                await asker.ask("far", said("wait"), timeout_s=0.2)
        await until(lambda: far.listener.admission.calls == 0)


async def test_ids_of_different_callers_do_not_meet_on_the_other_server(serving: Serving, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("one\nother\n")
    async with (
        serving(PARROT) as far,
        serving([remote(far.listener.address)], token_file=str(tokens)) as near,
        AsyncClient(near.listener.address, Options(token="one", retry=Retry(attempts=1))) as one,
        AsyncClient(near.listener.address, Options(token="other", retry=Retry(attempts=1))) as other,
    ):
        assert words_of(await one.ask("far", said("a", id="1"))) == "a"
        assert words_of(await other.ask("far", said("b", id="1"))) == "b"
        with pytest.raises(errors.InvalidInputError, match="request_id"):
            await one.ask("far", said("b", id="1"))


async def test_a_call_that_is_asked_again_is_not_answered_twice_on_the_other_server(serving: Serving) -> None:
    # The near server forgets at once; the far one remembers.
    async with (
        serving(PARROT) as far,
        serving([remote(far.listener.address)], limits={"remembered_bytes": 1}) as near,
        AsyncClient(near.listener.address, ONCE) as client,
    ):
        for _ in range(3):
            assert words_of(await client.ask("far", said("once", id="1"))) == "once"
        assert words_of(await client.ask("far", said("diary"))) == '[["once"], ["diary"]]'


async def test_large_content_travels_by_itself_both_ways(serving: Serving) -> None:
    tensor = Tensor.from_array(np.arange(5 << 20, dtype=np.uint8))
    async with serving(PARROT) as far, through(serving, far) as client:
        outcome = await client.ask("far", said("repeat", tensor))
        assert isinstance(outcome, Answer)
        assert outcome.parts == (tensor,)
        # As put and as to be got, it is one content.
        assert far.contents.charged_bytes == len(tensor.data)


async def test_many_calls_run_at_once(serving: Serving) -> None:
    async with serving(STREAM) as far, through(serving, far, "stream") as client:
        outcomes = await asyncio.gather(*(client.ask("far", said("nap")) for _ in range(20)))
    assert "at most 20 at once" in map(words_of, outcomes)


async def test_overload_there_is_overload_here_with_the_time_to_come_back(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    models = [{**PARROT[0], "settings": {"gate": str(tmp_path / "gate")}}]
    async with serving(models, limits={"calls": 1}) as far, through(serving, far) as client:
        first = asyncio.create_task(client.ask("far", said("wait")))
        await until(lambda: far.listener.admission.calls == 1)
        with pytest.raises(errors.ServerBusyError) as caught:
            await client.ask("far", said("second"))
        assert caught.value.retry_after_s == 0.1
        (tmp_path / "gate").touch()
        assert words_of(await first) == "wait"
        assert await state_of(client) == "ready"


async def test_an_incident_there_is_one_here_that_names_it(serving: Serving) -> None:
    async with serving(PARROT) as far, through(serving, far) as client:
        with capture_logs() as lines, pytest.raises(errors.AdapterFailedError) as caught:
            await client.ask("far", said("raise"))
    there, here = (line for line in lines if line["event"] == "incident")
    assert here["incident"] in str(caught.value)
    assert there["incident"] not in str(caught.value)
    assert f"incident {there['incident']}" in "".join(format_exception(here["exc_info"]))


async def test_a_server_that_is_not_there_yet_stops_nobody_and_is_found_when_it_comes(
    serving: Serving, tmp_path: Path
) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    async with serving([remote(listen), LOCAL]) as near, AsyncClient(near.listener.address, ONCE) as client:
        assert (await state_of(client), await client.serving("far")) == ("loading", False)
        assert await client.serving("local")
        with pytest.raises(errors.ModelNotReadyError, match="model 'far' is loading"):
            await client.ask("far", said("too early"))
        assert words_of(await client.ask("local", said("here"))) == "here"
        async with serving(PARROT, listen=listen):
            await becomes(client, "ready")
            assert (await client.model("far")).card.version == "7"
            assert words_of(await client.ask("far", said("at last"))) == "at last"
        await becomes(client, "loading")


async def test_another_card_there_is_another_card_here(serving: Serving, tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    models = [{**PARROT[0], "settings": {"description": "The second."}}]
    async with serving(PARROT, listen=listen) as far, through(serving, far) as client:
        assert (await client.model("far")).card.description == "Repeats what it hears."
        await far.stop()
        async with serving(models, listen=listen):

            async def changes() -> bool:
                return (await client.model("far")).card.description == "The second."

            await eventually(changes)
            card = (await client.model("far")).card
            assert (card.name, card.version) == ("far", "7")


async def test_a_model_that_the_other_server_does_not_hold_is_waited_for(serving: Serving, tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    async with serving([], listen=listen) as far, through(serving, far) as client:
        assert await state_of(client) == "loading"
        await far.stop()
        async with serving(PARROT, listen=listen):
            await becomes(client, "ready")


async def test_a_model_that_fails_there_is_not_ready_here(serving: Serving) -> None:
    models = [{"name": "parrot", "adapter": "onnx", "settings": {"folder": "/nowhere"}}]
    async with serving(models) as far, through(serving, far) as client:
        assert await state_of(client) == "loading"


async def test_health_there_is_health_here(serving: Serving) -> None:
    async with serving(PARROT) as far, through(serving, far) as client:
        await far.listener.set_health("parrot", serving=False)
        await becomes(client, "loading")
        await far.listener.set_health("parrot", serving=True)
        await becomes(client, "ready")


async def test_a_server_that_says_nothing_holds_nobody_up(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 1.0)
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{silent.getsockname()[1]}"
    async with (
        serving([remote(address), LOCAL], loads=False) as near,
        AsyncClient(near.listener.address, ONCE) as client,
    ):
        loading = asyncio.create_task(near.load())

        async def is_there() -> bool:
            return await state_of(client, "local") == "ready"

        await eventually(is_there)
        assert not loading.done()
        assert await loading == {}
        assert await state_of(client) == "loading"
    silent.close()


async def test_a_server_that_drains_finishes_what_it_has_and_gets_no_more(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    gate = tmp_path / "gate"
    models = [{**PARROT[0], "settings": {"gate": str(gate)}}]
    async with serving(models, drain_s=30.0) as far, through(serving, far) as client:
        first = asyncio.create_task(client.ask("far", said("wait")))
        await until(lambda: far.listener.admission.calls == 1)
        stopping = asyncio.create_task(far.stop())
        await becomes(client, "loading")
        with pytest.raises(errors.ModelNotReadyError):
            await client.ask("far", said("too late"))
        gate.touch()
        assert words_of(await first) == "wait"
        await stopping


def address_of(started: tuple[Any, str]) -> str:
    return started[1]


async def test_a_server_that_is_killed_takes_its_calls_along_and_comes_back(
    serving: Serving, processes: Callable[..., Any]
) -> None:
    start = ("--model", "stream=acme-async", "--log-level", "error")
    process, address = await asyncio.to_thread(processes, *start)
    async with (
        serving([remote(address, "stream"), LOCAL]) as near,
        AsyncClient(near.listener.address, ONCE) as client,
    ):
        asking = asyncio.create_task(client.ask("far", said("sleep")))

        async def runs() -> bool:
            return words_of(await client.ask("far", said("count"))) == "at most 2 at once"

        await eventually(runs)
        streaming = client.stream_parts("far", said("hang", Text("first"), Text("second")))
        assert await anext(streaming) == Text("first")
        process.kill()
        for broken in (asking, anext(streaming)):
            with pytest.raises(errors.ModelNotReadyError, match="that holds model 'far' is away") as caught:
                await broken
            assert caught.value.retry_after_s == 1.0
            assert address not in str(caught.value)
        await becomes(client, "loading")
        assert words_of(await client.ask("local", said("here"))) == "here"
        await asyncio.to_thread(lambda: processes(*start, listen=address))
        await becomes(client, "ready")
        assert words_of(await client.ask("far", said("back"))) == "at most 1 at once"


async def test_credentials_that_are_refused_are_not_our_callers_and_may_be_put_right(
    serving: Serving, tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.write_text("right-token\n")
    ours.write_text("wrong-token\n")
    async with (
        serving(PARROT, token_file=str(theirs)) as far,
        through(serving, far, token_file=str(ours)) as client,
    ):
        assert await state_of(client) == "loading"
        ours.write_text("right-token\n")
        await becomes(client, "ready")
        theirs.write_text("another-token\n")
        found: EchelonError | None = None
        while found is None:
            try:
                await client.ask("far", said("hello"))
            except EchelonError as error:
                found = error
        assert isinstance(found, errors.ModelNotReadyError)
        assert "token" not in str(found)
        await becomes(client, "loading")
        ours.write_text("another-token\n")
        await becomes(client, "ready")


async def test_a_token_is_replaced_without_a_call_lost(serving: Serving, tmp_path: Path, until: Any) -> None:
    theirs, ours, gate = tmp_path / "theirs", tmp_path / "ours", tmp_path / "gate"
    theirs.write_text("old-token\nnew-token\n")
    ours.write_text("old-token\n")
    models = [{**PARROT[0], "settings": {"gate": str(gate)}}]
    tensor = Tensor.from_array(np.zeros(5 << 20, np.uint8))
    async with (
        serving(models, token_file=str(theirs)) as far,
        through(serving, far, token_file=str(ours)) as client,
    ):
        assert isinstance(await client.ask("far", said("repeat", tensor)), Answer)
        first = asyncio.create_task(client.ask("far", said("wait")))
        await until(lambda: far.listener.admission.calls == 1)
        ours.write_text("new-token\n")
        await asyncio.sleep(1.5)
        theirs.write_text("new-token\n")
        gate.touch()
        assert words_of(await first) == "wait"
        # Put again, for it belongs to whoever has the token.
        assert isinstance(await client.ask("far", said("repeat", tensor)), Answer)
        assert await state_of(client) == "ready"


async def test_the_other_server_is_reached_over_tls(
    serving: Serving, tls: dict[str, str], authority: Callable[..., Path], tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token\n")
    root = {"root": str(authority("authority"))}
    async with serving(PARROT, tls=tls, token_file=str(tokens)) as far:
        async with through(serving, far, tls=root, token_file=str(tokens)) as client:
            assert words_of(await client.ask("far", said("sealed"))) == "sealed"
        async with through(serving, far, token_file=str(tokens)) as client:
            assert await state_of(client) == "loading"


async def test_a_connection_that_may_not_be_is_a_failure_and_says_what_to_do(serving: Serving, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token\n")
    models = [
        {"name": "clear", "remote": {"target": "models.example:50051/a", "token_file": str(tokens)}},
        {"name": "tokenless", "remote": {"target": "127.0.0.1:1/a", "token_file": str(tmp_path / "nothing")}},
        {"name": "rootless", "remote": {"target": "127.0.0.1:1/a", "tls": {"root": str(tmp_path / "nothing")}}},
        LOCAL,
    ]
    async with serving(models, loads=False) as near:
        failed = await near.load()
        async with AsyncClient(near.listener.address) as client:
            states = {info.card.name: info.state for info in await client.models() if info.card.name}
            assert words_of(await client.ask("local", said("here"))) == "here"
    assert "refusing to send a token to models.example:50051 in the clear; use TLS" in str(failed["clear"])
    assert f"cannot read the token file {tmp_path / 'nothing'}" in str(failed["tokenless"])
    assert f"cannot read the TLS file {tmp_path / 'nothing'}" in str(failed["rootless"])
    assert states == {"clear": "failed", "local": "ready", "rootless": "failed", "tokenless": "failed"}


async def test_models_that_wait_for_each_other_are_never_ready_and_nothing_hangs(
    serving: Serving, tmp_path: Path
) -> None:
    one, other = (f"unix:{tmp_path / name}" for name in ("one", "other"))
    async with (
        serving([remote(other, "far")], listen=one, loads=False) as first,
        serving([remote(one, "far")], listen=other, loads=False) as second,
        AsyncClient(one, ONCE) as client,
    ):
        await asyncio.gather(first.load(), second.load())
        await asyncio.sleep(1.5)
        assert await state_of(client) == "loading"
        with pytest.raises(errors.ModelNotReadyError):
            await client.ask("far", said("round and round"))


class Bare(pb_grpc.ModelServiceServicer):
    """Somebody's server: one model, one call, and no streams; its answers are what the call's instruction says."""

    def __init__(self) -> None:
        self.card = pb.Card(name="bare", version="1", calls=[pb.CallSupport(call=pb.CALL_KIND_LANGUAGE)])
        for kinds in (self.card.calls[0].input_kinds, self.card.calls[0].output_kinds):
            kinds.append(content_pb2.KIND_TEXT)

    async def GetModel(self, request: Any, context: Any) -> pb.GetModelResponse:  # noqa: N802  (the contract's name)
        return pb.GetModelResponse(model=pb.Model(card=self.card, state=pb.MODEL_STATE_READY))

    async def Language(self, request: Any, context: Any) -> pb.LanguageResponse:  # noqa: N802  (the contract's name)
        match request.call.instruction:
            case "secret":
                raise RuntimeError("sesame-4711")
            case "denied":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
            case "empty":
                return pb.LanguageResponse()
        response = pb.LanguageResponse()
        response.outcome.answer.finish_reason = pb.FINISH_REASON_COMPLETE
        response.outcome.answer.parts.add().text.value = "bare"
        return response


@asynccontextmanager
async def bare() -> AsyncIterator[tuple[Bare, str]]:
    server, healthy = grpc.aio.server(), health.aio.HealthServicer()
    servicer = Bare()  # type: ignore[abstract]  # the stubs want every method
    pb_grpc.add_ModelServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    await healthy.set("bare", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


async def test_anybodys_server_will_do_and_what_it_breaks_is_told(serving: Serving) -> None:
    async with (
        bare() as (_, address),
        serving([remote(address, "bare")]) as near,
        AsyncClient(near.listener.address, ONCE) as client,
    ):
        request = said("", Text("hello"), call=Call.LANGUAGE)
        assert words_of(await client.ask("far", request)) == "bare"
        # It streams nothing, so the whole answer is.
        *deltas, outcome = [piece async for piece in client.stream_language("far", request)]
        assert (deltas, words_of(outcome)) == (["bare"], "bare")  # type: ignore[arg-type]  # the last is an outcome
        with pytest.raises(errors.OutputInvalidError, match="breaks the contract"):
            await client.ask("far", said("empty", Text("x"), call=Call.LANGUAGE))
        with suppress(errors.ModelNotReadyError):
            await client.ask("far", said("denied", Text("x"), call=Call.LANGUAGE))
            raise AssertionError("another's refusal was answered")
        await becomes(client, "ready")
        with pytest.raises(EchelonError) as caught:
            await client.ask("far", said("secret", Text("x"), call=Call.LANGUAGE))
    assert "sesame" not in str(caught.value)


async def test_a_card_that_breaks_the_contract_is_waited_for_to_be_put_right(serving: Serving) -> None:
    async with bare() as (servicer, address):
        servicer.card.max_batch_size = -1
        async with (
            serving([remote(address, "bare")]) as near,
            AsyncClient(near.listener.address, ONCE) as client,
        ):
            assert await state_of(client) == "loading"
            servicer.card.max_batch_size = 8
            await becomes(client, "ready")
            assert (await client.model("far")).card.max_batch_size == 8
            servicer.card.version = "v" * 65
            await becomes(client, "loading")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"name": "a"}, "'adapter' is required, or 'remote' for a model on another server"),
        ({"name": "a", "isolation": "remote"}, "remote: {target: ADDRESS/MODEL}"),
        ({"name": "a", "isolation": "remote", "adapter": "null"}, "remote: {target: ADDRESS/MODEL}"),
        ({"name": "a", "remote": {"target": "somewhere"}}, "'somewhere' is no target; write ADDRESS/MODEL"),
        ({"name": "a", "remote": {"target": "b:1/b"}, "adapter": "null"}, "decides on adapter; leave that out"),
        (
            {"name": "a", "remote": {"target": "b:1/b"}, "devices": [0], "settings": {"a": 1}},
            "decides on settings, devices; leave that out",
        ),
        ({"name": "a", "remote": {"target": "b:1/b"}, "isolation": "inproc"}, "a remote model is not inproc"),
        ({"name": "a", "remote": {"target": "127.0.0.1:50051/a"}}, "the remote model a is its own target"),
    ],
)
def test_what_makes_no_sense_together_is_told(model: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        load(ServerConfig, {"models": [model]})
    assert words in str(caught.value)


def test_a_remote_model_may_say_that_it_is_one() -> None:
    load(ServerConfig, {"models": [{"name": "a", "isolation": "remote", "remote": {"target": "unix:/a/b"}}]})


def test_serve_says_what_is_not_there_yet(processes: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "server.yaml"
    config.write_text(f"models: [{{name: far, remote: {{target: 'unix:{tmp_path}/socket/parrot'}}}}]\n")
    process, _ = processes("--config", str(config))
    process.terminate()
    _, logged = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '"event": "remote model is away"' in logged
    assert "UNREACHABLE" in logged


@pytest.mark.timeout(300)
def test_the_vendors_kit_finds_nothing_wrong_with_a_model_behind_two_servers(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    address = address_of(processes("--model", "chance=chance", "--log-level", "error"))
    config = tmp_path / "server.yaml"
    config.write_text(f"models: [{{name: far, remote: {{target: '{address}/chance'}}}}]\n")
    near = address_of(processes("--config", str(config), "--log-level", "error"))
    with Kit(Conformance(f"{near}/far")) as kit:
        findings = [kit.run(check) for check in CHECKS]
    assert [(finding.check, finding.said) for finding in findings if finding.state is State.FAILED] == []
    assert {finding.check for finding in findings if finding.state is State.SKIPPED} == {"usage", "memory", "drain"}
