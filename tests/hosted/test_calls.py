"""Calls over a real Echelon server to a real HTTP server: what is asked, and what comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Boxes,
    BoxSpace,
    Call,
    Choice,
    FinishReason,
    Image,
    Json,
    Kind,
    Number,
    Outcome,
    Part,
    Refusal,
    Request,
    Role,
    Sampling,
    Text,
    Video,
    VideoFrame,
    errors,
)
from echelon.clients import AsyncClient, Options, Retry

ONCE = Options(retry=Retry(attempts=1))
DOT = Image.from_array(np.zeros((2, 4), np.uint8))
JPEG = Image(b"\xff\xd8\xff\xe0 as good as any", "image/jpeg")
BEEP = Audio.from_array(np.zeros(8, np.float32), 8000)

Ask = Callable[..., Any]


@pytest.fixture
def ask(serving: Any, api: Any) -> Ask:
    """Asks a hosted model once, through a server and a client of ours."""

    async def ask(dialect: Any, request: Request, *, timeout_s: float = 60.0, **settings: Any) -> Outcome:
        model = {"name": "m", "adapter": dialect.name, "settings": dialect.settings(api.url, **settings)}
        async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:
            outcome: Outcome = await client.ask("m", request, timeout_s=timeout_s)
            return outcome

    return ask


def look(instruction: str, *parts: Part, **more: Any) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, **more)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image_block(dialect: Any, image: Image) -> dict[str, Any]:
    """An image as the API wants it."""
    if dialect.is_openai:
        return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{encoded(image.data)}"}}
    source = {"type": "base64", "media_type": image.media_type, "data": encoded(image.data)}
    return {"type": "image", "source": source}


def text_block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


async def test_text_is_asked_and_answered_and_counted(api: Any, ask: Ask, dialect: Any, key: str) -> None:
    api.script = lambda asked: dialect.answer("Paris", tokens=(1_000_000, 2_000))
    prices = {"input": 2.5, "output": 10.0}
    outcome = await ask(dialect, Request(Call.LANGUAGE, "The capital of France?"), prices=prices, system="Be brief.")
    assert isinstance(outcome, Answer)
    assert outcome.parts == (Text("Paris"),)
    assert outcome.finish_reason is FinishReason.COMPLETE
    assert (outcome.usage.input_token_count, outcome.usage.output_token_count) == (1_000_000, 2_000)
    assert outcome.usage.cost_nano_usd == 2_520_000_000
    (asked,) = api.asked
    assert asked.path == ("/v1/chat/completions" if dialect.is_openai else "/v1/messages")
    assert key in (asked.headers.get("authorization", "") + asked.headers.get("x-api-key", ""))
    question = {"role": "user", "content": "The capital of France?"}
    if dialect.is_openai:
        opening = {"role": "system", "content": "Be brief."}
        assert asked.body == {"model": "gpt-test", "messages": [opening, question]}
    else:
        assert asked.body == {
            "model": "claude-test",
            "messages": [question],
            "max_tokens": 4096,
            "system": "Be brief.",
        }


async def test_images_go_in_their_places_as_base64(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("the second")
    before, after = Image(DOT.data, name="before"), Image(JPEG.data, JPEG.media_type, name="after")
    await ask(dialect, look("Which is larger?", before, Text("or"), after))
    assert api.asked[0].said == [
        text_block("Which is larger?\n\nbefore:"),
        image_block(dialect, DOT),
        text_block("or\n\nafter:"),
        image_block(dialect, JPEG),
    ]


async def test_a_video_is_shown_as_frames_spread_evenly(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("left")
    images = [Image.from_array(np.full((2, 2), shade, np.uint8)) for shade in range(10)]
    video = Video(frames=tuple(VideoFrame(image, n * 500_000) for n, image in enumerate(images)))
    await ask(dialect, look("Which way?", video), video_frames=2)
    assert api.asked[0].said == [
        text_block("Which way?\n\nFrame 1 of 2 at 1.00 s:"),
        image_block(dialect, images[2]),
        text_block("Frame 2 of 2 at 3.50 s:"),
        image_block(dialect, images[7]),
    ]


async def test_examples_and_history_are_turns(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer('{"labels": ["no"]}')
    shown = Image(DOT.data, role=Role.EXEMPLAR)
    answer = Choice(Choice.of("yes").labels, role=Role.EXEMPLAR, name="answer")
    history = (Text("Hello", role=Role.HISTORY), Text("Hello to you", role=Role.HISTORY))
    await ask(dialect, look("Dark?", shown, answer, *history, JPEG, labels=("yes", "no")))
    messages = [message for message in api.asked[0].body["messages"] if message["role"] != "system"]
    hint = (
        'Answer with JSON: {"labels": [...]} holds the label, or every label if several are asked for, best first. '
        'The labels to choose from: ["yes", "no"]'
    )
    assert messages == [
        {"role": "user", "content": [text_block("Dark?"), image_block(dialect, DOT), text_block(hint)]},
        {"role": "assistant", "content": '{"labels": ["yes"]}'},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello to you"},
        {"role": "user", "content": [text_block("Dark?"), image_block(dialect, JPEG), text_block(hint)]},
    ]


async def test_examples_without_answers_are_shown_beside_the_question(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("so")
    await ask(dialect, look("Go on.", Text("a, b", role=Role.EXEMPLAR), Text("c", name="start")))
    assert api.asked[0].said == "Go on.\n\nExamples:\n\na, b\n\nWhat is asked:\n\nstart:\n\nc"


async def test_white_space_alone_is_nothing_to_say(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("so")
    await ask(dialect, look("", DOT, Text(" \n"), JPEG))
    assert api.asked[0].said == [image_block(dialect, DOT), image_block(dialect, JPEG)]
    with pytest.raises(errors.InvalidInputError, match="neither an instruction nor an input part"):
        await ask(dialect, look(" ", Text("\n")))


async def test_a_speaker_nobody_knows_is_told_with_the_fix(ask: Ask, dialect: Any) -> None:
    with pytest.raises(errors.InvalidInputError, match="named 'chorus'; name it 'user' or 'assistant'"):
        await ask(dialect, look("?", Text("Hello", role=Role.HISTORY, name="chorus")))


async def test_an_empty_call_is_told_with_the_fix(ask: Ask, dialect: Any) -> None:
    with pytest.raises(errors.InvalidInputError, match="neither an instruction nor an input part"):
        await ask(dialect, look(""))


async def test_what_is_not_offered_is_unsupported(api: Any, ask: Ask, dialect: Any) -> None:
    with pytest.raises(errors.UnsupportedError, match="takes no audio"):
        await ask(dialect, look("What is heard?", BEEP))
    with pytest.raises(errors.UnsupportedError, match="gives no mask"):
        await ask(dialect, look("Where?", DOT, output_kinds=(Kind.MASK,)))
    with pytest.raises(errors.UnsupportedError, match="does not generate"):
        await ask(dialect, Request(Call.GENERATE, "Draw."))
    assert api.asked == []


async def test_sound_goes_as_the_api_takes_it(api: Any, ask: Ask, openai: Any) -> None:
    api.script = lambda asked: openai.answer("a beep")
    calls = {"comprehend": {"takes": ["audio"], "gives": ["text"]}, "language": None}
    mp3 = Audio(b"ID3 as good as any", "audio/mpeg")
    await ask(openai, look("What is heard?", BEEP, mp3), calls=calls)
    blocks = [block["input_audio"] for block in api.asked[0].said[1:]]
    assert blocks == [
        {"data": encoded(BEEP.data), "format": "wav"},
        {"data": encoded(mp3.data), "format": "mp3"},
    ]


async def test_other_sound_is_turned_into_wav(api: Any, ask: Ask, openai: Any) -> None:
    import io

    import soundfile

    api.script = lambda asked: openai.answer("a beep")
    calls = {"comprehend": {"takes": ["audio"], "gives": ["text"]}, "language": None}
    out = io.BytesIO()
    soundfile.write(out, np.zeros(800, np.float32), 8000, format="FLAC")
    await ask(openai, look("What is heard?", Audio(out.getvalue(), "audio/flac")), calls=calls)
    sent = api.asked[0].said[1]["input_audio"]
    samples, rate = Audio(base64.b64decode(sent["data"])).array()
    assert (sent["format"], len(samples), rate) == ("wav", 800, 8000)


async def test_a_clip_goes_whole_where_the_server_takes_it(api: Any, ask: Ask, openai: Any) -> None:
    api.script = lambda asked: openai.answer("left")
    await ask(openai, look("Which way?", Video(data=b"a clip", media_type="video/mp4")), video="clip")
    url = f"data:video/mp4;base64,{encoded(b'a clip')}"
    assert api.asked[0].said[1] == {"type": "video_url", "video_url": {"url": url}}


async def test_a_clip_nobody_decodes_is_told_with_the_fix(ask: Ask, dialect: Any) -> None:
    with pytest.raises(errors.InvalidInputError, match="send frames"):
        await ask(dialect, look("Which way?", Video(data=b"a clip", media_type="video/mp4")))


LABELS = ("cat", "dog")
LABEL = {"type": "string", "enum": ["cat", "dog"]}
BOX = {"label": "cat", "x_min": 1, "y_min": 2, "x_max": 3.5, "y_max": 4, "score": 0.9}
STRUCTURED: dict[Kind, tuple[Any, Part, dict[str, Any]]] = {
    Kind.CHOICE: ({"labels": ["dog"]}, Choice.of("dog"), {"labels": {"type": "array", "items": LABEL}}),
    Kind.NUMBER: ({"number": -2.5}, Number(-2.5), {"number": {"type": "number"}}),
    Kind.BOXES: (
        {"boxes": [BOX]},
        Boxes((Box(1, 2, 3.5, 4, "cat", 0.9),)),
        {
            "boxes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "label": LABEL,
                        **{name: {"type": "number"} for name in ("x_min", "y_min", "x_max", "y_max", "score")},
                    },
                    "required": list(BOX),
                    "additionalProperties": False,
                },
            }
        },
    ),
}


@pytest.mark.parametrize("kind", STRUCTURED)
async def test_structured_answers_are_enforced_by_a_schema(api: Any, ask: Ask, dialect: Any, kind: Kind) -> None:
    document, part, properties = STRUCTURED[kind]
    api.script = lambda asked: dialect.answer(json.dumps(document))
    outcome = await ask(dialect, look("What is it?", DOT, output_kinds=(kind,), labels=LABELS))
    assert outcome.parts == (part,)
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    body = api.asked[0].body
    if dialect.is_openai:
        json_schema = {"name": str(kind), "schema": schema, "strict": True}
        assert body["response_format"] == {"type": "json_schema", "json_schema": json_schema}
    else:
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "Answer with JSON" in body["messages"][-1]["content"][-1]["text"]


async def test_json_is_taken_as_it_is(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer('```json\n{"a": [1, 2]}\n```')
    outcome = await ask(dialect, look("Parse.", Text("1 2"), output_kinds=(Kind.JSON,)))
    assert outcome.parts == (Json('{"a": [1, 2]}'),)
    expected = {"type": "json_object"} if dialect.is_openai else None
    assert api.asked[0].body.get("response_format") == expected
    assert "output_config" not in api.asked[0].body


async def test_a_schema_stands_beside_what_the_settings_say_in_its_place(api: Any, ask: Ask, anthropic: Any) -> None:
    api.script = lambda asked: anthropic.answer('{"number": 4}')
    extra = {"output_config": {"effort": "low"}}
    await ask(anthropic, look("2 + 2?", output_kinds=(Kind.NUMBER,)), extra_body=extra)
    config = api.asked[0].body["output_config"]
    assert (config["effort"], config["format"]["type"]) == ("low", "json_schema")


async def test_a_tool_takes_the_answer_where_the_settings_say_so(api: Any, ask: Ask, anthropic: Any) -> None:
    block = {"type": "tool_use", "id": "1", "name": "answer", "input": {"number": 4}}
    api.script = lambda asked: anthropic.answer("", "tool_use", content=[block])
    outcome = await ask(anthropic, look("2 + 2?", output_kinds=(Kind.NUMBER,)), structured="tool")
    assert outcome.parts == (Number(4.0),)
    body = api.asked[0].body
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert body["tools"][0]["input_schema"]["properties"] == {"number": {"type": "number"}}


@pytest.mark.parametrize(("mode", "expected"), [("json", {"type": "json_object"}), ("prompt", None)])
async def test_servers_without_schemas_are_only_told(api: Any, ask: Ask, openai: Any, mode: str, expected: Any) -> None:
    api.script = lambda asked: openai.answer('{"number": 4}')
    outcome = await ask(openai, look("2 + 2?", output_kinds=(Kind.NUMBER,)), structured=mode)
    assert outcome.parts == (Number(4.0),)
    assert api.asked[0].body.get("response_format") == expected


UNREADABLE = {
    Kind.CHOICE: ["dog", "{}", '{"labels": []}', '{"labels": [1]}', '{"labels": "dog"}', '{"labels": ["dog"], "x": 1}'],
    Kind.NUMBER: ["four", '{"number": "4"}', '{"number": true}', '{"number": NaN}', '{"number": 1, "number": 2}',
                  '{"number": 1' + "0" * 400 + "}", '[{"number": 4}]'],
    Kind.BOXES: ['{"boxes": [1]}', '{"boxes": [{"label": "cat"}]}',
                 json.dumps({"boxes": [{**BOX, "x_min": 9}]}), json.dumps({"boxes": [{**BOX, "score": None}]})],
    Kind.JSON: ["nonsense", '{"a": 1', "[" * 100_000],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in UNREADABLE.items() for text in texts])
async def test_what_does_not_parse_is_text_for_the_extractor_or_no_answer(
    api: Any, serving: Any, openai: Any, kind: Kind, text: str
) -> None:
    api.script = lambda asked: openai.answer(text)
    model = {"name": "m", "adapter": "openai", "settings": openai.settings(api.url)}
    async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:
        outcome = await client.ask("m", look("?", output_kinds=(kind, Kind.TEXT), labels=LABELS[: kind is Kind.CHOICE]))
        with pytest.raises(errors.OutputInvalidError, match=f"cannot be read as {kind}") as caught:
            await client.ask("m", look("?", output_kinds=(kind,)))
    assert isinstance(outcome, Answer)
    assert outcome.parts == (Text(text),)
    assert text not in str(caught.value)


async def test_more_labels_than_schemas_hold_are_only_told(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer('{"labels": ["label 299"]}')
    labels = tuple(f"label {n}" for n in range(300))
    outcome = await ask(dialect, look("Which?", DOT, output_kinds=(Kind.CHOICE,), labels=labels))
    assert outcome.parts == (Choice.of("label 299"),)
    body = json.dumps(api.asked[0].body)
    assert "enum" not in body
    assert "label 299" in body


@pytest.mark.parametrize(
    ("coordinates", "corner", "expected"),
    [
        ("pixel", 2, Boxes((Box(0, 0, 2, 2, "", 1.0),))),
        ("unit", 0.5, Boxes((Box(0, 0, 0.5, 0.5, "", 1.0),), BoxSpace.UNIT)),
        ("thousandth", 500, Boxes((Box(0, 0, 2, 1, "", 1.0),))),
    ],
)
async def test_boxes_are_read_in_the_models_own_coordinates(
    api: Any, ask: Ask, dialect: Any, coordinates: str, corner: float, expected: Boxes
) -> None:
    box = {"label": "", "x_min": 0, "y_min": 0, "x_max": corner, "y_max": corner, "score": 1}
    api.script = lambda asked: dialect.answer(json.dumps({"boxes": [box]}))
    outcome = await ask(dialect, look("Where?", DOT, output_kinds=(Kind.BOXES,)), box_coordinates=coordinates)
    assert outcome.parts == (expected,)


SAMPLING = Sampling(seed=7, temperature=0.0, top_p=0.5, max_token_count=20, stop=("a", "b", "c", "d", "e"))


async def test_sampling_goes_as_far_as_the_settings_let_it(api: Any, ask: Ask, openai: Any) -> None:
    api.script = lambda asked: openai.answer("whole")
    request = Request(Call.LANGUAGE, "?", sampling=SAMPLING)
    await ask(openai, request)
    await ask(openai, request, sampling=["seed"], max_tokens_field="max_tokens", extra_body={"top_k": 5})
    first, second = (asked.body for asked in api.asked)
    for body in (first, second):
        del body["messages"], body["model"]
    assert first == {
        "seed": 7, "temperature": 0.0, "top_p": 0.5, "max_completion_tokens": 20, "stop": ["a", "b", "c", "d"],
    }  # fmt: skip
    assert second == {"seed": 7, "max_tokens": 20, "top_k": 5}


async def test_anthropic_gets_what_its_version_of_the_api_takes(api: Any, ask: Ask, anthropic: Any) -> None:
    api.script = lambda asked: anthropic.answer("whole")
    request = Request(Call.LANGUAGE, "?", sampling=SAMPLING)
    await ask(anthropic, request)
    older = {"anthropic-version": "2023-06-01"}
    await ask(anthropic, request, sampling=["temperature", "stop"], headers=older)
    first, second = (asked.body for asked in api.asked)
    assert "temperature" not in first
    assert (first["stop_sequences"], first["max_tokens"]) == (["a", "b", "c", "d", "e"], 20)
    assert (second["temperature"], "top_p" in second) == (0.0, False)
    assert api.asked[1].headers["anthropic-version"] == "2023-06-01"


async def test_anthropic_is_sent_no_stop_string_of_white_space(api: Any, ask: Ask, anthropic: Any) -> None:
    api.script = lambda asked: anthropic.answer("one\ntwo")
    outcome = await ask(anthropic, Request(Call.LANGUAGE, "?", sampling=Sampling(stop=("\n", "Q:"))))
    assert api.asked[0].body["stop_sequences"] == ["Q:"]
    assert outcome.parts == (Text("one"),)


async def test_an_answer_ends_before_a_stop_string_whether_the_api_knows_it_or_not(
    api: Any, ask: Ask, dialect: Any
) -> None:
    api.script = lambda asked: dialect.answer("one two three")
    request = Request(Call.LANGUAGE, "?", sampling=Sampling(stop=("three", " two")))
    outcome = await ask(dialect, request, sampling=[])
    assert outcome.parts == (Text("one"),)


async def test_an_answer_that_was_complete_before_it_was_cut_off_is_complete(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("one. two", "length")
    outcome = await ask(dialect, Request(Call.LANGUAGE, "?", sampling=Sampling(stop=(".",))), sampling=[])
    assert outcome.parts == (Text("one"),)
    assert outcome.finish_reason is FinishReason.COMPLETE


async def test_an_answer_that_is_cut_off_says_so(api: Any, ask: Ask, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("on and", "length")
    outcome = await ask(dialect, Request(Call.LANGUAGE, "?"))
    assert outcome.parts == (Text("on and"),)
    assert outcome.finish_reason is FinishReason.LENGTH


async def test_refusals_are_outcomes_with_a_cost(api: Any, ask: Ask, dialect: Any) -> None:
    if dialect.is_openai:
        refused = dialect.answer("", refusal="I would rather not.")
    else:
        details = {"type": "refusal", "category": "bio", "explanation": "I would rather not."}
        refused = dialect.answer("", "refusal", stop_details=details)
    api.script = lambda asked: refused
    outcome = await ask(dialect, Request(Call.LANGUAGE, "?"), prices={"input": 1.0, "output": 1.0})
    assert isinstance(outcome, Refusal)
    assert (outcome.category, outcome.text) == ("refusal" if dialect.is_openai else "bio", "I would rather not.")
    assert outcome.usage.cost_nano_usd == 10_000


@pytest.mark.parametrize("word", ["content_filter", "content_policy_violation", "data_inspection_failed"])
async def test_a_filter_that_lets_nothing_through_refuses(api: Any, ask: Ask, openai: Any, word: str) -> None:
    api.script = lambda asked: openai.failure(400, word)
    outcome = await ask(openai, Request(Call.LANGUAGE, "?"))
    assert outcome == Refusal(word, usage=outcome.usage)


@pytest.mark.parametrize("finish", ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "RECITATION"])
async def test_a_filter_that_ends_an_answer_refuses(api: Any, ask: Ask, openai: Any, finish: str) -> None:
    api.script = lambda asked: openai.answer("Well,", finish)
    outcome = await ask(openai, Request(Call.LANGUAGE, "?"))
    assert isinstance(outcome, Refusal)
    assert (outcome.category, outcome.text) == (finish.lower(), "Well,")


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ("anthropic", "Output blocked by content filtering policy"),
        ("openai", "Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
    ],
    indirect=["dialect"],
)
async def test_a_filter_that_says_so_in_words_alone_refuses(api: Any, ask: Ask, dialect: Any, message: str) -> None:
    api.script = lambda asked: dialect.failure(400, "invalid_request_error", message)
    outcome = await ask(dialect, Request(Call.LANGUAGE, "?"))
    assert outcome == Refusal("content_filter", usage=outcome.usage)


async def test_a_moderation_that_flags_the_input_refuses(api: Any, ask: Ask, openai: Any) -> None:
    metadata = {"reasons": ["violence"], "flagged_input": "?", "provider_name": "x", "model_slug": "y"}
    error = {"code": 403, "message": "Input was flagged", "metadata": metadata}
    api.script = lambda asked: api.replied({"error": error}, 403)
    outcome = await ask(openai, Request(Call.LANGUAGE, "?"))
    assert outcome == Refusal("content_filter", usage=outcome.usage)


async def test_cached_tokens_have_their_own_price(api: Any, ask: Ask, dialect: Any) -> None:
    reply = dialect.answer("x", tokens=(100, 10))
    body = json.loads(reply.body)
    if dialect.is_openai:
        body["usage"]["prompt_tokens_details"] = {"cached_tokens": 60}
    else:
        body["usage"].update(input_tokens=40, cache_read_input_tokens=60)
    api.script = lambda asked: api.replied(body)
    outcome = await ask(dialect, look("?"), prices={"input": 2.0, "cached_input": 0.5, "output": 8.0})
    assert outcome.usage.input_token_count == 100
    assert outcome.usage.cost_nano_usd == (40 * 2_000) + (60 * 500) + (10 * 8_000)


async def test_reasoning_that_only_the_total_counts_is_paid_for(api: Any, ask: Ask, openai: Any) -> None:
    body = json.loads(openai.answer("x", tokens=(32, 9)).body)
    body["usage"].update(total_tokens=135, completion_tokens_details={"reasoning_tokens": 94})
    api.script = lambda asked: api.replied(body)
    outcome = await ask(openai, look("?"), prices={"input": 1.0, "output": 10.0})
    assert (outcome.usage.input_token_count, outcome.usage.output_token_count) == (32, 103)
    assert outcome.usage.cost_nano_usd == 32 * 1_000 + 103 * 10_000


async def test_costs_add_up(api: Any, serving: Any, dialect: Any) -> None:
    api.script = lambda asked: dialect.answer("x", tokens=(len(asked.said), 1))
    settings = dialect.settings(api.url, prices={"input": 3.0, "output": 15.0})
    model = {"name": "m", "adapter": dialect.name, "settings": settings}
    async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:
        asking = (client.ask("m", Request(Call.LANGUAGE, "?" * n)) for n in range(1, 21))
        outcomes = await asyncio.gather(*asking)
    assert sum(outcome.usage.cost_nano_usd for outcome in outcomes) == 210 * 3_000 + 20 * 15_000


async def test_no_more_calls_are_under_way_than_the_settings_say(api: Any, serving: Any, dialect: Any) -> None:
    running, most = 0, 0

    def script(asked: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return dialect.answer("x")

    api.script = script
    settings = dialect.settings(api.url, max_concurrent_calls=2)
    model = {"name": "m", "adapter": dialect.name, "settings": settings}
    async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:
        await asyncio.gather(*(client.ask("m", look("?")) for _ in range(10)))
    assert most == 2
    assert len(api.asked) == 10


@pytest.mark.parametrize("spelled", [str.lower, str.title])
async def test_a_header_of_the_settings_takes_the_place_of_the_packages_own(
    api: Any, ask: Ask, dialect: Any, spelled: Callable[[str], str]
) -> None:
    api.script = lambda asked: dialect.answer("x")
    headers = {spelled("authorization"): "Basic hush", spelled("anthropic-version"): "2023-06-01"}
    await ask(dialect, look("?"), headers=headers)
    sent = api.asked[0].headers
    assert (sent["authorization"], sent["anthropic-version"]) == ("Basic hush", "2023-06-01")


async def test_headers_and_organisation_go_along(
    api: Any, ask: Ask, openai: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.script = lambda asked: openai.answer("x")
    monkeypatch.setenv("TEAM_SECRET", "hush")
    more = {"headers": {"x-team": "blue"}, "header_env": {"x-secret": "TEAM_SECRET"}}
    await ask(openai, look("?"), organization="org-1", project="proj-1", **more)
    headers = api.asked[0].headers
    assert (headers["x-team"], headers["x-secret"]) == ("blue", "hush")
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")
