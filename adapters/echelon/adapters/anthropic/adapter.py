"""The adapter over the Anthropic API."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from echelon.adapters.anthropic.messages import message_of
from echelon.adapters.anthropic.settings import AnthropicSettings
from echelon.adapters.calls import Call, FinishReason, Request
from echelon.adapters.content import Kind
from echelon.adapters.errors import BackendError
from echelon.adapters.hosted.adapter import HostedAdapter
from echelon.adapters.hosted.dialogue import Turn
from echelon.adapters.hosted.failures import Failures
from echelon.adapters.hosted.replies import NO_TOKENS, Reply, Tokens, count
from echelon.adapters.hosted.settings import CHAT_GIVES, WRITTEN
from echelon.adapters.hosted.structure import Form

TOOL = "answer"
SCHEMA_FORMAT = {"type": "json_schema"}
CUT_OFF = ("max_tokens", "model_context_window_exceeded")


class Anthropic(HostedAdapter[AnthropicSettings]):
    """Asks a model over the Anthropic API."""

    takes: ClassVar = {Call.COMPREHEND: (*WRITTEN, Kind.IMAGE, Kind.VIDEO), Call.LANGUAGE: WRITTEN}
    gives: ClassVar = CHAT_GIVES
    most_stop_strings = 16
    package = "anthropic"

    def _connect(self) -> Any:
        anthropic, settings = self._package(), self._settings
        client = anthropic.AsyncAnthropic(
            api_key=settings.key(),
            base_url=settings.base_url,
            default_headers=settings.all_headers(),
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        # Some versions of the package send this beside the key, wherever base_url points.
        client.auth_token = None
        # The package imports them when they are first asked for, which must not be on the event loop.
        attrgetter("messages")(client)
        return client

    def _failing(self) -> Failures:
        fields = {
            "max_tokens": "max_tokens",
            "output_config": "structured",
            "tools": "structured",
            **dict.fromkeys(("temperature", "top_p", "stop_sequences"), "sampling"),
            **dict.fromkeys(self._settings.extra_body, "extra_body"),
        }
        return Failures(self._package(), key_setting="api_key_env or api_key_file", fields=fields)

    async def _lists_model(self, client: Any) -> bool:
        # Retrieving knows short names that the list leaves out.
        try:
            await client.models.retrieve(self._settings.model)
        except self._package().NotFoundError:
            return False
        return True

    async def _ask(self, body: dict[str, Any], timeout_s: float) -> Reply:
        message = await self._client.messages.create(**body, timeout=timeout_s)
        # What is no JSON comes as a string, and fields that are missing as None.
        if not isinstance(getattr(message, "content", None), list) or message.stop_reason is None:
            raise BackendError("the API's reply is no message; check the model's setting base_url")
        text = "".join(_text(block) for block in message.content)
        details = getattr(message, "stop_details", None)
        return _said(text, message.stop_reason, details, _tokens(message.usage))

    async def _hear(self, body: dict[str, Any], timeout_s: float) -> AsyncGenerator[str | Reply]:
        text, reason, details, tokens = "", None, None, NO_TOKENS
        events = await self._client.messages.create(**body, stream=True, timeout=timeout_s)
        async with events:
            async for event in events:
                match event.type:
                    case "message_start":
                        tokens = _tokens(event.message.usage)
                    case "content_block_delta" if event.delta.type == "text_delta":
                        text += event.delta.text
                        yield event.delta.text
                    case "message_delta":
                        reason, details = event.delta.stop_reason, getattr(event.delta, "stop_details", None)
                        tokens = Tokens(tokens.input, count(event.usage, "output_tokens"), tokens.cached_input)
        if reason is None:
            raise BackendError("the API's reply broke off")
        yield _said(text, reason, details, tokens)

    def _sent_stop(self, request: Request) -> tuple[str, ...]:
        # The API refuses a request with a stop string of white space.
        return tuple(word for word in super()._sent_stop(request) if word.strip())

    def _body(self, request: Request, form: Form, turns: tuple[Turn, ...]) -> dict[str, Any]:
        settings, stop = self._settings, self._sent_stop(request)
        body: dict[str, Any] = {
            "model": settings.model,
            "max_tokens": self._most_tokens(request),
            "messages": [message_of(turn) for turn in turns],
        }
        if settings.system:
            body["system"] = settings.system
        if stop and not form.is_structured:
            body["stop_sequences"] = list(stop)
        # As fields of the body, for not every package has arguments for these.
        extra = {**self._sampling(request, ("temperature", "top_p")), **settings.extra_body}
        return {**body, "extra_body": {**extra, **self._structure(form.schema, extra)} or None}

    def _structure(self, schema: Mapping[str, Any] | None, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that enforce a schema, beside what else the settings say in the same ones."""
        structured = self._settings.structured
        if schema is None or structured == "prompt":
            return {}
        if structured == "schema":
            return {"output_config": {**extra.get("output_config", {}), "format": {**SCHEMA_FORMAT, "schema": schema}}}
        tool = {"name": TOOL, "description": "Takes the answer.", "input_schema": schema}
        return {"tools": [tool], "tool_choice": {"type": "tool", "name": TOOL}}


def _text(block: Any) -> str:
    """What a block of a reply says: its text, or what the tool for answers is given."""
    if block.type == "tool_use" and block.name == TOOL:
        return json.dumps(block.input, ensure_ascii=False)
    return block.text if block.type == "text" else ""


def _said(text: str, reason: str | None, details: Any, tokens: Tokens) -> Reply:
    if reason == "refusal":
        # Older packages do not know this field, and leave it a mapping.
        known = details if isinstance(details, dict) else getattr(details, "__dict__", {})
        return Reply(text or known.get("explanation") or "", tokens, refused=known.get("category") or reason)
    return Reply(text, tokens, FinishReason.LENGTH if reason in CUT_OFF else FinishReason.COMPLETE)


def _tokens(usage: Any) -> Tokens:
    # This API counts what its cache had, and what went into it, apart from the input.
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Tokens(count(usage, "input_tokens") + read + written, count(usage, "output_tokens"), read)
