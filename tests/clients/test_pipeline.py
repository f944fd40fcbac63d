"""The fast lane: packing, order, cancellation, and streams that break."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from echelon.adapters import Answer, Call, Request, Tensor, Text, errors
from echelon.clients import AsyncClient, Options, Pipeline, Retry
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
PATIENT = Options(retry=Retry(attempts=100, longest_delay_s=0.3))


def said(instruction: str, *parts: Any, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, **more)


def words_of(outcome: Any) -> str:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


def call(number: int, instruction: str = "", **more: Any) -> pb.PipelineCall:
    more = {"kind": pb.CALL_KIND_COMPREHEND, "call": pb.Call(model="parrot", instruction=instruction), **more}
    return pb.PipelineCall(id=number, **more)


async def results_of(address: str, *frames: pb.PipelineRequest) -> list[pb.PipelineResult]:
    """What a raw stream of these frames gets back."""
    async with grpc.aio.insecure_channel(address) as channel:
        stream: Any = pb_grpc.ModelServiceStub(channel).Pipeline(iter(frames))
        return [result async for frame in stream for result in frame.results]


async def test_many_calls_come_back_each_to_its_caller(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client, Pipeline(client) as pipeline:
        asked = [pipeline.ask("parrot", said(f"{n}")) for n in range(500)]
        assert [words_of(outcome) for outcome in await asyncio.gather(*asked)] == [f"{n}" for n in range(500)]


async def test_small_calls_travel_together_and_large_ones_alone() -> None:
    frames: list[tuple[int, int]] = []

    class Servicer(pb_grpc.ModelServiceServicer):
        async def Pipeline(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.PipelineResponse]:  # noqa: N802  (the contract's name)
            async for frame in request_iterator:
                frames.append((len(frame.calls), frame.ByteSize()))
                answer = pb.Answer(parts=[content_pb2.Part(text=content_pb2.Text(value="yes"))])
                results = [pb.PipelineResult(id=call.id, outcome=pb.Outcome(answer=answer)) for call in frame.calls]
                yield pb.PipelineResponse(results=results)

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    pb_grpc.add_ModelServiceServicer_to_server(Servicer(), server)  # type: ignore[abstract]  # one method is enough
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    large = Tensor.from_array(np.zeros(3 << 20, np.uint8))
    async with AsyncClient(f"127.0.0.1:{port}") as client, Pipeline(client) as pipeline:
        small = [pipeline.ask("any", said("x" * 1000)) for _ in range(3000)]
        await asyncio.gather(
            *small, pipeline.ask("any", said("", large)), *(pipeline.ask("any", said("")) for _ in range(9))
        )
    await server.stop(None)
    assert sum(calls for calls, _ in frames) == 3010
    assert len(frames) < 12
    assert [calls for calls, size in frames if size > 1 << 21] == [1]
    assert all(size < (1 << 20) + 8192 for calls, size in frames if calls > 1)


async def test_answers_come_in_the_order_in_which_they_are_done(serving: Serving, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow = {"name": "slow", "adapter": "acme", "settings": {"gate": str(gate)}}
    models = [slow, {"name": "parrot", "adapter": "acme"}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client, Pipeline(client) as pipeline:
        held = asyncio.create_task(pipeline.ask("slow", said("wait")))
        assert words_of(await pipeline.ask("parrot", said("quick"))) == "quick"
        assert not held.done()
        gate.touch()
        assert words_of(await held) == "wait"


async def test_a_cancelled_call_is_told_to_the_server(serving: Serving, tmp_path: Path, until: Any) -> None:
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client, Pipeline(client) as pipeline:
        held = asyncio.create_task(pipeline.ask("parrot", said("wait")))
        await until(lambda: server.listener.admission.calls)
        held.cancel()
        # The gate stays shut: the model is free only if the cancellation arrived.
        assert words_of(await pipeline.ask("parrot", said("next"))) == "next"


async def test_cancelling_what_is_not_under_way_does_nothing(serving: Serving) -> None:
    async with serving() as server:
        frame = pb.PipelineRequest(cancel_ids=[7, -1], calls=[call(1, "fine")])
        (result,) = await results_of(server.listener.address, frame, pb.PipelineRequest(cancel_ids=[2]))
    assert result.outcome.answer.parts[0].text.value == "fine"


async def test_an_id_that_is_in_use_ends_the_stream(serving: Serving) -> None:
    async with serving() as server:
        with pytest.raises(grpc.aio.AioRpcError, match="call id 3 is in use") as caught:
            await results_of(server.listener.address, pb.PipelineRequest(calls=[call(3, "sleep"), call(3)]))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_broken_call_on_a_stream_fails_alone(serving: Serving) -> None:
    broken = [
        call(1, kind=pb.CALL_KIND_UNSPECIFIED),
        call(2, kind=77),
        call(-3),
        call(4, call=pb.Call()),
        call(5, "fine"),
    ]
    async with serving() as server:
        results = await results_of(server.listener.address, pb.PipelineRequest(calls=broken))
    codes = {result.id: result.status.code for result in results}
    assert codes == {1: 3, 2: 3, -3: 3, 4: 3, 5: 0}


async def test_a_call_larger_than_the_client_sends_is_refused_alone(serving: Serving) -> None:
    large = Tensor.from_array(np.zeros((1 << 20) - 30, np.uint8))
    options = Options(message_bytes=1 << 20)
    async with (
        serving() as server,
        AsyncClient(server.listener.address, options) as client,
        Pipeline(client) as pipeline,
    ):
        other = asyncio.create_task(pipeline.ask("parrot", said("other")))
        with pytest.raises(errors.LimitExceededError, match="a message at most 1048576"):
            await pipeline.ask("parrot", said("", large))
        assert words_of(await other) == "other"


async def test_a_call_larger_than_the_server_takes_fails_alone(serving: Serving) -> None:
    large = Tensor.from_array(np.zeros(2 << 20, np.uint8))
    limits = {"message_bytes": 1 << 20}
    async with (
        serving(limits=limits) as server,
        AsyncClient(server.listener.address) as client,
        Pipeline(client) as pipeline,
    ):
        others = [asyncio.create_task(pipeline.ask("parrot", said(f"{n}"))) for n in range(5)]
        with pytest.raises(errors.LimitExceededError, match="larger than max"):
            await pipeline.ask("parrot", said("", large))
        assert [words_of(await other) for other in others] == [f"{n}" for n in range(5)]


async def test_a_client_that_does_not_read_is_not_read_from(serving: Serving) -> None:
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stream: Any = pb_grpc.ModelServiceStub(channel).Pipeline()
        written = 0
        # One at a time, so that the server has an answer before it is offered the next call.
        while await larges_asked(server, at_least=written):
            assert written < 100
            await stream.write(pb.PipelineRequest(calls=[call(written, f"large {1 << 20}")]))
            written += 1
        reading = asyncio.create_task(drain(stream, written))
        await stream.done_writing()
        assert await reading == written


async def larges_asked(server: Any, *, at_least: int) -> bool:
    """Whether the model was asked for so many large answers; False once it has been waited for in vain."""
    async with AsyncClient(server.listener.address) as client:
        for _ in range(40):
            batches = json.loads(words_of(await client.ask("parrot", said("diary"))))
            if sum(word.startswith("large") for batch in batches for word in batch) >= at_least:
                return True
            await asyncio.sleep(0.05)
    return False


async def drain(stream: Any, count: int) -> int:
    return len([result.id async for frame in stream for result in frame.results])


async def test_unanswered_calls_are_sent_again_to_a_server_that_comes_back(
    processes: Callable[..., Any], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"gate: {gate}\n")
    process, address = processes("--model", f"parrot=acme:{settings}")
    async with AsyncClient(address, PATIENT) as client, Pipeline(client) as pipeline:
        assert words_of(await pipeline.ask("parrot", said("before"))) == "before"
        asked = [asyncio.create_task(pipeline.ask("parrot", said(word))) for word in ("wait", "a", "b", "c")]
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        gate.touch()
        processes("--model", f"parrot=acme:{settings}", listen=address)
        assert [words_of(outcome) for outcome in await asyncio.gather(*asked)] == ["wait", "a", "b", "c"]
        batches = json.loads(words_of(await pipeline.ask("parrot", said("diary"))))
    assert sorted(word for batch in batches for word in batch) == ["a", "b", "c", "diary", "wait"]


async def test_an_answer_that_was_lost_on_the_way_is_not_made_twice(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        request = said("once", id="sample-1")
        for _ in range(3):
            async with Pipeline(client) as pipeline:
                assert words_of(await pipeline.ask("parrot", request)) == "once"
        assert json.loads(words_of(await client.ask("parrot", said("diary")))) == [["once"], ["diary"]]


async def test_a_server_that_stays_away_is_told_to_every_caller() -> None:
    impatient = Options(retry=Retry(attempts=2, first_delay_s=0.01))
    async with AsyncClient("127.0.0.1:9", impatient) as client, Pipeline(client) as pipeline:
        asked = [pipeline.ask("parrot", said("x")) for _ in range(3)]
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert type(error) is errors.UnreachableError


async def test_a_draining_server_answers_what_it_took_and_ends_idle_streams(
    serving: Serving, tmp_path: Path, until: Any
) -> None:
    gate = tmp_path / "gate"
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(gate)}}]
    impatient = Options(retry=Retry(attempts=1))
    async with (
        serving(models, drain_s=30.0) as server,
        AsyncClient(server.listener.address, impatient) as client,
        Pipeline(client) as busy,
        Pipeline(client) as idle,
    ):
        assert words_of(await idle.ask("parrot", said("done"))) == "done"
        held = asyncio.create_task(busy.ask("parrot", said("wait")))
        await until(lambda: server.listener.admission.calls)
        started = time.monotonic()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.1)
        assert not stopping.done()
        gate.touch()
        assert words_of(await held) == "wait"
        await stopping
        assert time.monotonic() - started < 5
        with pytest.raises(errors.UnreachableError):
            await idle.ask("parrot", said("too late"))


async def test_a_closed_pipeline_keeps_nobody_waiting(serving: Serving, tmp_path: Path) -> None:
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        async with Pipeline(client) as pipeline:
            held = asyncio.create_task(pipeline.ask("parrot", said("wait")))
            await asyncio.sleep(0.05)
        with pytest.raises(errors.UnreachableError, match="closed"):
            await held
        with pytest.raises(errors.UnreachableError, match="closed"):
            await pipeline.ask("parrot", said("later"))


async def test_a_pipeline_whose_client_is_closed_keeps_nobody_waiting(serving: Serving) -> None:
    async with serving() as server:
        client = AsyncClient(server.listener.address, Options(retry=Retry(attempts=2, first_delay_s=0.01)))
        async with Pipeline(client) as pipeline:
            await pipeline.ask("parrot", said("x"))
            await client.close()
            with pytest.raises(errors.UnreachableError):
                await pipeline.ask("parrot", said("x"))


@pytest.mark.parametrize("timeout_s", [0.0, 1e-9])
async def test_no_time_at_all_is_a_budget_that_is_exceeded(serving: Serving, timeout_s: float) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client, Pipeline(client) as pipeline:
        with pytest.raises(errors.BudgetExceededError):
            await pipeline.ask("parrot", said("x"), timeout_s=timeout_s)


async def test_more_time_than_the_contract_gives_is_cut(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client, Pipeline(client) as pipeline:
        assert words_of(await pipeline.ask("parrot", said("x"), timeout_s=1e6)) == "x"
