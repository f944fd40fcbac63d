"""The Open Inference Protocol: one conversation with Echelon and with a real Triton, and what is Echelon's own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import hypothesis
import numpy as np
import pytest
import tritonclient.grpc.aio as triton
from hypothesis import strategies as st
from real_triton import RealTriton, write_model
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from echelon.adapters import Answer, Audio, Call, Choice, Image, Mask, Number, Request, Text, Video, VideoFrame
from echelon.adapters.content import Box, Boxes, Mesh, ScoredLabel
from echelon.adapters.errors import InvalidInputError
from echelon.clients import AsyncClient
from echelon.wire import open_inference
from echelon.wire.calls import call_to_proto
from echelon.wire.rules import check
from echelon.wire.tensors import request_from_tensors, response_to_tensors

Serving = Callable[..., Any]
ECHO = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse([pb.Tensor(t.name(), t.as_numpy()) for t in r.inputs()]) for r in requests]
"""
TENSORS = ("x: FP32", "n: INT64", "text: STRING")
CONFIG = "\n".join(
    f'{way}put [{{name: "{name}", data_type: TYPE_{kind}, dims: [-1]}}]'
    for name, kind in (tensor.split(": ") for tensor in TENSORS)
    for way in ("in", "out")
)


@pytest.fixture(scope="module")
def real_triton(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("triton")
    write_model(folder / "models", "parrot", CONFIG, ECHO)
    server = RealTriton(folder / "models", folder).start()
    yield server
    server.stop()


@asynccontextmanager
async def at(who: str, serving: Serving, request: pytest.FixtureRequest) -> AsyncIterator[triton.InferenceServerClient]:
    """A client of `who`."""
    if who == "triton":
        async with triton.InferenceServerClient(request.getfixturevalue("real_triton").url) as client:
            yield client
    else:
        async with serving() as server, triton.InferenceServerClient(server.listener.address) as client:
            yield client


@asynccontextmanager
async def client_of(server: Any) -> AsyncIterator[triton.InferenceServerClient]:
    async with triton.InferenceServerClient(server.listener.address) as client:
        yield client


def given(name: str, values: Any, kind: str = "") -> triton.InferInput:
    array = np.array(values, object) if kind == "BYTES" else np.asarray(values)
    found = triton.InferInput(name, array.shape, kind or KINDS[array.dtype.name])
    found.set_data_from_numpy(array)
    return found


KINDS = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "uint8": "UINT8", "int32": "INT32"}
INPUTS = (
    ("x", np.array([1.5, -2, 3], np.float32), ""),
    ("n", np.array([2**40]), ""),
    ("text", ["one", b"\xc3\xa9"], "BYTES"),
)


def inputs() -> list[triton.InferInput]:
    return [given(name, values, kind) for name, values, kind in INPUTS]


async def refused(call: Any) -> str:
    """The status that comes of `call`."""
    with pytest.raises(InferenceServerException) as caught:
        await call
    return str(caught.value.status())


@pytest.mark.parametrize("who", ["echelon", "triton"])
async def test_one_conversation_holds_with_both(serving: Serving, request: pytest.FixtureRequest, who: str) -> None:
    async with at(who, serving, request) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("parrot")
        assert not await client.is_model_ready("nobody")
        server = await client.get_server_metadata()
        assert server.name == who
        model = await client.get_model_metadata("parrot")
        assert model.name == "parrot"
        assert {"text"} <= {tensor.name for tensor in model.inputs}
        assert {tensor.datatype for tensor in model.outputs if tensor.name == "text"} == {"BYTES"}

        answer = await client.infer("parrot", inputs(), request_id="seven")
        response = answer.get_response()
        assert (response.id, response.model_name) == ("seven", "parrot")
        x, n, text = (answer.as_numpy(name) for name, _, _ in INPUTS)
        assert (x.dtype, x.tolist()) == (np.float32, [1.5, -2, 3])
        assert (n.dtype, n.tolist()) == (np.int64, [2**40])
        assert text.tolist() == [b"one", "é".encode()]

        one = await client.infer("parrot", inputs(), outputs=[triton.InferRequestedOutput("n")])
        assert [output.name for output in one.get_response().outputs] == ["n"]

        again = await asyncio.gather(*(client.infer("parrot", inputs()) for _ in range(20)))
        assert all(each.as_numpy("x").tolist() == [1.5, -2, 3] for each in again)


@pytest.mark.parametrize("who", ["echelon", "triton"])
async def test_both_refuse_the_same_with_the_same_status(
    serving: Serving, request: pytest.FixtureRequest, who: str
) -> None:
    async with at(who, serving, request) as client:
        assert await refused(client.infer("nobody", inputs())) == "StatusCode.NOT_FOUND"
        assert await refused(client.get_model_metadata("nobody")) == "StatusCode.NOT_FOUND"
        assert await refused(client.infer("parrot", inputs(), model_version="99")) == "StatusCode.NOT_FOUND"
        wrong = [triton.InferRequestedOutput("nothing")]
        assert await refused(client.infer("parrot", inputs(), outputs=wrong)) == "StatusCode.INVALID_ARGUMENT"


@pytest.mark.parametrize("who", ["echelon", "triton"])
async def test_both_read_contents_that_are_not_raw(serving: Serving, request: pytest.FixtureRequest, who: str) -> None:
    asked = service_pb2.ModelInferRequest(model_name="parrot")
    asked.inputs.add(name="x", datatype="FP32", shape=[2]).contents.fp32_contents.extend([1.5, 2])
    asked.inputs.add(name="n", datatype="INT64", shape=[1]).contents.int64_contents.append(-(2**40))
    asked.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"words")
    async with at(who, serving, request) as client:
        answer = triton.InferResult(await client._client_stub.ModelInfer(asked))
    assert [answer.as_numpy(name).tolist() for name, _, _ in INPUTS] == [[1.5, 2], [-(2**40)], [b"words"]]


def test_names_and_numbers_are_the_protocols_own() -> None:
    theirs, ours = service_pb2.DESCRIPTOR, open_inference.pool()
    service = theirs.services_by_name["GRPCInferenceService"]
    for method in ours.FindServiceByName(open_inference.SERVICE).methods:
        other = service.methods_by_name[method.name]
        assert (other.input_type.full_name, other.output_type.full_name) == (
            method.input_type.full_name,
            method.output_type.full_name,
        )
    seen = 0
    for name, message in ours.FindFileByName("inference/open_inference.proto").message_types_by_name.items():
        for part in (message, *message.nested_types):
            other = theirs.message_types_by_name[name]
            other = other if part is message else other.nested_types_by_name[part.name]
            for field in part.fields:
                twin = other.fields_by_name[field.name]
                assert (twin.number, twin.type, twin.is_repeated) == (field.number, field.type, field.is_repeated)
                seen += 1
    assert seen > 50


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_either_may_be_imported_first(first: str) -> None:
    lines = [
        "from echelon.wire.open_inference import methods; assert len(methods()) == 6",
        "from tritonclient.grpc import service_pb2; assert service_pb2.ModelInferRequest()",
    ]
    program = "\n".join(lines if first == "ours" else reversed(lines))
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_media_come_as_encoded_bytes_and_go_so(serving: Serving) -> None:
    image = Image.from_array(np.full((3, 2, 3), 7, np.uint8))
    sound = Audio.from_array(np.zeros(8), 8000)
    asked = [
        given("instruction", ["repeat"], "BYTES"),
        given("image.before", [image.data], "BYTES"),
        given("audio", [sound.data], "BYTES"),
        given("json", ['{"a": 1}'], "BYTES"),
        given("question", ["what?"], "BYTES"),
        given("number", [41.5]),
        given("point_cloud", np.ones((5, 4), np.float32)),
        given("flow", np.zeros((2, 3), np.int32)),
    ]
    async with serving() as server, client_of(server) as client, AsyncClient(server.listener.address) as ours:
        answer = await client.infer("parrot", asked, parameters={"call": "generate", "seed": 3})
        # What arrives is what our own client would have sent.
        request = Request(Call.COMPREHEND, "pixels", (image,))
        pixels = await client.infer("parrot", [given("instruction", ["pixels"], "BYTES"), asked[1]])
        assert isinstance(own := await ours.ask("parrot", request), Answer)
    names = [output.name for output in answer.get_response().outputs]
    assert names == ["image.before", "audio", "json", "text.question", "number", "point_cloud", "flow"]
    assert answer.as_numpy("image.before").tolist() == [image.data]
    assert answer.as_numpy("audio").tolist() == [sound.data]
    assert answer.as_numpy("text.question").tolist() == [b"what?"]
    assert answer.as_numpy("number").tolist() == [41.5]
    assert answer.as_numpy("point_cloud").shape == (5, 4)
    assert (answer.as_numpy("flow").dtype, answer.as_numpy("flow").shape) == (np.int32, (2, 3))
    assert answer.get_response().parameters["finish_reason"].string_param == "complete"
    assert pixels.as_numpy("number").tolist() == [own.parts[0].value]  # type: ignore[attr-defined]  # it is a number


async def test_a_refusal_is_an_answer_without_outputs(serving: Serving) -> None:
    async with serving() as server, client_of(server) as client:
        answer = await client.infer("parrot", [given("instruction", ["refuse"], "BYTES")])
    response = answer.get_response()
    assert not response.outputs
    assert response.parameters["refusal"].string_param == "I would rather not."
    assert response.parameters["refusal_category"].string_param == "policy"


def tensors_of(*parts: Any) -> dict[str, Any]:
    message = open_inference.message("ModelInferRequest")(model_name="m")
    response = response_to_tensors(Answer(parts), message, "1")
    theirs = service_pb2.ModelInferResponse.FromString(response.SerializeToString())
    result = triton.InferResult(theirs)
    return {output.name: result.as_numpy(output.name) for output in theirs.outputs}


def test_every_kind_goes_out_as_tensors() -> None:
    frame = Image(b"frame")
    scored = Choice((ScoredLabel("seven", 0.9), ScoredLabel("one", 0.1)))
    found = tensors_of(
        Choice.of("a", "b"),
        Choice(scored.labels, name="sure"),
        Mask.from_array(np.eye(3, dtype=np.uint8), labels=("no", "yes")),
        Mesh.from_array(np.zeros((4, 3)), np.array([[0, 1, 2]])),
        Boxes((Box(0, 0, 1, 1, "car"),)),
        Video(b"clip", "video/mp4"),
        Video(frames=(VideoFrame(frame, 0), VideoFrame(frame, 40)), name="frames"),
        Number(3.0),
        Number(4.0),
        Text("one"),
        Text("two"),
    )
    assert found["choice"].tolist() == [b"a", b"b"]
    assert found["choice.sure.scores"].tolist() == [0.9, 0.1]
    assert (found["mask"] == np.eye(3)).all()
    assert found["mask.labels"].tolist() == [b"no", b"yes"]
    assert (found["mesh.vertices"].shape, found["mesh.faces"].tolist()) == ((4, 3), [[0, 1, 2]])
    assert json.loads(found["boxes"][0])["boxes"][0]["label"] == "car"
    assert found["video"].tolist() == [b"clip"]
    assert found["video.frames.times_us"].tolist() == [0, 40]
    assert found["text"].tolist() == [b"one", b"two"]
    assert [values.tolist() for name, values in found.items() if name.startswith("number")] == [[3.0], [4.0]]


def message(
    *tensors: dict[str, Any], raw: list[bytes] | None = None, **parameters: Any
) -> service_pb2.ModelInferRequest:
    found = service_pb2.ModelInferRequest(model_name="parrot", raw_input_contents=raw)
    for tensor in tensors:
        found.inputs.add(**tensor)
    for name, value in parameters.items():
        setattr(found.parameters[name], "string_param" if isinstance(value, str) else "bool_param", value)
    return found


def bytes_of(name: str, *elements: bytes) -> dict[str, Any]:
    contents = service_pb2.InferTensorContents(bytes_contents=elements)
    return {"name": name, "datatype": "BYTES", "shape": [len(elements)], "contents": contents}


def raw(name: str, data_type: str, shape: list[int], data: bytes) -> Any:
    return message({"name": name, "datatype": data_type, "shape": shape}, raw=[data])


HOSTILE = {
    "raw for no input": (message(raw=[b""]), "raw_input_contents has 1 entries for 0"),
    "raw and not": (message(bytes_of("text", b"a"), raw=[b""]), "send one of the two"),
    "raw too short": (raw("x", "FP32", [2], b"1234"), "has 4 bytes"),
    "no contents": (message({"name": "x", "datatype": "FP32", "shape": [2]}), "has 0 bytes"),
    "a negative shape": (raw("x", "FP32", [-1, -1], b"1234"), "axes from 0 up"),
    "a shape beyond all": (raw("x", "FP32", [2**62] * 8, b""), "takes"),
    "nine axes": (raw("x", "FP32", [1] * 9, b"1234"), "up to 8 axes"),
    "an unknown type": (raw("x", "BF16", [1], b"12"), "use BYTES or one of"),
    "half a length": (raw("text", "BYTES", [1], b"\1\0"), "end within"),
    "half an element": (raw("text", "BYTES", [1], b"\5\0\0\0a"), "end within"),
    "an element too many": (raw("text", "BYTES", [0], b"\0\0\0\0"), "go on after"),
    "elements beyond all": (raw("text", "BYTES", [2**62], b""), "BYTES may have"),
    "no text": (message(bytes_of("text", b"\xff")), "no UTF-8"),
    "no image": (message(bytes_of("image", b"what?")), "no image of a known type"),
    "a raw image": (raw("image", "UINT8", [1], b"1"), "must be BYTES, encoded"),
    "two instructions": (message(bytes_of("instruction", b"a", b"b")), "must have one element"),
    "numbers to say what to do": (raw("labels", "UINT8", [1], b"1"), "must be BYTES"),
    "two numbers": (raw("number", "UINT8", [2], b"12"), "must have one element"),
    "points in a plane": (raw("point_cloud", "FP32", [1, 2], bytes(8)), "must be FP32"),
    "a mask": (message(bytes_of("mask", b"1")), "cannot come in tensors"),
    "an empty label": (message(bytes_of("labels", b"")), "labels[0]"),
    "a name too long": (message(bytes_of("x" * 70, b"")), "parts[0].name"),
    "no call": (message(bytes_of("text", b"a"), call="sing"), "must be one of comprehend"),
    "no kind": (message(bytes_of("text", b"a"), output_kinds="text, song"), "names 'song'"),
    "no seed": (message(bytes_of("text", b"a"), seed=True), "must be a number"),
}


async def test_what_no_call_can_be_made_of_is_refused_by_name(serving: Serving) -> None:
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for what, (asked, words) in HOSTILE.items():
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ModelInfer(asked)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, what
            assert words in (caught.value.details() or ""), what
        assert server.listener.admission.bytes == 0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.RepositoryIndex(service_pb2.RepositoryIndexRequest())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


NAMES = st.sampled_from(
    ["instruction", "labels", "stop", "text", "json", "image", "video.a", "number", "point_cloud", "mask", "x", "", "."]
)
TENSORS_OF_ANYBODY = st.fixed_dictionaries(
    {
        "name": NAMES,
        "datatype": st.sampled_from(["BYTES", "FP32", "INT8", "FP16", "BOOL", "", "bytes"]),
        "shape": st.lists(st.sampled_from([-1, 0, 1, 2, 3, 2**62]), max_size=9),
    },
    optional={
        "contents": st.builds(
            service_pb2.InferTensorContents,
            bytes_contents=st.lists(st.binary(max_size=3), max_size=3),
            fp32_contents=st.lists(st.floats(width=32), max_size=3),
            int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3),
        )
    },
)


@hypothesis.given(st.lists(TENSORS_OF_ANYBODY, max_size=3), st.lists(st.binary(max_size=12), max_size=3))
def test_whatever_comes_is_a_request_or_told_as_broken(tensors: list[dict[str, Any]], raw: list[bytes]) -> None:
    asked = open_inference.message("ModelInferRequest").FromString(message(*tensors, raw=raw).SerializeToString())
    try:
        request = request_from_tensors(asked, Call.COMPREHEND)
        check(call_to_proto("m", request))
    except InvalidInputError:
        return
    assert len(request.parts) <= len(tensors) * 4096


async def test_integers_that_do_not_fit_their_type_are_refused(serving: Serving) -> None:
    contents = service_pb2.InferTensorContents(int_contents=[300])
    asked = message({"name": "x", "datatype": "INT8", "shape": [1], "contents": contents})
    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match="are no INT8"):
            await stub.ModelInfer(asked)


async def test_strangers_are_sent_away_as_from_our_own_service(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("sesame\n")
    headers = {"authorization": "Bearer sesame"}
    async with serving(token_file=str(tmp_path / "tokens")) as server, client_of(server) as client:
        assert await refused(client.infer("parrot", inputs())) == "StatusCode.UNAUTHENTICATED"
        assert await refused(client.is_server_live()) == "StatusCode.UNAUTHENTICATED"
        assert await client.is_server_live(headers=headers)
        assert (await client.infer("parrot", inputs(), headers=headers)).as_numpy("n").tolist() == [2**40]


async def test_admission_and_failures_are_those_of_our_own_service(serving: Serving) -> None:
    raising = [given("instruction", ["raise"], "BYTES")]
    async with serving(limits={"bytes": 1000}) as server, client_of(server) as client:
        assert await refused(client.infer("parrot", [given("x", np.zeros(1000))])) == "StatusCode.RESOURCE_EXHAUSTED"
        with pytest.raises(InferenceServerException, match="incident") as caught:
            await client.infer("parrot", raising)
        assert "sesame" not in str(caught.value)
        assert (await client.infer("parrot", inputs())).as_numpy("n").tolist() == [2**40]
    async with serving(limits={"message_bytes": 1 << 20}) as server, client_of(server) as client:
        large = [given("instruction", [f"large {1 << 20}"], "BYTES")]
        assert await refused(client.infer("parrot", large)) == "StatusCode.RESOURCE_EXHAUSTED"


async def test_a_call_ends_with_its_clients_time(serving: Serving, tmp_path: Path, until: Any) -> None:
    models = [{"name": "parrot", "adapter": "acme", "settings": {"gate": str(tmp_path / "gate")}}]
    waiting = [given("instruction", ["wait"], "BYTES")]
    async with serving(models) as server, client_of(server) as client:
        assert await refused(client.infer("parrot", waiting, client_timeout=0.1)) == "StatusCode.DEADLINE_EXCEEDED"
        await until(lambda: server.listener.admission.calls == 0)
        # The model was told that nobody waits, and is free.
        assert (await client.infer("parrot", inputs())).as_numpy("n").tolist() == [2**40]


async def test_a_model_that_is_not_there_yet_is_not_ready(serving: Serving) -> None:
    async with serving(loads=False) as server, client_of(server) as client:
        assert await client.is_server_live()
        assert not await client.is_server_ready()
        assert not await client.is_model_ready("parrot")
        assert await refused(client.infer("parrot", inputs())) == "StatusCode.UNAVAILABLE"
        assert await refused(client.get_model_metadata("parrot")) == "StatusCode.UNAVAILABLE"


async def test_a_large_tensor_goes_there_and_back(serving: Serving) -> None:
    values = np.arange(2_000_000, dtype=np.float32)
    async with serving() as server, client_of(server) as client:
        answer = await client.infer("parrot", [given("x", values)])
    assert (answer.as_numpy("x") == values).all()


async def test_reflection_knows_the_protocol(serving: Serving) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def asked() -> AsyncIterator[Any]:
        for symbol in (open_inference.SERVICE, "echelon.v1.ModelService", "nobody.Knows"):
            yield reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)

    async with serving() as server, grpc.aio.insecure_channel(server.listener.address) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        answers = [answer async for answer in stub.ServerReflectionInfo(asked())]
    assert [answer.WhichOneof("message_response") for answer in answers] == [
        "file_descriptor_response",
        "file_descriptor_response",
        "error_response",
    ]
