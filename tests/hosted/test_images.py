"""Images that are generated: by the endpoints for them, and by a chat."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from echelon.adapters import Answer, Call, Image, Refusal, Request, Text, errors
from echelon.clients import AsyncClient, Options, Retry

ONCE = Options(retry=Retry(attempts=1))
DOT = Image.from_array(np.zeros((2, 2), np.uint8))
LINE = Image.from_array(np.ones((1, 3), np.uint8))
CALLS = {"generate": {"takes": ["text", "image"], "gives": ["image"]}, "comprehend": None, "language": None}
Draw = Callable[..., Any]


@pytest.fixture
def draw(serving: Any, api: Any, openai: Any) -> Draw:
    """Asks for an image once, through a server and a client of ours."""

    async def draw(*parts: Any, **settings: Any) -> Any:
        values = openai.settings(api.url, calls=CALLS, **settings)
        model = {"name": "m", "adapter": "openai", "settings": values}
        async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:
            return await client.ask("m", Request(Call.GENERATE, "A dot.", parts))

    return draw


def drawn(api: Any, *data: bytes, **more: Any) -> Any:
    usage = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
    images = [{"b64_json": base64.b64encode(item).decode()} for item in data]
    return api.replied({"created": 1, "data": images, "usage": usage, **more})


def same(image: Any, expected: Image) -> bool:
    return (image.data, image.media_type) == (expected.data, expected.media_type)


async def test_an_image_is_generated_and_paid_for(api: Any, draw: Draw) -> None:
    api.script = lambda asked: drawn(api, DOT.data)
    options = {"size": "1024x1024", "quality": "low"}
    outcome = await draw(Text("Small."), images={"options": options}, prices={"output": 40.0, "image": 0.02})
    assert isinstance(outcome, Answer)
    assert same(outcome.parts[0], DOT)
    assert outcome.usage.cost_nano_usd == 100 * 40_000 + 20_000_000
    (asked,) = api.asked
    assert asked.path == "/v1/images/generations"
    assert asked.body == {"model": "gpt-test", "prompt": "A dot.\n\nSmall.", **options}


async def test_images_to_work_from_go_to_the_endpoint_for_edits(api: Any, draw: Draw) -> None:
    api.script = lambda asked: drawn(api, DOT.data)
    await draw(DOT, LINE, images={"options": {"quality": "low"}})
    (asked,) = api.asked
    assert asked.path == "/v1/images/edits"
    assert asked.headers["content-type"].startswith("multipart/form-data")
    for sent in (DOT.data, LINE.data, b"A dot.", b"gpt-test", b'name="quality"'):
        assert sent in asked.data
    assert asked.data.count(b'name="image[]"') == 2


async def test_an_image_that_no_edit_takes_is_unsupported(api: Any, draw: Draw) -> None:
    with pytest.raises(errors.UnsupportedError, match="takes no 'image/gif'; send image/png, image/jpeg, image/webp"):
        await draw(Image(b"GIF89a as good as any", "image/gif"))
    assert api.asked == []


async def test_a_filter_refuses(api: Any, draw: Draw, openai: Any) -> None:
    api.script = lambda asked: openai.failure(400, "moderation_blocked", "their own words")
    outcome = await draw()
    assert isinstance(outcome, Refusal)
    assert outcome.category == "moderation_blocked"


async def test_links_are_never_followed(api: Any, draw: Draw) -> None:
    api.script = lambda asked: api.replied({"created": 1, "data": [{"url": f"{api.url}/image.png"}]})
    with pytest.raises(errors.SettingsError, match="response_format: b64_json"):
        await draw()
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"created": 1, "data": []}, errors.OutputInvalidError),
        ({"created": 1, "data": [{"b64_json": "?"}]}, errors.BackendError),
        ({"created": 1, "data": [{}]}, errors.BackendError),
        ({"created": 1, "data": [{"b64_json": base64.b64encode(b"GIF89a").decode()}]}, errors.SettingsError),
        ({"hello": "world"}, errors.OutputInvalidError),
    ],
)
async def test_what_is_no_image_is_told(api: Any, draw: Draw, body: Any, kind: type[errors.EchelonError]) -> None:
    api.script = lambda asked: api.replied(body)
    with pytest.raises(kind):
        await draw()


@pytest.mark.parametrize("where", ["images", "content"])
async def test_a_chat_can_answer_with_images(api: Any, draw: Draw, openai: Any, where: str) -> None:
    url = f"data:image/png;base64,{base64.b64encode(DOT.data).decode()}"
    block = {"type": "image_url", "image_url": {"url": url}}
    if where == "images":
        api.script = lambda asked: openai.answer("Here.", images=[block])
    else:
        api.script = lambda asked: openai.answer([{"type": "text", "text": "Here."}, block])
    outcome = await draw(LINE, images={"by": "chat", "options": {"size": "1K"}}, prices={"image": 0.5})
    assert len(outcome.parts) == 1
    assert same(outcome.parts[0], DOT)
    assert outcome.usage.cost_nano_usd == 500_000_000
    body = api.asked[0].body
    assert (body["modalities"], body["size"]) == (["image", "text"], "1K")
    assert "response_format" not in body
    assert [block["type"] for block in body["messages"][0]["content"]] == ["text", "image_url"]


async def test_a_chat_that_only_talks_has_not_answered(api: Any, draw: Draw, openai: Any) -> None:
    api.script = lambda asked: openai.answer("I cannot draw.")
    with pytest.raises(errors.OutputInvalidError, match="without an image"):
        await draw(images={"by": "chat"})
    api.script = lambda asked: openai.answer("", refusal="I will not draw.")
    outcome = await draw(images={"by": "chat"})
    assert isinstance(outcome, Refusal)


async def test_two_models_behind_one_name_have_to_be_declared(api: Any, serving: Any, openai: Any) -> None:
    from echelon.adapters.openai import OpenAISettings
    from echelon.adapters.settings import load

    values = openai.settings(api.url, calls={"generate": CALLS["generate"]}, images={"model": "painter"})
    with pytest.raises(errors.SettingsError, match="set 'composition' to dispatcher"):
        load(OpenAISettings, values)
    assert load(OpenAISettings, {**values, "composition": "dispatcher"}).images.model == "painter"
