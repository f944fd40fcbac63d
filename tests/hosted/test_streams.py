"""Text that arrives piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from echelon.adapters import Answer, Call, FinishReason, Kind, Refusal, Request, Sampling, Text, errors
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load

ASKED = Request(Call.LANGUAGE, "Count.")
PIECES = ["one, ", "two, ", "three"]


@asynccontextmanager
async def adapter(dialect: Any, api: Any, **settings: Any) -> AsyncIterator[Any]:
    """The adapter, opened and closed in threads as a server does it."""
    adapter_class: Any = Registry.installed().load(dialect.name)
    opened = adapter_class()
    values = load(adapter_class.settings_type, dialect.settings(api.url, **settings))
    await asyncio.to_thread(opened.open, values)
    try:
        yield opened
    finally:
        await asyncio.to_thread(opened.close)


async def heard(dialect: Any, api: Any, request: Request = ASKED, **settings: Any) -> list[Any]:
    async with adapter(dialect, api, **settings) as opened:
        return [piece async for piece in opened.stream_language(request)]


async def test_pieces_come_as_the_api_sends_them_and_the_outcome_last(api: Any, dialect: Any) -> None:
    api.script = lambda asked: api.streamed(dialect.events(PIECES))
    *pieces, outcome = await heard(dialect, api, prices={"input": 1.0, "output": 2.0})
    assert pieces == PIECES
    assert isinstance(outcome, Answer)
    assert outcome.parts == (Text("one, two, three"),)
    assert outcome.finish_reason is FinishReason.COMPLETE
    assert (outcome.usage.input_token_count, outcome.usage.output_token_count) == (7, 3)
    assert outcome.usage.cost_nano_usd == 13_000
    body = api.asked[0].body
    assert body["stream"] is True
    assert body.get("stream_options") == ({"include_usage": True} if dialect.is_openai else None)


async def test_a_streamed_answer_that_is_cut_off_says_so(api: Any, dialect: Any) -> None:
    api.script = lambda asked: api.streamed(dialect.events(PIECES, "length"))
    assert (await heard(dialect, api))[-1].finish_reason is FinishReason.LENGTH


async def test_a_streamed_refusal_is_one(api: Any, dialect: Any) -> None:
    finish = "content_filter" if dialect.is_openai else "refusal"
    api.script = lambda asked: api.streamed(dialect.events(["Well, "], finish))
    piece, outcome = await heard(dialect, api)
    assert piece == "Well, "
    assert isinstance(outcome, Refusal)
    assert (outcome.category, outcome.text) == (finish, "Well, ")


@pytest.mark.parametrize("ends", ["cleanly", "with a broken connection", "inside of an event"])
async def test_a_stream_that_breaks_off_gives_no_outcome(api: Any, dialect: Any, ends: str) -> None:
    events = dialect.events(PIECES)
    first = b"".join(events[: 2 if dialect.is_openai else 4])
    whole = api.streamed(events).body
    reply = {
        "cleanly": api.streamed([first]),
        "with a broken connection": api.raw(whole, content_type="text/event-stream", cut_at=len(first)),
        "inside of an event": api.streamed([first, b"data: {"]),
    }[ends]
    api.script = lambda asked: reply
    pieces: list[Any] = []

    async def listen(stream: AsyncIterator[Any]) -> None:
        async for piece in stream:
            pieces.append(piece)  # noqa: PERF401  (what came before the failure counts too)

    async with adapter(dialect, api) as opened:
        with pytest.raises(errors.BackendError):
            await listen(opened.stream_language(ASKED))
    assert pieces[:1] == ["one, "]
    assert all(isinstance(piece, str) for piece in pieces)


async def test_a_stream_that_fails_half_way_tells_the_failure(api: Any, anthropic: Any, openai: Any) -> None:
    from json import dumps

    body = {"type": "error", "error": {"type": "overloaded_error", "message": "their own words"}}
    failing = f"event: error\ndata: {dumps(body)}\n\n".encode()
    api.script = lambda asked: api.streamed([*anthropic.events(PIECES)[:4], failing])
    with pytest.raises(errors.ServerBusyError, match="overloaded_error"):
        await heard(anthropic, api)
    failing = f"data: {dumps({'error': {'message': 'their own words', 'code': 'rate_limit_exceeded'}})}\n\n".encode()
    api.script = lambda asked: api.streamed([*openai.events(PIECES)[:1], failing])
    with pytest.raises(errors.ServerBusyError, match="rate_limit_exceeded") as caught:
        await heard(openai, api)
    assert "their own words" not in str(caught.value)


async def test_a_streamed_answer_that_is_given_up_is_none(api: Any, openai: Any) -> None:
    api.script = lambda asked: api.streamed(openai.events(PIECES, "abort"))
    with pytest.raises(errors.BackendError, match="'abort'"):
        await heard(openai, api)


async def test_what_a_filter_tells_between_pieces_is_passed_over(api: Any, openai: Any) -> None:
    told = b'data: {"id": "", "choices": [{"index": 0, "finish_reason": null, "content_filter_offsets": {}}]}\n\n'
    first, *others = openai.events(PIECES)
    api.script = lambda asked: api.streamed([told, first, told, *others])
    *pieces, outcome = await heard(openai, api)
    assert pieces == PIECES
    assert outcome.parts == (Text("one, two, three"),)


async def test_a_stream_that_fails_with_a_number_is_told_by_it(api: Any, openai: Any) -> None:
    failing = b'data: {"error": {"message": "their own words", "type": "TooManyRequests", "code": 429}}\n\n'
    api.script = lambda asked: api.streamed([*openai.events(PIECES)[:1], failing])
    with pytest.raises(errors.ServerBusyError, match="429, TooManyRequests"):
        await heard(openai, api)


async def test_a_failure_before_the_first_piece_is_told_as_ever(api: Any, dialect: Any) -> None:
    api.script = lambda asked: dialect.failure(429, "rate_limit_error", retry_after="2")
    with pytest.raises(errors.ServerBusyError) as caught:
        await heard(dialect, api)
    assert caught.value.retry_after_s == 2.0


async def test_a_stream_ends_with_its_budget(api: Any, dialect: Any, until: Any) -> None:
    api.script = lambda asked: api.raw(b"", hangs=True)
    request = Request(Call.LANGUAGE, "Count.", deadline=monotonic() + 0.3)
    with pytest.raises(errors.BudgetExceededError):
        await heard(dialect, api, request)
    await until(api.left.is_set)


async def test_a_stream_that_is_given_up_gives_its_place_back(api: Any, dialect: Any) -> None:
    api.script = lambda asked: api.streamed(dialect.events(PIECES))
    async with adapter(dialect, api, max_concurrent_calls=1) as opened:
        stream = opened.stream_language(ASKED)
        assert await anext(stream) == "one, "
        await stream.aclose()
        again = [piece async for piece in opened.stream_language(ASKED)]
    assert again[:-1] == PIECES


async def test_what_has_to_be_read_or_cut_when_it_is_whole_is_not_streamed(api: Any, dialect: Any) -> None:
    async with adapter(dialect, api) as opened:
        assert opened.stream_language(Request(Call.LANGUAGE, "?", output_kinds=(Kind.NUMBER,))) is None
        many = Sampling(stop=tuple(map(str, range(16))))
        streams = opened.stream_language(Request(Call.LANGUAGE, "?", sampling=many))
        assert (streams is None) == dialect.is_openai
        if streams is not None:
            await streams.aclose()
    async with adapter(dialect, api, sampling=[]) as opened:
        assert opened.stream_language(Request(Call.LANGUAGE, "?", sampling=Sampling(stop=("a",)))) is None
    assert api.asked == []


async def test_closing_closes_the_connections(api: Any, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("x")
    async with adapter(dialect, api) as opened:
        await opened.language(ASKED)
        client = opened._client
        assert not client.is_closed()
    assert client.is_closed()
