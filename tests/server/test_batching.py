"""Calls that meet in a batch, wait, expire, or are given up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from echelon.adapters import Answer, Call, Request, Tensor, Text, errors
from echelon.clients import AsyncClient, Options, Pipeline, Retry
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))


def said(instruction: str, *parts: Any, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, **more)


def words_of(outcome: Any) -> str:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


async def diary(client: AsyncClient) -> list[list[str]]:
    """The batches that the model was asked, without the question for them."""
    batches: list[list[str]] = json.loads(words_of(await client.ask("parrot", said("diary", Text("now")))))
    return batches[:-1]


class Gate:
    """A model that is held, so that calls pile up behind it."""

    def __init__(self, path: Path, client: AsyncClient) -> None:
        self.path = path
        self.client = client
        self.held = asyncio.create_task(client.ask("parrot", said("wait")))

    async def open(self) -> None:
        self.path.touch()
        await self.held


@pytest.fixture
def gated(serving: Serving, tmp_path: Path) -> Callable[..., Any]:
    """A server whose model is held by one call; the server, a client and the gate."""

    @asynccontextmanager
    async def open_(options: Options = ONCE, model: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[Any]:
        path = tmp_path / "gate"
        said = {"name": "parrot", "adapter": "acme", "max_batch_size": 4, **(model or {})}
        models = [{**said, "settings": {"gate": str(path), **said.get("settings", {})}}]
        async with serving(models, **more) as server, AsyncClient(server.listener.address, options) as client:
            gate = Gate(path, client)
            await started(server)
            try:
                yield server, client, gate
            finally:
                await gate.open()

    return open_


async def until(ready: Callable[[], bool]) -> None:
    while not ready():  # noqa: ASYNC110  (nothing in a server tells this)
        await asyncio.sleep(0.002)


async def started(server: Any, calls: int = 1) -> None:
    """Wait until the server holds so many calls."""
    await until(lambda: server.listener.admission.calls >= calls)
    # And until the model has taken what it can.
    await asyncio.sleep(0.02)


async def test_calls_that_wait_share_a_batch_of_the_size_set(gated: Callable[..., Any]) -> None:
    async with gated() as (server, client, gate):
        asked = [asyncio.create_task(client.ask("parrot", said(f"{n}"))) for n in range(6)]
        await started(server, 7)
        await gate.open()
        outcomes = await asyncio.gather(*asked)
        assert [outcome.parts for outcome in outcomes] == [(Text(f"{n}"),) for n in range(6)]
        sizes = [len(batch) for batch in await diary(client)]
        assert sizes == [1, 4, 2]


async def test_only_calls_of_one_signature_share_a_batch(gated: Callable[..., Any]) -> None:
    tensors = [Tensor.from_array(np.zeros(shape, np.float32)) for shape in ((2,), (3,), (2,), (3,))]
    async with gated() as (server, client, gate):
        asked = [asyncio.create_task(client.ask("parrot", said(f"{t.shape}", t))) for t in tensors]
        asked.append(asyncio.create_task(client.ask("parrot", Request(Call.GENERATE, "made"))))
        await started(server, 6)
        await gate.open()
        await asyncio.gather(*asked)
        batches = [batch for batch in await diary(client) if batch != ["wait"]]
        assert sorted(batches) == [["(2,)", "(2,)"], ["(3,)", "(3,)"], ["made"]]


async def test_a_free_worker_waits_for_a_fuller_batch_only_as_long_as_it_is_told(serving: Serving) -> None:
    models = [{"name": "parrot", "adapter": "acme", "max_batch_size": 2, "max_delay_ms": 200}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        started = time.monotonic()
        await asyncio.gather(*(client.ask("parrot", said(f"{n}")) for n in range(2)))
        full = time.monotonic() - started
        await client.ask("parrot", said("alone"))
        alone = time.monotonic() - started - full
        assert full < 0.15
        assert alone > 0.19
        assert [len(batch) for batch in await diary(client)] == [2, 1]


@pytest.mark.parametrize("trick", ["raise", "exit", "forget"])
async def test_who_spoils_a_batch_fails_alone(gated: Callable[..., Any], trick: str) -> None:
    async with gated() as (server, client, gate):
        asked = [asyncio.create_task(client.ask("parrot", said(word))) for word in ("a", trick, "b")]
        await started(server, 4)
        await gate.open()
        first, guilty, last = await asyncio.gather(*asked, return_exceptions=True)
        assert [words_of(first), words_of(last)] == ["a", "b"]
        assert isinstance(guilty, errors.AdapterFailedError | errors.OutputInvalidError)


async def test_a_batch_too_large_for_memory_runs_in_halves_and_later_ones_are_smaller(
    gated: Callable[..., Any],
) -> None:
    settings = {"max_batch_size": 8, "settings": {"room": 4}}
    async with gated(model=settings) as (server, client, gate):
        asked = [asyncio.create_task(client.ask("parrot", said(f"{n}"))) for n in range(8)]
        await started(server, 9)
        await gate.open()
        outcomes = await asyncio.gather(*asked)
        assert [words_of(outcome) for outcome in outcomes] == [f"{n}" for n in range(8)]
        assert [len(batch) for batch in await diary(client)] == [1, 8, 4, 4]
        assert (await client.model("parrot")).card.max_batch_size == 4


async def test_memory_that_does_not_hold_half_of_a_batch_is_the_backends_trouble(gated: Callable[..., Any]) -> None:
    async with gated(model={"max_batch_size": 8, "settings": {"room": 3}}) as (server, client, gate):
        asked = [asyncio.create_task(client.ask("parrot", said(f"{n}"))) for n in range(8)]
        await started(server, 9)
        await gate.open()
        for call in asked:
            with pytest.raises(errors.BackendError, match="out of memory with 4 calls at once"):
                await call
        assert [len(batch) for batch in await diary(client)] == [1, 8, 4, 4]
        again = await asyncio.gather(*(client.ask("parrot", said(f"{n}")) for n in range(8)))
        assert [words_of(outcome) for outcome in again] == [f"{n}" for n in range(8)]
        assert (await client.model("parrot")).card.max_batch_size == 2


async def test_a_call_too_large_for_memory_alone_is_told_so(serving: Serving) -> None:
    models = [{"name": "parrot", "adapter": "acme", "max_batch_size": 4, "settings": {"room": 0}}]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        with pytest.raises(errors.LimitExceededError, match="no memory for 1 calls"):
            await client.ask("parrot", said("large"))


async def test_a_call_that_expires_in_the_queue_is_never_run(gated: Callable[..., Any]) -> None:
    async with gated() as (server, client, gate):
        late = said("late", deadline=time.monotonic() + 0.1)
        async with Pipeline(client) as pipeline:
            unary = asyncio.create_task(client.ask("parrot", said("late", deadline=time.monotonic() + 0.1)))
            piped = asyncio.create_task(pipeline.ask("parrot", late))
            kept = asyncio.create_task(client.ask("parrot", said("kept")))
            await started(server, 4)
            for call in (unary, piped):
                with pytest.raises(errors.BudgetExceededError):
                    await call
            await gate.open()
            assert words_of(await kept) == "kept"
        assert await diary(client) == [["wait"], ["kept"]]


async def test_a_call_that_is_given_up_leaves_the_queue_and_harms_nobody(gated: Callable[..., Any]) -> None:
    async with gated(model={"queue_size": 4}) as (server, client, gate):
        async with Pipeline(client) as pipeline:
            kept = asyncio.create_task(client.ask("parrot", said("kept")))
            for asker in (client, pipeline, client, pipeline, client):
                given_up = asyncio.create_task(asker.ask("parrot", said("given up")))
                await started(server, 3)
                given_up.cancel()
                await until(lambda: server.listener.admission.calls == 2)
            await gate.open()
            assert words_of(await kept) == "kept"
        assert await diary(client) == [["wait"], ["kept"]]


async def test_a_running_model_is_told_when_nobody_waits_any_more(gated: Callable[..., Any]) -> None:
    async with gated() as (_, client, gate):
        gate.held.cancel()
        # The gate stays shut: only the cancellation can have let the model go on.
        assert words_of(await client.ask("parrot", said("next"))) == "next"
        gate.held = asyncio.create_task(asyncio.sleep(0))


async def test_a_full_queue_says_when_to_come_back(gated: Callable[..., Any]) -> None:
    async with gated(model={"queue_size": 2}) as (server, client, gate):
        waiting = [asyncio.create_task(client.ask("parrot", said("x"))) for _ in range(2)]
        await started(server, 3)
        with pytest.raises(errors.ServerBusyError) as caught:
            await client.ask("parrot", said("one too many"))
        assert caught.value.retry_after_s == 0.1
        await gate.open()
        await asyncio.gather(*waiting)


async def test_over_the_limit_of_calls_the_server_is_busy_and_pushes_back(gated: Callable[..., Any]) -> None:
    async with gated(limits={"calls": 2}) as (server, client, gate):
        waiting = asyncio.create_task(client.ask("parrot", said("x")))
        await started(server, 2)
        async with grpc.aio.insecure_channel(server.listener.address) as channel:
            stub: Any = pb_grpc.ModelServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Comprehend(pb.ComprehendRequest(call=pb.Call(model="parrot")))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("grpc-retry-pushback-ms", "100") in tuple(caught.value.trailing_metadata() or ())
        await gate.open()
        await waiting


async def test_over_the_limit_of_bytes_the_server_is_busy(gated: Callable[..., Any]) -> None:
    half = Tensor.from_array(np.zeros(600_000, np.uint8))
    async with gated(limits={"bytes": 1_000_000}) as (server, client, gate):
        waiting = asyncio.create_task(client.ask("parrot", said("x", half)))
        await started(server, 2)
        with pytest.raises(errors.ServerBusyError):
            await client.ask("parrot", said("x", half))
        with pytest.raises(errors.LimitExceededError, match="admits 1000000 at once"):
            await client.ask("parrot", said("x", half, half))
        await gate.open()
        await waiting


async def test_each_call_of_a_pipeline_takes_a_place(gated: Callable[..., Any]) -> None:
    async with gated(limits={"calls": 3}) as (_, client, gate), Pipeline(client) as pipeline:
        asked = [asyncio.create_task(pipeline.ask("parrot", said(f"{n}"))) for n in range(5)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 3:
            more, _ = await asyncio.wait(set(asked) - done, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert all(isinstance(call.exception(), errors.ServerBusyError) for call in done)
        await gate.open()
        assert (
            len([call for call in await asyncio.gather(*asked, return_exceptions=True) if isinstance(call, Answer)])
            == 2
        )


async def test_a_busy_server_is_asked_again(gated: Callable[..., Any]) -> None:
    patient = Options(retry=Retry(attempts=50))
    async with gated(patient, limits={"calls": 1}) as (_, client, gate):
        refused = asyncio.create_task(client.ask("parrot", said("at last")))
        await asyncio.sleep(0.15)
        assert not refused.done()
        await gate.open()
        assert words_of(await refused) == "at last"


async def test_calls_without_a_message_hold_no_place(serving: Serving) -> None:
    limits = {"calls": 2}
    async with serving(limits=limits) as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        # Headers alone: the message of a unary call that never comes.
        silent: list[Any] = [channel.stream_unary("/echelon.v1.ModelService/Comprehend")() for _ in range(20)]
        streams = [pb_grpc.ModelServiceStub(channel).Pipeline() for _ in range(20)]
        await asyncio.gather(*(stream.wait_for_connection() for stream in [*silent, *streams]))
        async with AsyncClient(server.listener.address, ONCE) as client:
            assert words_of(await client.ask("parrot", said("me"))) == "me"
        for stream in [*silent, *streams]:
            stream.cancel()


@pytest.mark.parametrize(
    ("settings", "said_size", "size"),
    [
        ({"batch_s": 0.02, "most": 8}, None, 8),
        ({"item_s": 0.02}, None, 1),
        ({"batch_s": 0.02, "most": 2}, 2, 2),
        ({}, 5, 5),
    ],
    ids=["pays as far as memory goes", "does not pay", "set", "set beyond what is measured"],
)
async def test_batches_are_as_large_as_pays_where_no_size_is_set(
    serving: Serving, settings: dict[str, float], said_size: int | None, size: int
) -> None:
    models = [{"name": "slow", "adapter": "acme-slow", "settings": settings, "max_batch_size": said_size}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        assert (await client.model("slow")).card.max_batch_size == size


async def test_a_model_that_cannot_do_its_probe_fails_to_load(serving: Serving) -> None:
    models = [{"name": "slow", "adapter": "acme-slow", "settings": {"most": 0}, "max_batch_size": 8}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        assert (await client.model("slow")).state == "failed"
