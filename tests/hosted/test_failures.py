"""Whatever goes wrong with a hosted API, as a client of ours sees it, and as a log does."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from echelon.adapters import Call, Kind, Request, Text, errors
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load
from echelon.clients import AsyncClient, Options, Retry

ONCE = Options(retry=Retry(attempts=1))
ASKED = Request(Call.LANGUAGE, "the canary sang at 4711")
SECRETIVE = "their own words, and sk-sesame-4711 in full"
Ask = Callable[..., Any]


@pytest.fixture
def asking(serving: Any, api: Any) -> Any:
    """A client of a server that holds one hosted model."""

    @asynccontextmanager
    async def start(dialect: Any, **settings: Any) -> AsyncIterator[Callable[..., Any]]:
        model = {"name": "m", "adapter": dialect.name, "settings": {**dialect.settings(api.url), **settings}}
        async with serving([model]) as server, AsyncClient(server.listener.address, ONCE) as client:

            async def ask(request: Request = ASKED, timeout_s: float = 60.0) -> Any:
                return await client.ask("m", request, timeout_s=timeout_s)

            yield ask

    return start


STATUSES: list[tuple[int, str, type[errors.EchelonError], str]] = [
    (401, "authentication_error", errors.SettingsError, "401, authentication_error: check the key.*api_key_env"),
    (403, "permission_error", errors.SettingsError, "check the key.*api_key_env"),
    (402, "billing_error", errors.ConfigurationError, "no credit left"),
    (429, "insufficient_quota", errors.ConfigurationError, "429, insufficient_quota: .*no credit left"),
    (429, "billing_not_active", errors.ConfigurationError, "429, billing_not_active: .*no credit left"),
    (400, "billing_hard_limit_reached", errors.ConfigurationError, "no credit left"),
    (404, "not_found_error", errors.SettingsError, "settings model and base_url"),
    (405, "method_not_allowed", errors.SettingsError, "settings model and base_url"),
    (307, "moved", errors.SettingsError, "307, moved: check the model's settings model and base_url"),
    (413, "request_too_large", errors.UnsupportedError, "too large"),
    (400, "invalid_request_error", errors.BackendError, "400, invalid_request_error: it does not take this request"),
    (422, "unprocessable", errors.BackendError, "does not take this request"),
    (408, "timeout", errors.BackendError, "408"),
    (409, "conflict", errors.BackendError, "409"),
    (429, "rate_limit_error", errors.ServerBusyError, "429, rate_limit_error"),
    (503, "unavailable", errors.ServerBusyError, "503"),
    (529, "overloaded_error", errors.ServerBusyError, "529, overloaded_error"),
    (500, "api_error", errors.BackendError, "500, api_error"),
    (502, "bad_gateway", errors.BackendError, "502"),
    (504, "timeout_error", errors.BackendError, "504"),
]


@pytest.mark.parametrize(("status", "word", "kind", "said"), STATUSES)
async def test_every_status_has_its_error(
    api: Any, asking: Any, dialect: Any, status: int, word: str, kind: type[errors.EchelonError], said: str
) -> None:
    api.script = lambda asked: dialect.failure(status, word, SECRETIVE, location="http://127.0.0.1:1/elsewhere")
    async with asking(dialect) as ask:
        with pytest.raises(kind, match=said) as caught:
            await ask()
    assert type(caught.value) is kind
    assert "their own words" not in str(caught.value)
    assert len(api.asked) == 1


async def test_an_error_in_a_list_is_read_too(api: Any, asking: Any, openai: Any) -> None:
    error = {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input image is too large."}
    api.script = lambda asked: api.replied([{"error": error}], 400)
    async with asking(openai) as ask:
        with pytest.raises(errors.UnsupportedError, match="400, INVALID_ARGUMENT: the request is too large"):
            await ask()


FIELDS = [
    ("temperature", "Unsupported value: 'temperature' does not support 0", "sampling"),
    ("max_completion_tokens", "max_completion_tokens: 100000 > 8192", "max_tokens"),
    ("response_format", "response_format is not for this model", "structured"),
    ("top_k", "`top_k` is deprecated for this model.", "extra_body"),
    (
        "max_tokens",
        "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's context length",
        "max_tokens",
    ),
    ("seed", 'Invalid JSON payload received. Unknown name "seed": Cannot find field.', "sampling"),
]


@pytest.mark.parametrize(("field", "message", "setting"), FIELDS)
@pytest.mark.parametrize("says", ["in param", "in words"])
async def test_a_field_that_the_api_does_not_take_names_the_setting(
    api: Any, asking: Any, openai: Any, field: str, message: str, setting: str, says: str
) -> None:
    in_param = says == "in param"
    text, param = ("whatever", field) if in_param else (message.removeprefix("Unsupported value: "), None)
    api.script = lambda asked: openai.failure(400, "unsupported_value", text, param=param)
    async with asking(openai, extra_body={"top_k": 1}) as ask:
        with pytest.raises(errors.SettingsError, match=f"'{field}' as it is; the setting {setting}"):
            await ask()


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210000 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens. However, you requested 9000.",
        "messages.0.content.1.image.source.base64.data: image exceeds 5 MB maximum",
        "input length and `max_tokens` exceed context limit: 199000 + 4096 > 200000",
        "Range of input length should be [1, 98304]",
        "The decoder prompt (length 15983) is longer than the maximum model length of 8192.",
    ],
)
async def test_too_much_for_the_model_is_unsupported(api: Any, asking: Any, dialect: Any, message: str) -> None:
    api.script = lambda asked: dialect.failure(400, "invalid_request_error", message)
    async with asking(dialect) as ask:
        with pytest.raises(errors.UnsupportedError, match="too large for the model"):
            await ask()


@pytest.mark.parametrize(
    "message",
    [
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ],
)
async def test_no_credit_that_only_the_message_tells_stops(api: Any, asking: Any, anthropic: Any, message: str) -> None:
    api.script = lambda asked: anthropic.failure(400, "invalid_request_error", message)
    async with asking(anthropic) as ask:
        with pytest.raises(errors.ConfigurationError, match=r"400, invalid_request_error: .*no credit left") as caught:
            await ask()
    assert "2026" not in str(caught.value)


async def test_a_request_that_no_minute_has_room_for_is_too_large(api: Any, asking: Any, openai: Any) -> None:
    message = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 30601."
    api.script = lambda asked: openai.failure(429, "rate_limit_exceeded", message)
    async with asking(openai) as ask:
        with pytest.raises(errors.UnsupportedError, match="429, rate_limit_exceeded: the request is too large"):
            await ask()


@pytest.mark.parametrize("finish", ["abort", "error", "insufficient_system_resource"])
async def test_an_answer_that_is_given_up_is_none(api: Any, asking: Any, openai: Any, finish: str) -> None:
    api.script = lambda asked: openai.answer("half of", finish)
    async with asking(openai) as ask:
        with pytest.raises(errors.BackendError, match=f"gave its answer up, with the finish_reason '{finish}'"):
            await ask()


def in_a_minute() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)


WAITS = [
    ({"retry_after": "7"}, 7.0, 7.0),
    ({"retry_after": "0.5"}, 0.5, 0.5),
    ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5, 1.5),
    ({"retry_after": "-3"}, 0.0, 0.0),
    ({"retry_after": "1e9"}, 3600.0, 3600.0),
    ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0, 0.0),
    ({"retry_after": "soon"}, None, None),
    ({"retry_after": "nan"}, None, None),
    ({}, None, None),
]


@pytest.mark.parametrize(("headers", "least", "most"), [*WAITS, ("a date", 50.0, 60.0)])
async def test_the_wait_that_the_api_asks_for_reaches_the_client(
    api: Any, asking: Any, dialect: Any, headers: Any, least: float | None, most: float | None
) -> None:
    def script(asked: Any) -> Any:
        said = {"retry_after": in_a_minute()} if headers == "a date" else headers
        return dialect.failure(429, "rate_limit_error", **said)

    api.script = script
    async with asking(dialect) as ask:
        with pytest.raises(errors.ServerBusyError) as caught:
            await ask()
    wait_s = caught.value.retry_after_s
    assert wait_s == least if least is None or most is None else wait_s is not None and least <= wait_s <= most


@pytest.mark.parametrize(
    ("code", "kind"), [(402, errors.ConfigurationError), (429, errors.ServerBusyError), (502, errors.BackendError)]
)
async def test_a_failure_in_a_reply_that_began_as_a_success_is_told_by_its_code(
    api: Any, asking: Any, openai: Any, code: int, kind: type[errors.EchelonError]
) -> None:
    error = {"code": code, "message": SECRETIVE}
    api.script = lambda asked: api.replied({"id": "1", "error": error})
    async with asking(openai) as ask:
        with pytest.raises(kind, match=f"the API answered {code}") as caught:
            await ask()
    assert type(caught.value) is kind
    assert "their own words" not in str(caught.value)


async def test_our_client_waits_as_long_and_then_gets_its_answer(api: Any, serving: Any, dialect: Any) -> None:
    api.one_by_one(
        dialect.failure(429, "rate_limit_error", retry_after_ms="300"),
        dialect.failure(529, "overloaded_error"),
        dialect.answer("at last"),
    )
    model = {"name": "m", "adapter": dialect.name, "settings": dialect.settings(api.url)}
    async with serving([model]) as server, AsyncClient(server.listener.address) as client:
        started = time.monotonic()
        outcome: Any = await client.ask("m", ASKED)
    assert outcome.parts == (Text("at last"),)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>welcome to the proxy</html>", "text/html"),
        (b'{"choices": [', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"{}", "application/json"),
        (b'{"choices": [], "content": null}', "application/json"),
        (b'{"choices": [{}], "content": [{"type": "text", "text": "x"}]}', "application/json"),
        (b"[1]", "application/json"),
        (b"", "application/json"),
    ],
)
async def test_a_garbled_reply_is_a_failure_of_the_backend(
    api: Any, asking: Any, dialect: Any, body: bytes, content_type: str
) -> None:
    api.script = lambda asked: api.raw(body, content_type=content_type)
    async with asking(dialect) as ask:
        with pytest.raises(errors.BackendError):
            await ask()


async def test_a_reply_that_breaks_off_is_a_failure_of_the_backend(api: Any, asking: Any, dialect: Any) -> None:
    api.script = lambda asked: api.raw(dialect.answer("half of it").body, cut_at=20)
    async with asking(dialect) as ask:
        with pytest.raises(errors.BackendError, match="broke off"):
            await ask()


async def test_an_api_that_is_away_is_unreachable(asking: Any, dialect: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with asking(dialect, base_url=f"http://127.0.0.1:{port}/v1") as ask:
        with pytest.raises(errors.UnreachableError, match="setting base_url"):
            await ask()


async def test_no_answer_in_time_ends_with_the_budget_and_the_request(
    api: Any, asking: Any, dialect: Any, until: Any
) -> None:
    api.script = lambda asked: api.raw(b"", hangs=True)
    async with asking(dialect) as ask:
        with pytest.raises(errors.BudgetExceededError):
            await ask(timeout_s=0.3)
        await until(api.left.is_set)


async def test_the_settings_own_time_out_ends_the_request_too(api: Any, asking: Any, dialect: Any, until: Any) -> None:
    api.script = lambda asked: api.raw(b"", hangs=True)
    async with asking(dialect, timeout_s=0.2) as ask:
        with pytest.raises(errors.BudgetExceededError, match="gave no answer in time"):
            await ask()
        await until(api.left.is_set)


async def test_a_call_that_is_given_up_closes_its_request(api: Any, asking: Any, dialect: Any, until: Any) -> None:
    api.script = lambda asked: api.raw(b"", hangs=True)
    async with asking(dialect) as ask:
        call = asyncio.create_task(ask())
        await until(lambda: api.asked)
        call.cancel()
        await until(api.left.is_set)
        api.script = lambda asked: dialect.answer("still here")
        assert (await ask()).parts == (Text("still here"),)


async def test_calls_that_wait_for_a_place_give_it_up_in_time(api: Any, asking: Any, dialect: Any, until: Any) -> None:
    api.script = lambda asked: api.raw(b"", hangs=True)
    async with asking(dialect, max_concurrent_calls=1, timeout_s=0.3) as ask:
        ended = await asyncio.gather(*(ask() for _ in range(3)), return_exceptions=True)
        assert {type(error) for error in ended} == {errors.BudgetExceededError}
        api.script = lambda asked: dialect.answer("room again")
        assert (await ask()).parts == (Text("room again"),)


async def test_neither_keys_nor_content_nor_their_words_get_into_logs(
    api: Any, processes: Any, dialect: Any, key: str, tmp_path: Any
) -> None:
    replies = [dialect.failure(status, word, SECRETIVE) for status, word, _, _ in STATUSES]
    replies += [dialect.failure(401, key, SECRETIVE), api.raw(SECRETIVE.encode()), dialect.answer("no canary")]
    api.one_by_one(*replies, dialect.answer("the canary lives"))
    config = tmp_path / "server.json"
    model = {"name": "m", "adapter": dialect.name, "settings": dialect.settings(api.url)}
    config.write_text(json.dumps({"models": [model], "listener": {"log_one_in": 1}}))
    process, address = processes("--config", str(config), "--log-level", "debug")
    asked = Request(Call.LANGUAGE, "the canary sang at 4711", output_kinds=(Kind.NUMBER,))
    async with AsyncClient(address, ONCE) as client:
        for _ in replies:
            with pytest.raises(errors.EchelonError):
                await client.ask("m", asked)
        await client.ask("m", ASKED)
    process.terminate()
    log = process.communicate(timeout=30)[1]
    assert log.count('"event": "failed"') == len(replies)
    assert '"event": "answered"' in log
    for secret in (key, "sesame", "canary", "their own words"):
        assert secret not in log


def opened(dialect: Any, url: str, **settings: Any) -> Any:
    """The adapter alone, open."""
    adapter_class = Registry.installed().load(dialect.name)
    adapter = adapter_class()
    adapter.open(load(adapter_class.settings_type, dialect.settings(url, **settings)))
    return adapter


async def test_a_call_that_found_no_place_says_so_and_was_never_asked(api: Any, dialect: Any, until: Any) -> None:
    api.script = lambda asked: api.raw(b"", hangs=True)
    adapter = await asyncio.to_thread(opened, dialect, api.url, max_concurrent_calls=1)
    first = asyncio.create_task(adapter.language(ASKED))
    await until(lambda: api.asked)
    with pytest.raises(
        errors.BudgetExceededError, match=r"no call under way ended in time.*max_concurrent_calls allows 1"
    ):
        await adapter.language(Request(Call.LANGUAGE, "?", deadline=time.monotonic() + 0.2))
    first.cancel()
    await until(api.left.is_set)
    assert len(api.asked) == 1
    await asyncio.to_thread(adapter.close)


def test_secrets_are_not_in_the_settings(dialect: Any, key: str) -> None:
    adapter_class = Registry.installed().load(dialect.name)
    values = dialect.settings("http://localhost", headers={"authorization": "Basic hush"})
    settings = load(adapter_class.settings_type, values)
    assert key not in repr(settings)
    assert "hush" not in repr(settings)


SETTINGS = [
    ({"api_key_env": "NOT_SET_ANYWHERE"}, "environment variable NOT_SET_ANYWHERE .setting api_key_env. is not set"),
    ({"api_key_file": "/nowhere/key"}, "cannot read the file /nowhere/key .setting api_key_file.: No such file"),
    ({"header_env": {"x-a": "NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE .setting header_env.x-a. is not set"),
    ({"base_url": "ftp://example.com"}, "must begin with http"),
    ({"base_url": "https://me:word@example.com"}, "must hold no credentials"),
    ({"base_url": "https://example.com?key=1"}, "must hold no credentials"),
    ({"model": ""}, "'model' must not be empty"),
    ({"timeout_s": 0}, "'timeout_s' must be above 0"),
    ({"max_tokens": 0}, "'max_tokens' must be at least 1"),
    ({"prices": {"input": -1}}, "a price must be 0 or more"),
    ({"calls": {"comprehend": {"takes": [], "gives": ["text"]}}}, "at least one kind each"),
    (
        {"calls": {"comprehend": {"takes": ["mesh"], "gives": ["text"]}}},
        "calls.comprehend.takes: the API knows no mesh",
    ),
    ({"calls": {"language": {"takes": ["text"], "gives": ["image"]}}}, "calls.language.gives: the API knows no image"),
]


@pytest.mark.parametrize(("wrong", "said"), SETTINGS)
def test_wrong_settings_are_told_before_anything_is_asked(api: Any, dialect: Any, wrong: Any, said: str) -> None:
    with pytest.raises(errors.SettingsError, match=said):
        opened(dialect, api.url, **wrong)
    assert api.asked == []


@pytest.mark.parametrize("content", ["", "two\nlines", "schlüssel"])
def test_a_key_that_cannot_be_one_is_told_and_not_shown(dialect: Any, tmp_path: Any, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(errors.SettingsError, match="one line of ASCII") as caught:
        opened(dialect, "http://localhost", api_key_file=str(tmp_path / "key"))
    assert not content or content not in str(caught.value)


async def test_a_key_in_a_file_goes_before_the_environment(api: Any, asking: Any, dialect: Any, tmp_path: Any) -> None:
    (tmp_path / "key").write_text("sk-from-file\n")
    api.script = lambda asked: dialect.answer("x")
    async with asking(dialect, api_key_file=str(tmp_path / "key")) as ask:
        await ask()
    assert "sk-from-file" in str(api.asked[0].headers)


async def test_keys_that_no_setting_names_are_not_sent(
    api: Any, asking: Any, dialect: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "AUTH_TOKEN", "ADMIN_KEY"):
        for vendor in ("OPENAI", "ANTHROPIC"):
            monkeypatch.setenv(f"{vendor}_{name}", "sk-for-another-server")
    api.script = lambda asked: dialect.answer("x")
    async with asking(dialect) as ask:
        await ask()
    headers = str(api.asked[0].headers)
    assert key in headers
    assert "another" not in headers


async def test_a_server_that_wants_no_key_gets_none(api: Any, asking: Any, dialect: Any, key: str) -> None:
    api.script = lambda asked: dialect.answer("x")
    async with asking(dialect, api_key_env=None) as ask:
        await ask()
    assert key not in str(api.asked[0].headers)


def test_a_package_that_is_not_installed_names_the_extra(dialect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, dialect.name, None)
    with pytest.raises(errors.MissingExtraError, match=re.escape(f"pip install 'echelon[{dialect.name}]'")):
        opened(dialect, "http://localhost")


def test_anthropic_has_no_seed(anthropic: Any) -> None:
    with pytest.raises(errors.SettingsError, match="seed, which this API does not take"):
        opened(anthropic, "http://localhost", sampling=["seed"])


def test_no_tool_is_forced_on_a_model_that_thinks(anthropic: Any) -> None:
    thinks = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    with pytest.raises(errors.SettingsError, match="set 'structured' to schema or prompt"):
        opened(anthropic, "http://localhost", structured="tool", extra_body=thinks)
    opened(anthropic, "http://localhost", structured="tool", extra_body={"thinking": {"type": "disabled"}}).close()
    opened(anthropic, "http://localhost", extra_body=thinks).close()


def test_opening_asks_the_api_nothing(api: Any, dialect: Any) -> None:
    opened(dialect, api.url).close()
    assert api.asked == []


def models(dialect: Any, api: Any, *names: str) -> Callable[[Any], Any]:
    """A script that lists these models, or one of them."""

    def script(asked: Any) -> Any:
        known = [{"id": name, "object": "model", "type": "model", "display_name": name} for name in names]
        if dialect.is_openai:
            return api.replied({"object": "list", "data": known})
        found = [model for model in known if asked.path.endswith(f"/{model['id']}")]
        return api.replied(found[0]) if found else dialect.failure(404, "not_found_error")

    return script


async def test_a_model_can_be_looked_up_before_serving(api: Any, asking: Any, dialect: Any) -> None:
    api.script = models(dialect, api, "another", dialect.model)
    async with asking(dialect, check_model=True) as ask:
        assert [asked.path.partition("/models")[1] for asked in api.asked] == ["/models"]
        api.script = lambda asked: dialect.answer("x")
        await ask()


@pytest.mark.parametrize("listed", ["gpt-test", "models/gpt-test"])
def test_a_list_may_put_a_prefix_before_its_models(api: Any, openai: Any, listed: str) -> None:
    api.script = models(openai, api, "models/another", listed)
    opened(openai, api.url, check_model=True).close()
    opened(openai, api.url, check_model=True, model="models/gpt-test").close()


def test_a_model_that_is_not_there_is_told(api: Any, dialect: Any) -> None:
    api.script = models(dialect, api, "another")
    with pytest.raises(errors.SettingsError, match=f"lists no model '{dialect.model}'"):
        opened(dialect, api.url, check_model=True)


def test_a_key_that_is_refused_is_told_when_the_model_is_looked_up(api: Any, dialect: Any) -> None:
    api.script = lambda asked: dialect.failure(401, "authentication_error")
    with pytest.raises(errors.SettingsError, match="check the key"):
        opened(dialect, api.url, check_model=True)


def test_the_card_says_what_changes_answers(dialect: Any) -> None:
    def card(**settings: Any) -> Any:
        return opened(dialect, "http://127.0.0.1:1", **settings).card()

    plain = card()
    assert plain.description.startswith(f"{dialect.model} at 127.0.0.1:1")
    assert plain.frame_sampling == "uniform 8"
    assert plain.composition == "unverified"
    assert card(composition="single").composition == "single"
    assert card(timeout_s=3, prices={"input": 1}, max_concurrent_calls=2).version == plain.version
    others = [card(system="Be brief."), card(structured="prompt"), card(sampling=[]), card(extra_body={"top_k": 1})]
    assert len({plain.version, *(other.version for other in others)}) == 5
