"""The adapter over the API that OpenAI and many servers speak."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from operator import attrgetter
from typing import Any, ClassVar, TypeAlias

from echelon.adapters.calls import Answer, Call, FinishReason, Outcome, Request
from echelon.adapters.content import Image, Kind, Video
from echelon.adapters.errors import BackendError, OutputInvalidError
from echelon.adapters.hosted.adapter import HostedAdapter, left_s
from echelon.adapters.hosted.dialogue import Piece, Turn
from echelon.adapters.hosted.failures import Failures
from echelon.adapters.hosted.replies import NO_TOKENS, Reply, Tokens, count
from echelon.adapters.hosted.settings import CHAT_GIVES, WRITTEN
from echelon.adapters.hosted.structure import Form
from echelon.adapters.openai.images import images_in, images_of
from echelon.adapters.openai.messages import EDITED_TYPES, image_type, messages_of
from echelon.adapters.openai.settings import OpenAISettings

FILTERED = frozenset(
    ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii", "image_safety",
     "image_prohibited_content", "image_recitation")
)  # fmt: skip
"""Why answers end that a filter withheld: OpenAI's word, and Gemini's own, which it does not translate."""
FAILED = frozenset(("abort", "error", "insufficient_system_resource"))
"""Why answers end that were given up; vLLM, LMDeploy and DeepSeek say so with a status of 200."""
CUT_OFF = frozenset(("length", "max_tokens"))

Drawn: TypeAlias = tuple[tuple[Image, ...], Tokens]
"""The images that were made, and what they took."""


class OpenAI(HostedAdapter[OpenAISettings]):
    """Asks a model over the OpenAI API: OpenAI's own, or any server that speaks it."""

    takes: ClassVar = {
        Call.COMPREHEND: (*WRITTEN, Kind.IMAGE, Kind.AUDIO, Kind.VIDEO),
        Call.GENERATE: (*WRITTEN, Kind.IMAGE),
        Call.LANGUAGE: WRITTEN,
    }
    gives: ClassVar = {**CHAT_GIVES, Call.GENERATE: (Kind.IMAGE,)}
    most_stop_strings = 4
    package = "openai"

    def _connect(self) -> Any:
        openai, settings = self._package(), self._settings
        client = openai.AsyncOpenAI(
            api_key=settings.key(),
            base_url=settings.base_url,
            organization=settings.organization,
            project=settings.project,
            default_headers=settings.all_headers(),
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        # The package imports these when they are first asked for, which must not be on the event loop.
        attrgetter("chat.completions", "images")(client)
        return client

    def _failing(self) -> Failures:
        settings = self._settings
        fields = {
            **dict.fromkeys(("max_tokens", "max_completion_tokens"), "max_tokens, or max_tokens_field,"),
            "response_format": "structured",
            **dict.fromkeys(("temperature", "top_p", "seed", "stop"), "sampling"),
            **dict.fromkeys(settings.extra_body, "extra_body"),
            **dict.fromkeys(settings.images.options, "images.options"),
        }
        return Failures(self._package(), key_setting="api_key_env or api_key_file", fields=fields)

    async def _lists_model(self, client: Any) -> bool:
        # Gemini lists its models under a prefix that it wants in no request.
        listed = [model.id.removeprefix("models/") async for model in client.models.list()]
        return self._settings.model.removeprefix("models/") in listed

    def _frame_sampling(self) -> str:
        return super()._frame_sampling() if self._settings.video == "frames" else "the API's own"

    def _show(self, video: Video) -> list[Piece]:
        whole = self._settings.video == "clip" and video.data
        return [video] if whole else super()._show(video)

    async def _ask(self, body: dict[str, Any], timeout_s: float) -> Reply:
        completion = await self._client.chat.completions.create(**body, timeout=timeout_s)
        return _reply(self._choice(completion), _tokens(completion.usage))

    def _choice(self, completion: Any) -> Any:
        # OpenRouter tells of what fails after the start in a reply with status 200.
        error = getattr(completion, "error", None)
        if isinstance(error, dict):
            raise self._package().APIError("", request=None, body=error)
        # What is no JSON comes as a string, and fields that are missing as None.
        choices = getattr(completion, "choices", None)
        choice: Any = choices[0] if isinstance(choices, list) and choices else None
        if getattr(choice, "message", None) is None or choice.finish_reason is None:
            raise BackendError("the API's reply is no chat completion; check the model's setting base_url")
        return choice

    async def _hear(self, body: dict[str, Any], timeout_s: float) -> AsyncGenerator[str | Reply]:
        text, refusal, finish, tokens = "", "", "", NO_TOKENS
        chunks = await self._client.chat.completions.create(
            **body, stream=True, stream_options={"include_usage": True}, timeout=timeout_s
        )
        async with chunks:
            async for chunk in chunks:
                tokens = _tokens(chunk.usage) if chunk.usage else tokens
                for choice in chunk.choices or ():
                    finish = choice.finish_reason or finish
                    # Azure sends choices without one, to tell what its filter found.
                    if choice.delta is not None:
                        refusal += choice.delta.refusal or ""
                        text += choice.delta.content or ""
                        yield choice.delta.content or ""
        if not finish:
            raise BackendError("the API's reply broke off")
        yield _said(text, refusal, finish, tokens)

    def _body(self, request: Request, form: Form, turns: tuple[Turn, ...]) -> dict[str, Any]:
        settings, stop = self._settings, self._sent_stop(request)
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": messages_of(settings.system, turns),
            **self._sampling(request, ("temperature", "top_p", "seed")),
        }
        if stop and not form.is_structured:
            body["stop"] = list(stop)
        most_tokens = self._most_tokens(request)
        if most_tokens is not None:
            body[settings.max_tokens_field] = most_tokens
        response_format = self._response_format(form)
        if response_format is not None:
            body["response_format"] = response_format
        if settings.extra_body:
            body["extra_body"] = settings.extra_body
        return body

    def _response_format(self, form: Form) -> dict[str, Any] | None:
        structured = self._settings.structured
        if not form.is_structured or structured == "prompt":
            return None
        if structured == "json" or form.schema is None:
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": {"name": form.kind, "schema": form.schema, "strict": True}}

    async def generate(self, request: Request) -> Outcome:
        """Create an image from the request's words and images."""
        in_chat = self._settings.images.by == "chat"
        build, draw = (self._chat_body, self._draw_in_chat) if in_chat else (self._image_body, self._draw)
        async with self._place(request) as ends:
            question = await self._question(request, build)
            drawn = await self._by(ends, draw(question.body, left_s(ends)))
        if isinstance(drawn, Reply):
            return self._outcome(question, drawn)
        images, tokens = drawn
        if not images:
            raise OutputInvalidError("the model answered without an image", usage=self._usage(tokens))
        return Answer(images, usage=self._usage(tokens, len(images)))

    def _image_body(self, request: Request, form: Form, turns: tuple[Turn, ...]) -> dict[str, Any]:
        pieces = [piece for turn in turns for piece in turn.pieces]
        body: dict[str, Any] = {
            "model": self._settings.images.model or self._settings.model,
            "prompt": "\n\n".join(piece for piece in pieces if isinstance(piece, str)),
            "extra_body": self._settings.images.options or None,
        }
        shown = [piece for piece in pieces if isinstance(piece, Image)]
        if shown:
            body["image"] = [(f"{n}", image.data, image_type(image, EDITED_TYPES)) for n, image in enumerate(shown)]
        return body

    async def _draw(self, body: dict[str, Any], timeout_s: float) -> Drawn:
        draw = self._client.images.edit if "image" in body else self._client.images.generate
        response = await draw(**body, timeout=timeout_s)
        usage = getattr(response, "usage", None)
        return images_of(response), Tokens(count(usage, "input_tokens"), count(usage, "output_tokens"))

    def _chat_body(self, request: Request, form: Form, turns: tuple[Turn, ...]) -> dict[str, Any]:
        settings = self._settings
        options = {"modalities": ["image", "text"], **settings.extra_body, **settings.images.options}
        model = settings.images.model or settings.model
        return {**self._body(request, form, turns), "model": model, "extra_body": options}

    async def _draw_in_chat(self, body: dict[str, Any], timeout_s: float) -> Drawn | Reply:
        completion = await self._client.chat.completions.create(**body, timeout=timeout_s)
        choice, tokens = self._choice(completion), _tokens(completion.usage)
        reply = _reply(choice, tokens)
        return reply if reply.refused is not None else (images_in(choice.message), tokens)


def _reply(choice: Any, tokens: Tokens) -> Reply:
    content = choice.message.content
    if isinstance(content, list):
        content = "".join(block.get("text") or "" for block in content if isinstance(block, dict))
    return _said(content or "", getattr(choice.message, "refusal", None) or "", choice.finish_reason, tokens)


def _said(text: str, refusal: str, finish: str, tokens: Tokens) -> Reply:
    if refusal:
        return Reply(refusal, tokens, refused="refusal")
    word = finish.lower()
    if word in FILTERED:
        return Reply(text, tokens, refused=word)
    if word in FAILED:
        raise BackendError(f"the API gave its answer up, with the finish_reason {word!r}")
    return Reply(text, tokens, FinishReason.LENGTH if word in CUT_OFF else FinishReason.COMPLETE)


def _tokens(usage: Any) -> Tokens:
    given, written = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    cached = count(getattr(usage, "prompt_tokens_details", None), "cached_tokens")
    # xAI, and Gemini behind some gateways, count reasoning in the total alone, and charge for it as for other output.
    return Tokens(given, max(written, count(usage, "total_tokens") - given), cached)
