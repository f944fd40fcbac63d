"""What the failures of hosted APIs mean here; none of their own words gets through.

status                                    becomes              so that a run
401, 403                                  SettingsError        stops: the key has to be put right
402, and others for want of credit        ConfigurationError   stops
404, 405, 3xx                             SettingsError        stops: model or base_url
400, 422 that name a field of ours        SettingsError        stops
400, 422, 429 for too much; 413           UnsupportedError     counts the sample as refused
other 400, 422                            BackendError         leaves the sample, after other tries
400 for content                           (a Refusal)          counts the sample as refused
429, 503, 529                             ServerBusyError      waits, and presses less
anything else, broken and garbled replies BackendError         leaves the sample, after other tries
no connection                             UnreachableError     waits
no reply in time                          BudgetExceededError  leaves the sample, after other tries
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from echelon.adapters.errors import (
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    EchelonError,
    ServerBusyError,
    SettingsError,
    UnreachableError,
    UnsupportedError,
)

MOVED = 300
MEANINGS: Mapping[int, tuple[type[EchelonError], str]] = {
    401: (SettingsError, ": check the key, the model's setting {key}"),
    402: (ConfigurationError, ": the account has no credit left for this model"),
    403: (SettingsError, ": check the key, the model's setting {key}"),
    404: (SettingsError, ": check the model's settings model and base_url"),
    405: (SettingsError, ": check the model's settings model and base_url"),
    413: (UnsupportedError, ": the request is too large for it"),
    429: (ServerBusyError, ""),
    503: (ServerBusyError, ""),
    529: (ServerBusyError, ""),
    MOVED: (SettingsError, ": check the model's settings model and base_url"),
}
"""What a status becomes, and the fix; 400 and 422 depend on what they are about."""
OTHERWISE: tuple[type[EchelonError], str] = (BackendError, "")
LONGEST_WAIT_S = 3600.0
STATUS_OF_WORD = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "Arrearage": 402,
    "billing_error": 402,
    "billing_hard_limit_reached": 402,
    "billing_not_active": 402,
    "insufficient_quota": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "overloaded_error": 529,
}
"""Words that say more than the status they come with; in a stream, they come with 200."""
STATUS_OF_MESSAGE = {
    "Your credit balance is too low": 402,
    "You have reached your specified API usage limits": 402,
    "Request too large for": 413,
}
"""The same for how messages begin: the first two come with Anthropic's plain 400, the last with a 429 for ever."""
CONTENT_WORDS = frozenset(
    (
        "DataInspectionFailed",
        "content_filter",
        "content_policy_violation",
        "bio_policy",
        "data_inspection_failed",
        "image_content_policy_violation",
        "misalignment_policy_violation",
        "moderation_blocked",
    )
)
CONTENT_MESSAGES = ("Output blocked by content filtering policy", "Invalid prompt: your prompt was flagged")
"""How messages about content begin that come with words for any bad request."""
TOO_MUCH_WORDS = frozenset(
    ("context_length_exceeded", "image_file_too_large", "image_too_large", "string_above_max_length")
)
TOO_MUCH = re.compile(
    r"(prompt|input|image|request|messages?)\b.{0,80}?\b(too long|too large|longer than|exceeds?)"
    r"|context (length|limit|window)|range of input length"
)
NAMED_FIELD = re.compile(r"(?:Invalid JSON payload received\. Unknown name )?\W*([a-z_]{3,40})\b")
"""The field that a message begins with, or that Gemini does not know."""
HTTP_PACKAGES = ("httpx", "httpx2", "httpcore", "httpcore2")
"""What the official packages read replies with, and whose errors some of them let through."""

BROKEN_OFF = ("ReadError", "WriteError", "CloseError", "RemoteProtocolError", "DecodingError")
"""Of those errors, the ones that come after a connection was made."""


class Failures:
    """Tells the failures of one official package, `sdk`, as ours."""

    def __init__(self, sdk: Any, *, key_setting: str, fields: Mapping[str, str]) -> None:
        """`fields` are those that a request may have, and the setting that decides on each."""
        self._sdk = sdk
        self._key_setting = key_setting
        self._fields = fields

    def refusal(self, error: Exception) -> str | None:
        """The word for why the API's filter would not let this through; None for any other failure."""
        filtered = _message(error).startswith(CONTENT_MESSAGES) or _is_flagged(_detail(error))
        return next((word for word in _words(error) if word in CONTENT_WORDS), "content_filter" if filtered else None)

    def shown(self, error: Exception) -> Exception:
        """What to raise instead of `error`, which stays itself where it is none of the API's doing."""
        if isinstance(error, EchelonError):
            return error
        if isinstance(error, TimeoutError | self._sdk.APITimeoutError):
            return BudgetExceededError("the API gave no answer in time")
        if isinstance(error, self._sdk.APIConnectionError):
            return self._unconnected(error)
        if isinstance(error, self._sdk.APIError):
            return self._by_status(error)
        if isinstance(error, ValueError) or type(error).__module__.partition(".")[0] in HTTP_PACKAGES:
            return BackendError("the API's reply broke off, or is not what such an API replies")
        return error

    def _unconnected(self, error: Exception) -> EchelonError:
        if type(error.__cause__).__name__ in BROKEN_OFF:
            return BackendError("the connection to the API broke off")
        return UnreachableError("the API cannot be reached; its address is the model's setting base_url")

    def _by_status(self, error: Any) -> EchelonError:
        words = list(_words(error))
        answered = getattr(error, "status_code", 0) or _status_in(_detail(error))
        number = str(answered) if answered >= 300 else "an error"
        said = f"the API answered {', '.join([number, *dict.fromkeys(words)])}"
        status = _meant(words, _message(error)) or answered
        if status in (400, 422):
            return self._unwanted(error, words, said)
        kind, fix = MEANINGS.get(MOVED if status // 100 == 3 else status, OTHERWISE)
        wait_s = (
            retry_after_s(error.response.headers) if kind is ServerBusyError and hasattr(error, "response") else None
        )
        return kind(said + fix.format(key=self._key_setting), retry_after_s=wait_s)

    def _unwanted(self, error: Any, words: list[str], said: str) -> EchelonError:
        message = _message(error)
        found = NAMED_FIELD.match(getattr(error, "param", None) or message)
        setting = self._fields.get(found[1]) if found is not None else None
        if found is not None and setting is not None:
            return SettingsError(f"{said}: it does not take {found[1]!r} as it is; the setting {setting} decides on it")
        if TOO_MUCH_WORDS.intersection(words) or TOO_MUCH.search(message.lower()):
            return UnsupportedError(f"{said}: the request is too large for the model")
        return BackendError(f"{said}: it does not take this request")


def _is_flagged(detail: Mapping[str, Any]) -> bool:
    # OpenRouter's moderation answers with 403, as a key does that it does not know, and with what it flagged.
    metadata = detail.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _status_in(detail: Mapping[str, Any]) -> int:
    """The status that a reply speaks of which began as a success, as OpenRouter's and vLLM's do; 0 for none."""
    code = detail.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 0


def _meant(words: list[str], message: str) -> int:
    """The status that words and message speak of; 0 where they say no more than the one they come with."""
    begun = (status for begins, status in STATUS_OF_MESSAGE.items() if message.startswith(begins))
    return next(begun, 0) or next((STATUS_OF_WORD[word] for word in words if word in STATUS_OF_WORD), 0)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the API asks to wait, between 0 and an hour; None where it says nothing that can be read."""
    wait_s = _number(headers.get("retry-after-ms"))
    if wait_s is not None:
        wait_s /= 1000
    else:
        said = headers.get("retry-after")
        wait_s = _number(said)
        wait_s = _seconds_until(said) if wait_s is None and said else wait_s
    return None if wait_s is None else min(max(wait_s, 0.0), LONGEST_WAIT_S)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value == value else None


def _seconds_until(date: str) -> float | None:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()


WORD = re.compile(r"[A-Za-z]+(_[A-Za-z]+)*")


def _words(error: Any) -> Iterator[str]:
    """What kind of failure the API says it is. Words of letters alone: a key or an address is none."""
    detail = _detail(error)
    for said in (detail.get("code"), detail.get("type"), detail.get("status")):
        if isinstance(said, str) and len(said) <= 48 and WORD.fullmatch(said):
            yield said


def _detail(error: Any) -> Mapping[str, Any]:
    body = getattr(error, "body", None)
    # Gemini puts its errors into a list.
    body = body[0] if isinstance(body, list) and body else body
    inner = body.get("error", body) if isinstance(body, dict) else None
    return inner if isinstance(inner, dict) else {}


def _message(error: Any) -> str:
    """The API's own words, to find out what they are about and for nothing else."""
    message = _detail(error).get("message")
    return message if isinstance(message, str) else ""
