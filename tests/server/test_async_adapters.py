"""Adapters that run on the server's own loop, and answers that come part by part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from echelon.adapters import Answer, Call, FinishReason, Refusal, Request, Tensor, Text, errors
from echelon.clients import AsyncClient, Options, PartSlice, Pipeline, Retry
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
SECRET = "sesame-4711"
MODEL = [{"name": "stream", "adapter": "acme-async"}]
ONCE = Options(retry=Retry(attempts=1))


def said(instruction: str, *parts: Any, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, **more)


async def collected(client: AsyncClient, model: str, request: Request, **more: Any) -> list[Any]:
    return [piece async for piece in client.stream_generate(model, request, **more)]


async def test_many_calls_run_at_once(serving: Serving) -> None:
    async with serving(MODEL) as server, AsyncClient(server.listener.address) as client:
        outcomes = await asyncio.gather(*(client.ask("stream", said("nap")) for _ in range(20)))
    assert any(isinstance(outcome, Answer) and outcome.parts == (Text("at most 20 at once"),) for outcome in outcomes)


@pytest.mark.parametrize("instruction", ["raise", "exit", "cancel"])
@pytest.mark.parametrize("lane", ["unary", "pipeline"])
async def test_whatever_the_adapter_raises_fails_its_call_alone(serving: Serving, instruction: str, lane: str) -> None:
    async with (
        serving(MODEL) as server,
        AsyncClient(server.listener.address, ONCE) as client,
        Pipeline(client) as pipeline,
    ):
        asker: Any = client if lane == "unary" else pipeline
        other = asyncio.create_task(asker.ask("stream", said("nap")))
        with pytest.raises(errors.AdapterFailedError, match="incident") as caught:
            await asker.ask("stream", said(instruction))
        assert SECRET not in str(caught.value)
        assert isinstance(await other, Answer)


@pytest.mark.parametrize("lane", ["unary", "pipeline"])
async def test_a_call_that_is_given_up_is_cancelled_in_the_adapter(
    serving: Serving, tmp_path: Path, lane: str, until: Any
) -> None:
    notes = tmp_path / "notes"
    models = [{**MODEL[0], "settings": {"notes": str(notes)}}]
    async with (
        serving(models) as server,
        AsyncClient(server.listener.address) as client,
        Pipeline(client) as pipeline,
    ):
        asker: Any = client if lane == "unary" else pipeline
        with pytest.raises(errors.BudgetExceededError):
            await asker.ask("stream", said("sleep"), timeout_s=0.1)
        await until(notes.exists)
    assert notes.read_text() == "cancelled"


async def test_parts_arrive_as_the_adapter_makes_them(serving: Serving) -> None:
    parts = (Text("first"), Text(""), Text("second", "en", name="last"))
    request = said("parts", *parts)
    async with serving(MODEL) as server, AsyncClient(server.listener.address) as client:
        pieces = await collected(client, "stream", request)
        hanging = client.stream_generate("stream", said("hang", *parts))
        assert await anext(hanging) == PartSlice(0, 0, b"first")
        await hanging.aclose()
    assert pieces[:-1] == [PartSlice(0, 0, b"first"), PartSlice(2, 0, b"second")]
    assert isinstance(pieces[-1], Answer)
    assert pieces[-1].parts == parts


async def test_an_answer_that_is_made_at_once_is_streamed_too(serving: Serving) -> None:
    models = [*MODEL, {"name": "parrot", "adapter": "acme"}]
    tensor = Tensor.from_array(np.arange(200_000, dtype=np.float32))
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        pieces = await collected(client, "parrot", said("repeat", tensor, Text("and words")))
        assert (await collected(client, "stream", said("whole")))[-1].parts == (Text("all at once"),)
        (refusal,) = await collected(client, "parrot", said("refuse"))
    assert isinstance(refusal, Refusal)
    assert refusal.text == "I would rather not."
    assert pieces[-1].parts == (tensor, Text("and words"))
    assert b"".join(piece.data for piece in pieces[:-2]) == tensor.data
    assert len(pieces) == 6


async def test_a_stream_that_fails_half_way_gives_no_outcome(serving: Serving) -> None:
    async with serving(MODEL) as server, AsyncClient(server.listener.address, ONCE) as client:
        pieces = client.stream_generate("stream", said("raise", Text("half")))
        assert await anext(pieces) == PartSlice(0, 0, b"half")
        with pytest.raises(errors.AdapterFailedError, match="incident") as caught:
            await anext(pieces)
    assert SECRET not in str(caught.value)


async def test_a_stream_of_what_was_not_asked_for_gives_no_outcome(serving: Serving) -> None:
    async with serving(MODEL) as server, AsyncClient(server.listener.address, ONCE) as client:
        with pytest.raises(errors.OutputInvalidError, match="streamed no part"):
            await collected(client, "stream", said("parts"))


@pytest.mark.parametrize("isolation", ["inproc", "subprocess"])
async def test_the_outcome_may_come_after_the_parts(serving: Serving, isolation: str) -> None:
    parts = (Text("first"), Text("second"))
    async with (
        serving([{**MODEL[0], "isolation": isolation}]) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        *slices, total = await collected(client, "stream", said("total", *parts))
        *_, refusal = await collected(client, "stream", said("refuse", *parts))
        *_, more = await collected(client, "stream", said("more", *parts))
        for lie in ("other", "late"):
            with pytest.raises(errors.OutputInvalidError, match="streamed"):
                await collected(client, "stream", said(lie, *parts))
    assert slices == [PartSlice(0, 0, b"first"), PartSlice(1, 0, b"second")]
    assert (total.parts, total.finish_reason) == (parts, FinishReason.LENGTH)
    assert (total.usage.input_token_count, total.usage.cost_nano_usd) == (3, 5)
    assert refusal.text == "No more of this."
    assert more.parts == (*parts, Text("and more"))


async def test_whole_parts_may_be_read_instead_of_their_slices(serving: Serving) -> None:
    tensor = Tensor.from_array(np.arange(200_000, dtype=np.float32))
    models = [*MODEL, {"name": "parrot", "adapter": "acme"}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        pieces = [piece async for piece in client.stream_parts("parrot", said("repeat", tensor, Text("and words")))]
        hanging = client.stream_parts("stream", said("hang", Text("first"), Text("second")))
        assert await anext(hanging) == Text("first")
        await hanging.aclose()
    assert pieces[:2] == [tensor, Text("and words")]
    whole = pieces[2]
    assert isinstance(whole, Answer)
    assert whole.parts == tuple(pieces[:2])
    assert len(pieces) == 3


async def test_a_stream_ends_with_its_budget_and_closes_the_adapters_generator(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    notes = tmp_path / "notes"
    models = [{**MODEL[0], "settings": {"notes": str(notes)}}]
    hang = said("hang", Text("one"), deadline=time.monotonic() + 0.2)
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        with pytest.raises(errors.BudgetExceededError):
            await collected(client, "stream", hang)
        await until(notes.exists)
        assert server.listener.admission.calls == 0


async def test_a_stream_cut_off_by_the_end_of_its_server_gives_no_outcome(serving: Serving) -> None:
    async with serving(MODEL, drain_s=0.1) as server, AsyncClient(server.listener.address, ONCE) as client:
        pieces = client.stream_generate("stream", said("hang", Text("one"), Text("two")))
        assert await anext(pieces) == PartSlice(0, 0, b"one")
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(errors.UnreachableError):
            await anext(pieces)
        await stopping


START = pb.StreamGenerateResponse(part_start=pb.PartStart(part=content_pb2.Part(text=content_pb2.Text())), sequence=0)
DELTA = pb.StreamGenerateResponse(part_delta=pb.PartDelta(data=b"yes"), sequence=1)
DIGEST = bytes.fromhex("8a798890fe93817163b10b5f7bd2ca4d25d84c52739a645a889c173eee7d9d3d")
END_PART = pb.StreamGenerateResponse(part_end=pb.PartEnd(size_bytes=3, sha256=DIGEST), sequence=2)
END = pb.StreamGenerateResponse(end=pb.StreamEnd(finish_reason=pb.FINISH_REASON_COMPLETE, part_count=1), sequence=3)
LIES: dict[str, tuple[list[pb.StreamGenerateResponse], type[errors.EchelonError]]] = {
    "nothing at all": ([], errors.UnreachableError),
    "no end": ([START, DELTA, END_PART], errors.UnreachableError),
    "a gap": ([START, END_PART], errors.OutputInvalidError),
    "an end in the middle of a part": (
        [START, DELTA, pb.StreamGenerateResponse(sequence=2, end=pb.StreamEnd(part_count=1))],
        errors.OutputInvalidError,
    ),
    "more after the end": (
        [START, DELTA, END_PART, END, pb.StreamGenerateResponse(sequence=4, part_delta=pb.PartDelta(data=b"!"))],
        errors.OutputInvalidError,
    ),
    "a wrong digest": (
        [START, DELTA, pb.StreamGenerateResponse(sequence=2, part_end=pb.PartEnd(size_bytes=3, sha256=bytes(32)))],
        errors.OutputInvalidError,
    ),
    "a wrong count": (
        [START, DELTA, END_PART, pb.StreamGenerateResponse(sequence=3, end=pb.StreamEnd(part_count=2))],
        errors.OutputInvalidError,
    ),
    "a slice out of place": (
        [START, pb.StreamGenerateResponse(sequence=1, part_delta=pb.PartDelta(offset_bytes=1, data=b"es"))],
        errors.OutputInvalidError,
    ),
    "an unknown event": ([pb.StreamGenerateResponse()], errors.OutputInvalidError),
    "a part that breaks the contract": (
        [
            pb.StreamGenerateResponse(part_start=pb.PartStart(part=content_pb2.Part(role=77))),  # type: ignore[arg-type]  # a liar's
            pb.StreamGenerateResponse(
                sequence=1,
                part_end=pb.PartEnd(
                    sha256=bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
                ),
            ),
            pb.StreamGenerateResponse(sequence=2, end=pb.StreamEnd(part_count=1)),
        ],
        errors.OutputInvalidError,
    ),
    "more than was agreed": (
        [START, pb.StreamGenerateResponse(sequence=1, part_delta=pb.PartDelta(data=bytes(2000)))],
        errors.LimitExceededError,
    ),
}


class Scripted(pb_grpc.ModelServiceServicer):
    """A server that says what it is told."""

    def __init__(self, script: list[pb.StreamGenerateResponse]) -> None:
        self._script = script

    async def StreamGenerate(self, request: Any, context: Any) -> AsyncIterator[pb.StreamGenerateResponse]:  # noqa: N802  (the contract's name)
        for event in self._script:
            yield event


async def told(script: list[pb.StreamGenerateResponse]) -> list[Any]:
    """What a client makes of the script."""
    server = grpc.aio.server()
    pb_grpc.add_ModelServiceServicer_to_server(Scripted(script), server)  # type: ignore[abstract]  # one method is enough
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncClient(f"127.0.0.1:{port}", Options(message_bytes=1000)) as client:
            return await collected(client, "any", said(""))
    finally:
        await server.stop(None)


async def test_a_stream_that_adds_up_is_believed() -> None:
    pieces = await told([START, DELTA, END_PART, END])
    assert pieces == [PartSlice(0, 0, b"yes"), Answer((Text("yes"),))]


@pytest.mark.parametrize("lie", LIES)
async def test_a_stream_that_does_not_add_up_is_not_believed(lie: str) -> None:
    script, kind = LIES[lie]
    with pytest.raises(kind):
        await told(script)
