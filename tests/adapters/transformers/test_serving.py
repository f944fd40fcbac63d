"""Every family through a real server and client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echelon.adapters import Answer, Audio, Call, Image, Kind, Part, Request, Sampling, Text, Video
from echelon.adapters.errors import BudgetExceededError, UnsupportedError
from echelon.clients import AsyncClient, Options, Pipeline, Retry

# PaliGemma's processor hands numpy a tensor in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ONCE = Options(retry=Retry(attempts=1))
PIXELS = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
IMAGE = Image.from_array(PIXELS)
VIDEO = Video.from_array(np.stack([PIXELS, PIXELS[::-1]]), frames_per_second=2)
SOUND = Audio.from_array(np.random.default_rng(0).normal(size=8000) * 0.1, 16000)
SHORT = Sampling(seed=1, temperature=1.0, max_token_count=6)
LABELS = ("cat", "red dog")

ASKED = [
    ("llama", Call.LANGUAGE, Kind.TEXT, (Text("hello"),)),
    ("llama", Call.LANGUAGE, Kind.CHOICE, (Text("hello"),)),
    ("t5", Call.LANGUAGE, Kind.TEXT, (Text("hello"),)),
    ("llava", Call.COMPREHEND, Kind.TEXT, (IMAGE,)),
    ("llava", Call.COMPREHEND, Kind.CHOICE, (IMAGE,)),
    ("llava_next", Call.COMPREHEND, Kind.TEXT, (IMAGE,)),
    ("blip_2", Call.COMPREHEND, Kind.TEXT, (IMAGE,)),
    ("instructblip", Call.COMPREHEND, Kind.CHOICE, (IMAGE,)),
    ("qwen2_5_vl", Call.COMPREHEND, Kind.TEXT, (VIDEO, Text("hello"))),
    ("internvl", Call.COMPREHEND, Kind.TEXT, (IMAGE, IMAGE)),
    ("paligemma", Call.COMPREHEND, Kind.CHOICE, (IMAGE, Text("answer en"))),
    ("chameleon", Call.COMPREHEND, Kind.TEXT, (IMAGE,)),
    ("qwen2_audio", Call.COMPREHEND, Kind.TEXT, (SOUND,)),
    ("janus", Call.GENERATE, Kind.IMAGE, (Text("a cat"),)),
    ("emu3", Call.GENERATE, Kind.IMAGE, (Text("a cat"),)),
    ("grounding_dino", Call.COMPREHEND, Kind.BOXES, (IMAGE,)),
    ("clipseg", Call.COMPREHEND, Kind.MASK, (IMAGE,)),
    ("clip", Call.COMPREHEND, Kind.CHOICE, (IMAGE,)),
]


def model_of(folder: Path, **settings: Any) -> dict[str, Any]:
    settings = {"folder": str(folder), "drawing": {"pixels": 1024}, **settings}
    return {"name": "model", "adapter": "transformers", "settings": settings, "max_batch_size": 4}


@pytest.mark.parametrize(("name", "call", "kind", "parts"), ASKED, ids=[f"{row[0]}-{row[2]}" for row in ASKED])
async def test_a_call_is_answered(
    serving: Any, checkpoint: Callable[[str], Path], name: str, call: Call, kind: Kind, parts: tuple[Part, ...]
) -> None:
    labels = LABELS if kind in (Kind.CHOICE, Kind.BOXES, Kind.MASK) else ()
    request = Request(call, "What is it?", parts, (kind,), labels, SHORT)
    async with serving([model_of(checkpoint(name))]) as server, AsyncClient(server.listener.address) as client:
        async with Pipeline(client) as pipeline:
            first, again = [await pipeline.ask("model", request) for _ in range(2)]
        unary = await client.ask("model", request)
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert isinstance(unary, Answer)
    assert first.parts == again.parts == unary.parts
    assert [part.kind for part in first.parts] == [kind]
    assert first.usage.input_token_count > 0
    assert first.usage.compute_us > 0


async def test_calls_share_batches_and_get_their_own_answers(serving: Any, checkpoint: Callable[[str], Path]) -> None:
    requests = [
        Request(Call.COMPREHEND, "word " * place, (IMAGE,), (Kind.TEXT,), sampling=Sampling(place, 1.5, None, 8))
        for place in range(12)
    ]
    async with (
        serving([model_of(checkpoint("llava"))]) as server,
        AsyncClient(server.listener.address) as client,
        Pipeline(client) as pipeline,
    ):
        together = await asyncio.gather(*(pipeline.ask("model", request) for request in requests))
        by_itself = [await client.ask("model", request) for request in requests]
    texts = [outcome.parts for outcome in together if isinstance(outcome, Answer)]
    assert texts == [outcome.parts for outcome in by_itself if isinstance(outcome, Answer)]
    assert len(set(texts)) == len(requests)


async def test_a_deadline_ends_a_long_text(serving: Any, checkpoint: Callable[[str], Path]) -> None:
    # With this seed it takes seconds; with others it may end before the deadline.
    endless = Request(Call.LANGUAGE, "Go on.", sampling=Sampling(6, 3.0, None, 2000))
    async with (
        serving([model_of(checkpoint("llama"))]) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        with pytest.raises(BudgetExceededError):
            await client.ask("model", endless, timeout_s=0.3)
        short = Request(Call.LANGUAGE, "Go on.", sampling=SHORT)
        assert isinstance(await client.ask("model", short), Answer)


async def test_what_the_card_does_not_list_never_reaches_the_model(
    serving: Any, checkpoint: Callable[[str], Path]
) -> None:
    async with (
        serving([model_of(checkpoint("llama"))]) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        with pytest.raises(UnsupportedError):
            await client.ask("model", Request(Call.COMPREHEND, "?", (IMAGE,)))
