"""Calls from a client to a vendor's model and back, good and bad."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from echelon.adapters import Answer, Call, Image, Kind, Number, Refusal, Request, Tensor, Text, errors
from echelon.clients import AsyncClient, Options, Pipeline, Retry
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
SECRET = "sesame-4711"
ONCE = Options(retry=Retry(attempts=1))
LANES = ("unary", "pipeline")


def said(instruction: str, *parts: Any, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, **more)


def text_of(outcome: Any) -> str:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


def number_of(outcome: Any) -> float:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Number)
    return part.value


async def diary(client: AsyncClient) -> list[list[str]]:
    """The batches that the model was asked, without the question for them."""
    batches: list[list[str]] = json.loads(text_of(await client.ask("parrot", said("diary"))))
    return [batch for batch in batches if batch != ["diary"]]


async def failure(client: AsyncClient, lane: str, request: Request, model: str = "parrot", **more: Any) -> Any:
    """The error that comes of `request`."""
    async with Pipeline(client) as pipeline:
        asker: Any = client if lane == "unary" else pipeline
        with pytest.raises(errors.EchelonError) as caught:
            await asker.ask(model, request, **more)
    return caught.value


@pytest.mark.parametrize("call", Call)
async def test_each_call_brings_back_what_the_model_says(serving: Serving, call: Call) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        request = Request(call, "repeat", (Text("hello", "en", name="greeting"),))
        asked = {"comprehend": client.comprehend, "generate": client.generate, "language": client.language}[call]
        outcome = await asked("parrot", request)
    assert isinstance(outcome, Answer)
    assert outcome.parts == request.parts
    assert outcome.usage.compute_us > 0


async def test_a_refusal_is_an_outcome(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        outcome = await client.ask("parrot", said("refuse"))
    assert isinstance(outcome, Refusal)
    assert (outcome.category, outcome.text) == ("policy", "I would rather not.")


async def test_what_the_model_counted_travels(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        usage = (await client.ask("parrot", said("count"))).usage
    assert (usage.input_token_count, usage.output_token_count) == (3, 1)


BROKEN_OUTPUTS = {
    "forget": "2 outcomes for 1",
    "iterate": "tuple_iterator for 1",
    "none": "NoneType, neither Answer nor Refusal",
    "string": "str, neither Answer nor Refusal",
    "empty": "answer.parts",
    "parts": "NoneType as the parts",
    "typed": "a field of a wrong type",
    "nan": "NaN or infinite",
    "infinite": "must be finite",
    "shape": "float32 of shape",
    "untyped": "a field of a wrong type",
}


@pytest.mark.parametrize("lane", LANES)
async def test_an_answer_that_breaks_the_contract_does_not_reach_the_caller(serving: Serving, lane: str) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        for instruction, words in BROKEN_OUTPUTS.items():
            error = await failure(client, lane, said(instruction))
            assert type(error) is errors.OutputInvalidError, (instruction, error)
            assert words in str(error)
            assert SECRET not in str(error)


async def test_an_answer_of_a_kind_that_was_not_asked_for_does_not_reach_the_caller(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, "unary", said("image", output_kinds=(Kind.NUMBER,)))
        assert type(error) is errors.OutputInvalidError
        assert str(error) == "the adapter returned image, asked for number"


@pytest.mark.parametrize("lane", LANES)
async def test_an_answer_that_is_turned_away_tells_what_it_took(serving: Serving, lane: str) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, lane, said("count", output_kinds=(Kind.NUMBER,)))
    assert type(error) is errors.OutputInvalidError
    assert error.usage is not None
    assert (error.usage.input_token_count, error.usage.output_token_count) == (3, 1)
    assert error.usage.compute_us > 0


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("instruction", ["raise", "exit"])
async def test_what_an_adapter_raises_stays_in_the_log(serving: Serving, lane: str, instruction: str) -> None:
    async with serving() as server, AsyncClient(server.listener.address, ONCE) as client:
        error = await failure(client, lane, said(instruction))
        assert type(error) is errors.AdapterFailedError
        assert str(error).startswith("internal error, incident ")
        assert text_of(await client.ask("parrot", said("still alive"))) == "still alive"


async def test_not_a_word_of_an_adapters_exception_is_on_the_wire(serving: Serving) -> None:
    message = pb.ComprehendRequest(call=pb.Call(model="parrot", instruction="raise"))
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.ModelServiceStub(channel).Comprehend(message)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert SECRET not in repr(caught.value) + repr(caught.value.trailing_metadata()) + str(
        caught.value.debug_error_string()
    )


async def test_an_error_in_an_items_place_fails_that_call_alone(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        asked = [client.ask("parrot", said(word)) for word in ("unable", "a", "b")]
        first, *others = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, errors.UnsupportedError)
    assert str(first) == "not this one"
    assert [text_of(other) for other in others] == ["a", "b"]


async def test_an_error_that_the_adapter_raises_on_purpose_is_shown(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address, ONCE) as client:
        error = await failure(client, "unary", said("backend"))
    assert (type(error), str(error)) == (errors.BackendError, "the GPU is gone")


async def test_an_unknown_model_is_told_with_the_nearest_name(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, "unary", said("x"), model="parot")
        assert type(error) is errors.ModelNotFoundError
        assert "did you mean 'parrot'?" in str(error)
        with pytest.raises(errors.ModelNotFoundError, match="ask for the list"):
            await client.model("zzz")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(Call.LANGUAGE, "x", (Number(1.0),)), "takes no number to do language"),
        (Request(Call.LANGUAGE, "x", output_kinds=(Kind.IMAGE,)), "gives no image when asked to do language"),
    ],
)
async def test_what_the_card_does_not_list_is_not_asked(serving: Serving, request_: Request, words: str) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, "unary", request_)
        assert type(error) is errors.UnsupportedError
        assert words in str(error)
        assert await diary(client) == []


async def test_a_call_that_the_model_lacks_is_told_with_those_it_has(serving: Serving) -> None:
    models = [{"name": "quiet", "adapter": "acme-async"}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, "unary", Request(Call.LANGUAGE), model="quiet")
    assert type(error) is errors.UnsupportedError
    assert str(error) == "model 'quiet' does not do language; it supports comprehend, generate"


async def test_a_call_that_breaks_the_contract_is_refused_with_its_fields(serving: Serving) -> None:
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stub = pb_grpc.ModelServiceStub(channel)
        for request in (pb.ComprehendRequest(), pb.ComprehendRequest(call=pb.Call(labels=["", ""]))):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Comprehend(request)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "labels[0]" in (caught.value.details() or "")


async def test_a_client_refuses_a_broken_request_before_it_leaves(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        with pytest.raises(errors.InvalidInputError, match="labels"):
            await client.ask("parrot", said("x", labels=("",)))


async def test_an_image_that_grows_beyond_all_bounds_costs_nothing_but_its_call(serving: Serving) -> None:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    png = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")):
        png += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    started = time.monotonic()
    async with serving() as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, "unary", said("pixels", Image(png)))
        assert type(error) is errors.InvalidInputError
        assert "pixels" in str(error)
        assert isinstance(
            await client.ask("parrot", said("pixels", Image.from_array(np.zeros((2, 2), np.uint8)))), Answer
        )
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("lane", LANES)
async def test_an_answer_too_large_for_a_message_is_told(serving: Serving, lane: str) -> None:
    limits = {"message_bytes": 1 << 20}
    async with serving(limits=limits) as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, lane, said(f"large {1 << 20}"))
        assert type(error) is errors.LimitExceededError
        assert "a message at most 1048576" in str(error)
        assert isinstance(await client.ask("parrot", said(f"large {(1 << 20) - 200}")), Answer)


async def test_a_request_too_large_for_the_server_is_told(serving: Serving) -> None:
    limits = {"message_bytes": 1 << 20}
    large = Tensor.from_array(np.zeros(1 << 20, np.uint8))
    async with serving(limits=limits) as server, AsyncClient(server.listener.address) as client:
        error = await failure(client, "unary", said("x", large))
    assert type(error) is errors.LimitExceededError
    assert "larger than max" in str(error)


async def test_undecodable_bytes_are_refused_and_harm_nobody(serving: Serving) -> None:
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        raw: Any = channel.unary_unary("/echelon.v1.ModelService/Comprehend")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"\xff" * 100)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "the request is no message of this method"
        async with AsyncClient(server.listener.address) as client:
            assert text_of(await client.ask("parrot", said("fine"))) == "fine"


async def test_a_message_that_grows_when_it_is_unpacked_is_refused(serving: Serving) -> None:
    large = pb.ComprehendRequest(call=pb.Call(model="parrot", instruction="x" * 60_000))
    options = (("grpc.default_compression_algorithm", int(grpc.Compression.Gzip)),)
    async with (
        serving(limits={"message_bytes": 50_000}) as server,
        grpc.aio.insecure_channel(server.listener.address, options) as channel,
    ):
        stub: Any = pb_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match="larger than max") as caught:
            await stub.Comprehend(large, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        large.call.instruction = "x" * 40_000
        assert await stub.Comprehend(large, compression=grpc.Compression.Gzip)


async def test_fields_of_a_newer_peer_are_passed_over(serving: Serving) -> None:
    known = pb.ComprehendRequest(call=pb.Call(model="parrot", instruction="known")).SerializeToString()
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        raw: Any = channel.unary_unary("/echelon.v1.ModelService/Comprehend")
        # Field 1000, of bytes.
        answer = pb.ComprehendResponse.FromString(await raw(known + b"\xc2\x3e\x0anewer news"))
    assert answer.outcome.answer.parts[0].text.value == "known"


async def test_a_call_knows_its_deadline(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        assert 40 < number_of(await client.ask("parrot", said("deadline"), timeout_s=50)) < 51
        asked = said("deadline", deadline=time.monotonic() + 20)
        assert 10 < number_of(await client.ask("parrot", asked, timeout_s=50)) < 21


async def test_the_servers_own_deadline_cuts_longer_ones(serving: Serving, tmp_path: Path) -> None:
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]
    limits = {"default_deadline_s": 0.2}
    async with serving(models, limits=limits) as server, AsyncClient(server.listener.address) as client:
        for lane in LANES:
            error = await failure(client, lane, said("wait"), timeout_s=60)
            assert type(error) is errors.BudgetExceededError
            assert str(error) == "no answer within the call's budget"


@pytest.mark.parametrize("lane", LANES)
async def test_a_call_ends_with_its_budget(serving: Serving, tmp_path: Path, lane: str) -> None:
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]
    async with serving(models) as server, AsyncClient(server.listener.address) as client:
        started = time.monotonic()
        error = await failure(client, lane, said("wait"), timeout_s=0.2)
        assert type(error) is errors.BudgetExceededError
        assert time.monotonic() - started < 2


async def test_models_are_listed_page_by_page(serving: Serving) -> None:
    models = [{"name": name, "adapter": "acme"} for name in ("c", "a", "b")]
    async with serving(models) as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stub = pb_grpc.ModelServiceStub(channel)
        first = await stub.ListModels(pb.ListModelsRequest(page_size=2))
        second = await stub.ListModels(pb.ListModelsRequest(page_size=2, page_token=first.next_page_token))
        exact = await stub.ListModels(pb.ListModelsRequest(page_size=3))
        largest = await stub.ListModels(pb.ListModelsRequest(page_size=2**31 - 1))
        with pytest.raises(grpc.aio.AioRpcError, match="page_size"):
            await stub.ListModels(pb.ListModelsRequest(page_size=-1))
    assert [[model.card.name for model in page.models] for page in (first, second)] == [["a", "b"], ["c"]]
    assert (second.next_page_token, exact.next_page_token, len(largest.models)) == ("", "", 3)


async def test_the_card_of_a_model_tells_what_it_can(serving: Serving) -> None:
    async with serving() as server, AsyncClient(server.listener.address) as client:
        info = await client.model("parrot")
        assert [found.card.name for found in await client.models()] == ["parrot"]
    assert (info.state, info.ready, info.card.version, info.card.max_batch_size) == ("ready", True, "7", 16)
    assert [support.call for support in info.card.calls] == list(Call)
