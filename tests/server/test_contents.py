"""Large content travels by itself, in chunks, and is its peer's alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_status import rpc_status
from hypothesis import example, given
from hypothesis import strategies as st

from echelon.adapters import (
    Answer,
    Audio,
    Call,
    EchelonError,
    Image,
    Mesh,
    Part,
    PointCloud,
    Request,
    Tensor,
    Text,
    Video,
    errors,
)
from echelon.clients import AsyncClient, Options, Pipeline, Retry
from echelon.rpc.admission import Admission
from echelon.rpc.config import Limits
from echelon.server import contents as module
from echelon.server.contents import Contents
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.contents import chunks, reference
from echelon.wire.status import from_rpc_error, to_status

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))
ALL = Options(retry=Retry(attempts=3, first_delay_s=0.01), large_bytes=1)
MIB = 1 << 20


def said(instruction: str, *parts: Part, **more: Any) -> Request:
    return Request(Call.GENERATE, instruction, parts, **more)


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def parts_of(outcome: Any) -> tuple[Part, ...]:
    assert isinstance(outcome, Answer)
    return outcome.parts


@asynccontextmanager
async def stub_of(server: Any) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(server.listener.address) as channel:
        yield pb_grpc.ModelServiceStub(channel)


async def put(stub: Any, frames: Iterable[pb.PutContentRequest], **more: Any) -> Any:
    async def sent() -> AsyncIterator[pb.PutContentRequest]:
        for frame in frames:
            yield frame

    return await stub.PutContent(sent(), **more)


def upload(data: bytes) -> list[pb.PutContentRequest]:
    return [start(data), *(pb.PutContentRequest(chunk=each) for each in chunks(data))]


def start(data: bytes, **more: Any) -> pb.PutContentRequest:
    ref = reference(data)
    ref.MergeFrom(content_pb2.ContentRef(**more))
    return pb.PutContentRequest(start=ref)


def chunk(offset: int, data: bytes) -> pb.PutContentRequest:
    return pb.PutContentRequest(chunk=content_pb2.ContentChunk(offset_bytes=offset, data=data))


def repeat(data: bytes, size: int | None = None) -> pb.GenerateRequest:
    ref = content_pb2.ContentRef(sha256=hashlib.sha256(data).digest(), size_bytes=size or len(data))
    part = content_pb2.Part(image=content_pb2.Image(), content_ref=ref)
    return pb.GenerateRequest(call=pb.Call(model="parrot", instruction="repeat", parts=[part]))


async def failure(call: Any) -> EchelonError:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return from_rpc_error(caught.value)


PARTS = (
    Image(noise(5 * MIB), "image/webp", 40, 30, name="before"),
    Audio(noise(100), sample_rate_hz=8000, channel_count=2),
    Video(noise(200), "video/mp4"),
    PointCloud.from_array(np.zeros((9, 4), np.float32), channels=("x", "y", "z", "i")),
    Tensor.from_array(np.arange(6 * MIB // 4, dtype=np.int32).reshape(2, -1), name="flow"),
    Mesh.from_array(np.zeros((3, 3)), np.array([[0, 1, 2]])),
    Text("small"),
)


@pytest.mark.parametrize("options", [Options(), ALL], ids=["large", "all"])
@pytest.mark.parametrize("lane", ["unary", "pipeline", "stream"])
async def test_what_is_large_goes_there_and_back_in_chunks(serving: Serving, lane: str, options: Options) -> None:
    request = said("repeat", *PARTS)
    # No single message could carry it.
    async with (
        serving(limits={"message_bytes": 64 * MIB if lane == "stream" else 2 * MIB}) as server,
        AsyncClient(server.listener.address, options) as client,
        Pipeline(client) as pipeline,
    ):
        if lane == "stream":
            outcome = [piece async for piece in client.stream_generate("parrot", request)][-1]
        else:
            outcome = await (client if lane == "unary" else pipeline).ask("parrot", request)
        assert server.listener.admission.bytes == 0
    assert parts_of(outcome) == PARTS


async def test_an_answer_that_is_large_comes_back_in_chunks(serving: Serving) -> None:
    limits = {"message_bytes": 2 * MIB}
    async with serving(limits=limits) as server, AsyncClient(server.listener.address, ONCE) as client:
        (part,) = parts_of(await client.generate("parrot", said(f"large {5 * MIB}")))
        assert part == Tensor.from_array(np.zeros(5 * MIB, np.uint8))
        # A peer that does not know of it is told as ever.
        async with stub_of(server) as stub:
            request = pb.GenerateRequest(call=pb.Call(model="parrot", instruction=f"large {5 * MIB}"))
            assert type(await failure(stub.Generate(request))) is errors.LimitExceededError


async def test_a_retry_gets_a_large_answer_too(serving: Serving) -> None:
    limits = {"content_bytes_per_peer": 12 * MIB}
    request = said(f"large {5 * MIB}", id="one")
    async with serving(limits=limits) as server, AsyncClient(server.listener.address, ONCE) as client:
        first = await client.generate("parrot", request)
        # Others take its room.
        for seed in range(3):
            await client.generate("parrot", said("repeat", Image(noise(5 * MIB, seed))))
        assert parts_of(await client.generate("parrot", request)) == parts_of(first)
        streamed = [piece async for piece in client.stream_generate("parrot", request)]
        assert parts_of(streamed[-1]) == parts_of(first)


async def test_content_may_be_used_as_often_as_it_lasts(serving: Serving) -> None:
    data = noise(MIB)
    async with serving() as server, stub_of(server) as stub:
        response = await put(stub, upload(data))
        assert response.content_ref == reference(data)
        assert response.lifetime.seconds == 600
        for _ in range(3):
            answer = await stub.Generate(repeat(data))
            assert answer.outcome.answer.parts[0].image.data == data
        got = [each.chunk async for each in stub.GetContent(pb.GetContentRequest(content_ref=response.content_ref))]
        assert b"".join(each.data for each in got) == data


async def test_a_reference_to_what_was_never_put_names_the_fix(serving: Serving) -> None:
    async with serving() as server, stub_of(server) as stub:
        await put(stub, upload(b"here"))
        for request in (repeat(b"elsewhere"), repeat(b"here", size=5)):
            error = await failure(stub.Generate(request))
            assert type(error) is errors.ContentNotFoundError
            assert "put it with PutContent" in str(error)
        ref = pb.GetContentRequest(content_ref=reference(b"elsewhere"))
        assert type(await failure(stub.GetContent(ref).read())) is errors.ContentNotFoundError


async def test_content_is_its_peers_alone(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\nother\n")
    one, other = ((("authorization", f"Bearer {token}"),) for token in ("one", "other"))
    async with serving(token_file=str(tmp_path / "tokens")) as server, stub_of(server) as stub:
        assert type(await failure(put(stub, upload(b"secret")))) is errors.AuthMissingError
        await put(stub, upload(b"secret"), metadata=one)
        error = await failure(stub.Generate(repeat(b"secret"), metadata=other))
        assert type(error) is errors.ContentNotFoundError
        assert await stub.Generate(repeat(b"secret"), metadata=one)


BROKEN: dict[str, tuple[list[pb.PutContentRequest], type[EchelonError]]] = {
    "nothing": ([], errors.InvalidInputError),
    "an unknown frame": ([pb.PutContentRequest()], errors.InvalidInputError),
    "chunks alone": ([chunk(0, b"abc")], errors.InvalidInputError),
    "half a digest": ([start(b"abc", sha256=b"1")], errors.InvalidInputError),
    "no size": ([pb.PutContentRequest(start=content_pb2.ContentRef(sha256=bytes(32)))], errors.InvalidInputError),
    "two starts": ([start(b"abc"), start(b"abc")], errors.InvalidInputError),
    "a gap": ([start(b"abc"), chunk(1, b"bc")], errors.InvalidInputError),
    "an order of its own": ([start(b"abc"), chunk(0, b"a"), chunk(2, b"c"), chunk(1, b"b")], errors.InvalidInputError),
    "a chunk twice": ([start(b"abc"), chunk(0, b"a"), chunk(0, b"a")], errors.InvalidInputError),
    "an empty chunk": ([start(b"abc"), chunk(0, b"")], errors.InvalidInputError),
    "a chunk too large": ([start(bytes(5 * MIB)), chunk(0, bytes(5 * MIB))], errors.InvalidInputError),
    "too little": ([start(b"abc"), chunk(0, b"ab")], errors.InvalidInputError),
    "too much": ([start(b"abc"), chunk(0, b"abc"), chunk(3, b"d")], errors.InvalidInputError),
    "other content": ([start(b"abc"), chunk(0, b"abd")], errors.InvalidInputError),
    "more than is ever kept": ([start(b"abc", size_bytes=30 * MIB)], errors.LimitExceededError),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
async def test_an_upload_that_does_not_add_up_leaves_nothing(serving: Serving, what: str) -> None:
    frames, kind = BROKEN[what]
    async with serving(limits={"content_bytes_per_peer": 8 * MIB}) as server, stub_of(server) as stub:
        assert type(await failure(put(stub, frames))) is kind
        assert server.contents.charged_bytes == 0
        await put(stub, upload(b"abc"))
        assert server.contents.charged_bytes == module.SMALLEST_CHARGE_BYTES


DATA = b"0123456789"
REF = reference(DATA)
FRAMES = st.one_of(
    st.just(pb.PutContentRequest(start=REF)),
    st.builds(start, st.binary(max_size=12)),
    st.builds(chunk, st.integers(0, 12), st.binary(max_size=12)),
    st.builds(lambda at, size: chunk(at, DATA[at : at + size]), st.integers(0, 9), st.integers(1, 10)),
    st.just(pb.PutContentRequest()),
)


@given(st.lists(FRAMES, max_size=6))
@example([pb.PutContentRequest(start=REF), chunk(0, DATA[:4]), chunk(4, DATA[4:])])
def test_whatever_is_uploaded_is_kept_whole_or_not_at_all(frames: list[pb.PutContentRequest]) -> None:
    limits = Limits()
    contents = Contents(limits, Admission(limits))

    async def sent() -> AsyncIterator[pb.PutContentRequest]:
        for frame in frames:
            yield frame

    async def received() -> None:
        try:
            ref = await contents.receive("peer", sent())
        except errors.InvalidInputError:
            assert contents.charged_bytes == 0
        else:
            (data,) = contents.resolve("peer", [ref]).values()
            assert reference(data) == ref
            assert contents.charged_bytes == module.SMALLEST_CHARGE_BYTES

    asyncio.run(received())


@pytest.mark.parametrize("how", ["cancelled", "vanished"])
async def test_an_upload_that_is_given_up_leaves_nothing(serving: Serving, until: Any, how: str) -> None:
    data = noise(4 * MIB)
    async with serving() as server, stub_of(server) as stub:
        channel = grpc.aio.insecure_channel(server.listener.address, (("grpc.use_local_subchannel_pool", 1),))
        giving_up: Any = pb_grpc.ModelServiceStub(channel)
        call = giving_up.PutContent()
        for frame in upload(data)[:3]:
            await call.write(frame)
        await until(lambda: server.contents.charged_bytes == len(data))
        if how == "cancelled":
            call.cancel()
        else:
            await channel.close()
        await until(lambda: server.contents.charged_bytes == 0)
        assert type(await failure(stub.Generate(repeat(data)))) is errors.ContentNotFoundError
        await channel.close()


async def test_an_upload_may_not_fall_silent(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_S", 0.1)
    async with serving() as server, stub_of(server) as stub:
        call = stub.PutContent()
        await call.write(start(b"abc"))
        assert type(await failure(call)) is errors.BudgetExceededError
        assert server.contents.charged_bytes == 0


async def test_a_peer_over_its_quota_is_told_to_come_back(serving: Serving) -> None:
    first, second, third = (noise(MIB, seed) for seed in range(3))
    async with serving(limits={"content_bytes_per_peer": 2 * MIB}) as server, stub_of(server) as stub:
        await put(stub, upload(first))
        await put(stub, upload(second))
        error = await failure(put(stub, upload(third)))
        assert type(error) is errors.ServerBusyError
        assert error.retry_after_s
        # Once something was used, it makes room for what comes.
        await stub.Generate(repeat(second))
        await put(stub, upload(third))
        assert await stub.Generate(repeat(first))
        assert type(await failure(stub.Generate(repeat(second)))) is errors.ContentNotFoundError


async def test_a_peer_cannot_take_the_room_of_all(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("one\nother\n")
    one, other = ((("authorization", f"Bearer {token}"),) for token in ("one", "other"))
    limits = {"content_bytes": 3 * MIB, "content_bytes_per_peer": 2 * MIB}
    async with serving(token_file=str(tmp_path / "tokens"), limits=limits) as server, stub_of(server) as stub:
        for seed in range(2):
            await put(stub, upload(noise(MIB, seed)), metadata=one)
        await put(stub, upload(noise(MIB, 9)), metadata=other)
        busy = await failure(put(stub, upload(noise(MIB, 8)), metadata=other))
        assert type(busy) is errors.ServerBusyError
        await stub.Generate(repeat(noise(MIB, 0)), metadata=one)
        await put(stub, upload(noise(MIB, 8)), metadata=other)
        assert server.contents.charged_bytes == 3 * MIB


async def test_many_large_calls_at_once_get_by_with_little_room(serving: Serving) -> None:
    limits = {"content_bytes_per_peer": 2 * MIB}
    options = Options(retry=Retry(attempts=40, first_delay_s=0.01, longest_delay_s=0.2), large_bytes=MIB // 2)
    async with serving(limits=limits) as server, AsyncClient(server.listener.address, options) as client:
        images = [Image(noise(MIB, seed)) for seed in range(12)]
        outcomes = await asyncio.gather(*(client.generate("parrot", said("repeat", image)) for image in images))
    assert [parts_of(outcome) for outcome in outcomes] == [(image,) for image in images]


async def test_content_goes_when_its_time_is_over(serving: Serving) -> None:
    async with serving(limits={"content_s": 0.05}) as server, stub_of(server) as stub:
        await put(stub, upload(b"soon gone"))
        await asyncio.sleep(0.1)
        assert type(await failure(stub.Generate(repeat(b"soon gone")))) is errors.ContentNotFoundError
        assert server.contents.charged_bytes == 0


@pytest.mark.parametrize("lane", ["unary", "pipeline", "stream"])
async def test_what_had_to_make_room_is_put_again_by_the_client(serving: Serving, lane: str) -> None:
    images = [Image(noise(100, seed)) for seed in range(3)]
    limits = {"content_bytes_per_peer": 2 * module.SMALLEST_CHARGE_BYTES}
    options = Options(retry=ONCE.retry, large_bytes=100)
    async with (
        serving(limits=limits) as server,
        stub_of(server) as stub,
        AsyncClient(server.listener.address, options) as client,
        Pipeline(client) as pipeline,
    ):
        for image in images:
            await client.generate("parrot", said("repeat", image))
        assert type(await failure(stub.Generate(repeat(images[0].data)))) is errors.ContentNotFoundError
        if lane == "stream":
            outcome = [piece async for piece in client.stream_generate("parrot", said("repeat", images[0]))][-1]
        else:
            outcome = await (client if lane == "unary" else pipeline).ask("parrot", said("repeat", images[0]))
    assert parts_of(outcome) == (images[0],)


async def test_what_calls_refer_to_counts_as_admitted(serving: Serving) -> None:
    data = noise(MIB)
    async with serving(limits={"bytes": MIB // 2}) as server, stub_of(server) as stub:
        await put(stub, upload(data))
        assert type(await failure(stub.Generate(repeat(data)))) is errors.LimitExceededError
        ref = pb.GetContentRequest(content_ref=reference(data))
        assert type(await failure(stub.GetContent(ref).read())) is errors.LimitExceededError
        assert server.listener.admission.bytes == 0


class Forgetful(pb_grpc.ModelServiceServicer):
    """A server that counts what is put, and fails so many calls for want of it."""

    def __init__(self, failures: int, answer: bytes = b"") -> None:
        self.failures = failures
        self.answer = answer
        self.puts = self.calls = 0

    async def PutContent(self, request_iterator: Any, context: Any) -> pb.PutContentResponse:  # noqa: N802  (the contract's name)
        self.puts += 1
        async for _ in request_iterator:
            pass
        response = pb.PutContentResponse()
        response.lifetime.FromSeconds(600)
        return response

    async def Generate(self, request: Any, context: Any) -> pb.GenerateResponse:  # noqa: N802  (the contract's name)
        self.calls += 1
        if self.calls <= self.failures:
            await context.abort_with_status(rpc_status.to_status(to_status(errors.ContentNotFoundError("gone"))))
        parts = [content_pb2.Part(image=content_pb2.Image(), content_ref=reference(b"right"))]
        return pb.GenerateResponse(outcome=pb.Outcome(answer=pb.Answer(parts=parts)))

    async def GetContent(self, request: Any, context: Any) -> AsyncIterator[pb.GetContentResponse]:  # noqa: N802  (the contract's name)
        for each in chunks(self.answer):
            yield pb.GetContentResponse(chunk=each)


@asynccontextmanager
async def forgetful(servicer: Any) -> AsyncIterator[str]:
    server = grpc.aio.server()
    pb_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def test_lost_content_is_put_again_once(until: Any) -> None:
    servicer = Forgetful(1, b"right")  # type: ignore[abstract]  # three methods are enough
    async with forgetful(servicer) as address, AsyncClient(address, ALL) as client:
        assert parts_of(await client.generate("any", said("x", Image(b"1")))) == (Image(b"right", ""),)
        assert (servicer.puts, servicer.calls) == (2, 2)
        # What is there is not put again.
        await asyncio.gather(*(client.generate("any", said("x", Image(b"1"))) for _ in range(5)))
        assert servicer.puts == 2
        servicer.failures = 99
        with pytest.raises(errors.ContentNotFoundError):
            await client.generate("any", said("x", Image(b"1")))
        assert (servicer.puts, servicer.calls) == (3, 9)


@pytest.mark.parametrize("answer", [b"wrong", b"righ", b"right and more", b""])
async def test_content_that_is_not_what_the_answer_says_is_not_believed(answer: bytes) -> None:
    servicer = Forgetful(0, answer)  # type: ignore[abstract]  # three methods are enough
    async with forgetful(servicer) as address, AsyncClient(address, ONCE) as client:
        with pytest.raises(errors.OutputInvalidError, match="other content than its answer says"):
            await client.generate("any", said("x"))


class Older(pb_grpc.ModelServiceServicer):
    """A server that knows of no content."""

    async def Generate(self, request: Any, context: Any) -> pb.GenerateResponse:  # noqa: N802  (the contract's name)
        return pb.GenerateResponse(outcome=pb.Outcome(answer=pb.Answer(parts=request.call.parts)))


async def test_a_server_that_takes_no_content_gets_it_in_the_message() -> None:
    async with forgetful(Older()) as address, AsyncClient(address, ALL) as client:  # type: ignore[abstract]  # one method is enough
        for _ in range(2):
            assert parts_of(await client.generate("any", said("x", Image(b"1")))) == (Image(b"1"),)
