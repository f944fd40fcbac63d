"""A client cannot tell where an adapter runs: in the server, in a process of its own, behind another server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import status_pb2

from echelon.adapters import (
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
    Call,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Request,
    Role,
    Sampling,
    ScoredLabel,
    Tensor,
    Text,
    Video,
)
from echelon.clients import AsyncClient, Options
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.calls import call_to_proto
from echelon.wire.cards import card_to_proto

Serving = Callable[..., Any]
PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PARTS: list[Part] = [
    Text("héllo \u0000 \U0001f600", "fr", name="greeting", role=Role.HISTORY),
    Text("long " * 10_000),
    Number(0.1 + 0.2, "kg"),
    Choice((ScoredLabel("yes", 0.75), ScoredLabel("no"))),
    Image.from_array(PIXELS, name="pixels"),
    Audio.from_array(np.linspace(-1, 1, 100), 8000),
    Video.from_array(np.stack([PIXELS, PIXELS]), frames_per_second=24),
    Video(b"no clip at all", "video/mp4"),
    PointCloud.from_array(np.eye(3), channels=("x", "y", "z")),
    Mesh.from_array(np.eye(3), np.array([[0, 1, 2]])),
    Mask.from_array(np.eye(4, dtype=np.uint8), labels=("sky", "sea")),
    Mask(2, 2, run_lengths=(1, 3)),
    Boxes((Box(0, 0, 1, 1, "a", 0.5, 3, 4), Box(1, 2, 3, 4))),
    Boxes((Box3D((0, 0, 0), (1, 1, 1), (0, 0, 0, 1), "b"),), BoxSpace.METRE),
    Tensor.from_array(np.arange(100_000, dtype=np.float64).reshape(10, -1), name="flow"),
    Tensor.from_array(np.zeros((0, 3), np.float16)),
    Json('{"a": [1, 2.5, null]}'),
]
TRICKS = ["raise", "exit", "backend", "forget", "iterate", "unable", "refuse", "count", "pixels"]
LIES = ["none", "string", "empty", "parts", "typed", "nan", "infinite", "shape", "untyped", "image"]
NAMES = ("inside", "apart", "remote")
WORDS = [*TRICKS, *LIES, "large 3000000", "large 70000000"]
REQUESTS = {
    **{f"{part.kind} {number}": Request(Call.GENERATE, "repeat", (part,)) for number, part in enumerate(PARTS)},
    "all at once": Request(Call.COMPREHEND, "repeat", tuple(PARTS)),
    **{word: Request(Call.COMPREHEND, word) for word in WORDS},
    "pixels of an image": Request(Call.COMPREHEND, "pixels", (PARTS[4],)),
    "pixels of no image": Request(Call.COMPREHEND, "pixels", (Image(b"no image at all"),)),
    "everything set": Request(
        Call.LANGUAGE, "repeat", (Text("a"),), (Kind.TEXT,), ("a", "b"), Sampling(3, 0.5, 0.9, 7, ("stop",))
    ),
    "what is not carded": Request(Call.LANGUAGE, "repeat", (Number(1.0),)),
}


async def answer(stub: Any, model: str, request: Request) -> tuple[str, bytes]:
    """How a call ended and the bytes it ended with, without what two calls of one model differ in."""
    method, kind = {
        Call.COMPREHEND: (stub.Comprehend, pb.ComprehendRequest),
        Call.GENERATE: (stub.Generate, pb.GenerateRequest),
        Call.LANGUAGE: (stub.Language, pb.LanguageRequest),
    }[request.call]
    try:
        outcome = (await method(kind(call=call_to_proto(model, request)))).outcome
    except grpc.aio.AioRpcError as error:
        (details,) = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
        status = status_pb2.Status.FromString(details)
        said = re.sub("incident [0-9a-f]+", "incident", status.message)
        status.message = re.sub("model '[a-z]+'", "model", said)
        usage = pb.Usage()
        for detail in status.details:
            if detail.Unpack(usage):
                usage.queue_us = usage.compute_us = 0
                detail.Pack(usage)
        return error.code().name, status.SerializeToString(deterministic=True)
    outcome.usage.queue_us = outcome.usage.compute_us = 0
    return "OK", outcome.SerializeToString(deterministic=True)


async def test_every_outcome_and_error_is_the_same_byte_by_byte(serving: Serving) -> None:
    models = [
        {"name": "inside", "adapter": "acme", "isolation": "inproc", "max_batch_size": 4},
        {"name": "apart", "adapter": "acme", "isolation": "subprocess", "max_batch_size": 4},
    ]
    differ, ended = {}, set()
    async with (
        serving(models) as far,
        serving([*models, {"name": "remote", "remote": {"target": f"{far.listener.address}/inside"}}]) as server,
        AsyncClient(server.listener.address) as client,
        Options().channel(server.listener.address) as channel,
    ):
        cards = [card_to_proto((await client.model(name)).card) for name in NAMES]
        stub = pb_grpc.ModelServiceStub(channel)
        for name, request in REQUESTS.items():
            inside, *others = [await answer(stub, model, replace(request, id=f"{model}: {name}")) for model in NAMES]
            ended.add(inside[0])
            if others != [inside] * len(others):
                differ[name] = (inside, others)
    assert differ == {}
    assert ended == {"OK", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED", "INVALID_ARGUMENT"}
    for card in cards:
        card.name = ""
    assert cards == [cards[0]] * len(cards)


@pytest.mark.parametrize("call", Call)
def test_there_is_a_request_for_every_call(call: Call) -> None:
    assert any(request.call is call for request in REQUESTS.values())


def test_there_is_a_part_of_every_kind() -> None:
    assert {part.kind for part in PARTS} == set(Kind)
