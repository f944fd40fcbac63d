"""Text that is streamed as it is written, from both kinds of adapters."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import grpc
import pytest

from echelon.adapters import Answer, Call, Choice, FinishReason, Refusal, Request, Text, Usage, errors
from echelon.clients import AsyncClient, Client, Options, Retry
from echelon.server import pieces
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
SECRET = "sesame-4711"
ONCE = Options(retry=Retry(attempts=1))
ADAPTERS = ("acme-writer", "acme-async-writer")


def writer(adapter: str, **settings: Any) -> list[dict[str, Any]]:
    return [{"name": "writer", "adapter": adapter, "settings": {key: str(path) for key, path in settings.items()}}]


def said(instruction: str, text: str = "once upon a time", **more: Any) -> Request:
    return Request(Call.LANGUAGE, instruction, (Text(text),), **more)


async def collected(client: AsyncClient, request: Request, model: str = "writer", **more: Any) -> list[Any]:
    return [piece async for piece in client.stream_language(model, request, **more)]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_text_arrives_as_it_is_written_and_its_outcome_last(serving: Serving, adapter: str) -> None:
    async with serving(writer(adapter)) as server, AsyncClient(server.listener.address) as client:
        *words, outcome = await collected(client, said("say", "once upon a tïme"))
    assert "".join(words) == "once upon a tïme "
    assert isinstance(outcome, Answer)
    assert outcome.parts == (Text("once upon a tïme ", "en", name="reply"),)
    assert outcome.finish_reason is FinishReason.LENGTH
    assert (outcome.usage.input_token_count, outcome.usage.cost_nano_usd) == (3, 5)
    assert outcome.usage != Usage(3, 2, 5), "the server's times are missing"


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_the_first_word_does_not_wait_for_the_last(serving: Serving, tmp_path: Path, adapter: str) -> None:
    models = writer(adapter, gate=tmp_path / "gate")
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        hanging = client.stream_language("writer", said("wait", "first"))
        assert await anext(hanging) == "first "
        await hanging.aclose()


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_refusal_may_come_after_text(serving: Serving, adapter: str) -> None:
    async with serving(writer(adapter)) as server, AsyncClient(server.listener.address) as client:
        *words, refusal = await collected(client, said("refuse"))
    assert "".join(words) == "once upon a time "
    assert isinstance(refusal, Refusal)
    assert refusal.text == "No more of this."


@pytest.mark.parametrize("adapter", [*ADAPTERS, "acme", "acme-slow"])
async def test_what_is_answered_at_once_is_streamed_too(serving: Serving, adapter: str) -> None:
    models = [{"name": "writer", "adapter": adapter}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        *words, outcome = await collected(client, said("whole", "at once"))
        whole = await client.language("writer", said("whole", "at once"))
    assert isinstance(outcome, Answer)
    assert isinstance(whole, Answer)
    assert outcome.parts == whole.parts
    assert words == [whole.parts[0].value]  # type: ignore[attr-defined]  # it is text


async def test_an_answer_without_text_is_all_in_the_final_event(serving: Serving) -> None:
    async with serving(writer(ADAPTERS[0])) as server, AsyncClient(server.listener.address) as client:
        with pytest.raises(errors.OutputInvalidError, match="incident"):
            await collected(client, said("choice"))
    models = [{"name": "chance", "adapter": "chance"}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        (outcome,) = await collected(client, said("pick", labels=("a",)), "chance")
    assert isinstance(outcome, Answer)
    assert isinstance(outcome.parts[0], Choice)


BROKEN = {
    "other": "are not the text that it answered",
    "silent": "ended without an outcome",
    "twice": "streamed Answer after its outcome",
    "late": "streamed str after its outcome",
    "number": "int, neither Answer nor Refusal",
    "half": "half a surrogate pair",
    "long": "more than 1048576 characters",
}


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_stream_that_breaks_the_contract_gives_no_outcome(serving: Serving, adapter: str) -> None:
    async with serving(writer(adapter)) as server, AsyncClient(server.listener.address, ONCE) as client:
        for instruction, words in BROKEN.items():
            with pytest.raises(errors.OutputInvalidError) as caught:
                await collected(client, said(instruction))
            assert words in str(caught.value)
        assert isinstance((await collected(client, said("say")))[-1], Answer)
        assert server.listener.admission.calls == 0


@pytest.mark.parametrize("instruction", ["raise", "exit", "cancel", "open"])
@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_what_the_adapter_raises_stays_in_the_log(serving: Serving, adapter: str, instruction: str) -> None:
    async with serving(writer(adapter)) as server, AsyncClient(server.listener.address, ONCE) as client:
        with pytest.raises(errors.AdapterFailedError, match="incident") as caught:
            await collected(client, said(instruction))
        assert SECRET not in str(caught.value)
        with pytest.raises(errors.BackendError, match="the GPU is gone"):
            await collected(client, said("backend"))


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_who_leaves_ends_the_adapters_stream(serving: Serving, tmp_path: Path, adapter: str, until: Any) -> None:
    notes = tmp_path / "notes"
    models = writer(adapter, gate=tmp_path / "gate", notes=notes)
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        hanging = client.stream_language("writer", said("wait"))
        await anext(hanging)
        await hanging.aclose()
        await until(notes.exists)
        await until(lambda: server.listener.admission.calls == 0)
        # Whoever comes next is served.
        assert isinstance((await collected(client, said("say")))[-1], Answer)


@pytest.mark.parametrize("instruction", ["wait", "flood"])
@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_stream_ends_with_its_budget(
    serving: Serving, tmp_path: Path, adapter: str, instruction: str, until: Any
) -> None:
    notes = tmp_path / "notes"
    models = writer(adapter, gate=tmp_path / "gate", notes=notes)
    late = said(instruction, deadline=time.monotonic() + 0.3)
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        with pytest.raises((errors.BudgetExceededError, errors.OutputInvalidError)):
            await collected(client, late)
        await until(notes.exists)
        assert isinstance((await collected(client, said("say")))[-1], Answer)


async def test_a_batch_does_not_run_while_the_model_writes(serving: Serving, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with serving(writer(ADAPTERS[0], gate=gate)) as server, AsyncClient(server.listener.address) as client:
        writing = client.stream_language("writer", said("wait", "first"))
        assert await anext(writing) == "first "
        batch = asyncio.create_task(client.language("writer", said("")))
        done, _ = await asyncio.wait({batch}, timeout=0.2)
        assert not done
        gate.touch()
        assert isinstance([piece async for piece in writing][-1], Answer)
        outcome = await batch
    assert isinstance(outcome, Answer)
    assert outcome.parts == (Text("at once"),)


async def read_out(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_a_reader_that_does_not_read_loses_the_model(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "STALL_S", 0.2)
    part = content_pb2.Part(text=content_pb2.Text(value="never"))
    message = pb.StreamLanguageRequest(call=pb.Call(model="writer", instruction="flood", parts=[part]))
    # So that little fits into the transport.
    options = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024))
    async with (
        serving(writer(ADAPTERS[0])) as server,
        grpc.aio.insecure_channel(server.listener.address, options) as channel,
        AsyncClient(server.listener.address) as client,
    ):
        stub: Any = pb_grpc.ModelServiceStub(channel)
        silent = stub.StreamLanguage(message)
        await silent.read()
        assert isinstance((await collected(client, said("say")))[-1], Answer)
        with pytest.raises(grpc.aio.AioRpcError, match="nobody read the stream"):
            await read_out(silent)


async def test_a_worker_waits_for_its_reader_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "STALL_S", 0.1)
    unread = pieces.Pieces(said(""))
    with pytest.raises(errors.BudgetExceededError, match="nobody read the stream"):
        await asyncio.to_thread(unread.play, repeat("x" * 1000))

    monkeypatch.setattr(pieces, "STALL_S", 30.0)
    slow = pieces.Pieces(said(""))
    items = [*("x" * 1000 for _ in range(500)), Refusal()]
    playing = asyncio.get_running_loop().run_in_executor(None, slow.play, items)
    playing.add_done_callback(lambda _: slow.end())
    most = read = 0
    async for piece in slow.read():
        most, read = max(most, len(piece)), read + len(piece)
        await asyncio.sleep(0.001)
    assert read == 500_000
    assert most < pieces.UNREAD_CHARACTERS + 1000
    assert await playing == Refusal()


async def test_asking_again_under_one_id_gives_the_same_text(serving: Serving, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with serving(writer(ADAPTERS[0], notes=notes)) as server, AsyncClient(server.listener.address) as client:
        first = await collected(client, said("say", id="one"))
        notes.unlink()
        again = await collected(client, said("say", id="one"))
        assert not notes.exists()
        with pytest.raises(errors.InvalidInputError, match="used before"):
            await collected(client, said("say", "other", id="one"))
        # Cut off half way, nothing is remembered.
        with pytest.raises(errors.OutputInvalidError):
            await collected(client, said("other", id="two"))
    assert (again[0], again[-1]) == ("once upon a time ", first[-1])


def test_the_synchronous_client_streams_too(processes: Callable[..., Any]) -> None:
    _, address = processes("--model", "writer=acme-writer", "--model", "stream=acme-async")
    with Client(address, ONCE) as client:
        streamed: list[Any] = list(client.stream_language("writer", said("say")))
        assert "".join(streamed[:-1]) == "once upon a time "
        outcome = streamed[-1]
        assert isinstance(outcome, Answer)
        *slices, generated = client.stream_generate("stream", Request(Call.GENERATE, "parts", (Text("a"), Text("b"))))
        assert len(slices) == 2
        assert isinstance(generated, Answer)
        with pytest.raises(errors.AdapterFailedError):
            list(client.stream_language("writer", said("raise")))
        left = client.stream_language("writer", said("flood"))
        next(left)
        del left
        assert isinstance(list(client.stream_language("writer", said("say")))[-1], Answer)


def event(sequence: int, **event: Any) -> pb.StreamLanguageResponse:
    return pb.StreamLanguageResponse(sequence=sequence, **event)


def end(sequence: int, text: str = "yes", sent: str = "yes", said: str = "") -> pb.StreamLanguageResponse:
    part = content_pb2.Part(text=content_pb2.Text(value=said))
    outcome = pb.Outcome(answer=pb.Answer(parts=[part]))
    digest = hashlib.sha256(text.encode()).digest()
    return event(sequence, end=pb.TextEnd(outcome=outcome, size_bytes=len(sent), sha256=digest))


NO_PLACE = pb.TextEnd(
    outcome=pb.Outcome(answer=pb.Answer(parts=[content_pb2.Part(number=content_pb2.Number())])),
    size_bytes=3,
    sha256=hashlib.sha256(b"yes").digest(),
)
LIES: dict[str, tuple[list[pb.StreamLanguageResponse], type[errors.EchelonError]]] = {
    "nothing at all": ([], errors.UnreachableError),
    "no end": ([event(0, delta="yes")], errors.UnreachableError),
    "a gap": ([event(0, delta="ye"), event(2, delta="s"), end(3)], errors.OutputInvalidError),
    "an order of its own": ([event(1, delta="ye"), event(0, delta="s"), end(2)], errors.OutputInvalidError),
    "a wrong digest": ([event(0, delta="yes"), end(1, text="no!")], errors.OutputInvalidError),
    "a wrong size": ([event(0, delta="yes"), end(1, sent="yes!")], errors.OutputInvalidError),
    "text said twice": ([event(0, delta="yes"), end(1, said="yes")], errors.OutputInvalidError),
    "text without a place": ([event(0, delta="yes"), event(1, end=NO_PLACE)], errors.OutputInvalidError),
    "more after the end": ([event(0, delta="yes"), end(1), event(2, delta="!")], errors.OutputInvalidError),
    "an unknown event": ([event(0)], errors.OutputInvalidError),
    "more than was agreed": ([event(0, delta="x" * 2000)], errors.LimitExceededError),
}


class Scripted(pb_grpc.ModelServiceServicer):
    """A server that says what it is told."""

    def __init__(self, script: list[pb.StreamLanguageResponse]) -> None:
        self._script = script

    async def StreamLanguage(self, request: Any, context: Any) -> AsyncIterator[pb.StreamLanguageResponse]:  # noqa: N802  (the contract's name)
        for each in self._script:
            yield each


async def told(script: list[pb.StreamLanguageResponse]) -> list[Any]:
    """What a client makes of the script."""
    server = grpc.aio.server()
    pb_grpc.add_ModelServiceServicer_to_server(Scripted(script), server)  # type: ignore[abstract]  # one method is enough
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncClient(f"127.0.0.1:{port}", Options(message_bytes=1000)) as client:
            return await collected(client, said(""))
    finally:
        await server.stop(None)


async def test_a_stream_that_adds_up_is_believed() -> None:
    assert await told([event(0, delta="ye"), event(1, delta="s"), end(2)]) == ["ye", "s", Answer((Text("yes"),))]


@pytest.mark.parametrize("lie", LIES)
async def test_a_stream_that_does_not_add_up_is_not_believed(lie: str) -> None:
    script, kind = LIES[lie]
    with pytest.raises(kind):
        await told(script)
