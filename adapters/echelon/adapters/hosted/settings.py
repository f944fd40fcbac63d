"""What an adapter over a hosted API is told."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from echelon.adapters.calls import Call
from echelon.adapters.card import CallSupport, Composition
from echelon.adapters.content import Kind
from echelon.adapters.errors import SettingsError
from echelon.adapters.hosted.replies import Tokens
from echelon.adapters.settings import NO_IDENTITY, SECRET

CHAT_GIVES = {
    Call.COMPREHEND: (Kind.TEXT, Kind.CHOICE, Kind.NUMBER, Kind.BOXES, Kind.JSON),
    Call.LANGUAGE: (Kind.TEXT, Kind.CHOICE, Kind.NUMBER, Kind.JSON),
}
"""The kinds that a chat can answer with."""
WRITTEN = (Kind.TEXT, Kind.NUMBER, Kind.CHOICE, Kind.BOXES, Kind.JSON)
"""The kinds that are shown to a model as text."""

NO_KEY = "none"
"""What is sent where an API wants no key; the official packages insist on one."""

SamplingWord = Literal["temperature", "top_p", "seed", "stop"]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The kinds that one call takes and gives; the first given one answers where a request leaves the kind open."""

    takes: tuple[Kind, ...]
    gives: tuple[Kind, ...]

    def __post_init__(self) -> None:
        if not self.takes or not self.gives:
            raise ValueError("'takes' and 'gives' need at least one kind each")


@dataclass(frozen=True, kw_only=True)
class Offers:
    """What each call takes and gives; null does not offer the call."""

    comprehend: Offer | None = Offer(takes=(*WRITTEN, Kind.IMAGE, Kind.VIDEO), gives=CHAT_GIVES[Call.COMPREHEND])
    generate: Offer | None = None
    language: Offer | None = Offer(takes=WRITTEN, gives=CHAT_GIVES[Call.LANGUAGE])

    def of(self, call: Call) -> Offer | None:
        """What is offered for `call`."""
        offer: Offer | None = getattr(self, call)
        return offer

    def supports(self) -> tuple[CallSupport, ...]:
        """The same as a card says it."""
        offers = ((call, self.of(call)) for call in Call)
        return tuple(CallSupport(call, offer.takes, offer.gives) for call, offer in offers if offer is not None)


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars: for a million tokens of each sort, and for one generated image."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None
    """Null: as much as any input."""
    image: float = 0.0

    def __post_init__(self) -> None:
        if min(self.input, self.output, self.cached_input or 0.0, self.image) < 0:
            raise ValueError("a price must be 0 or more")

    def nano_usd(self, tokens: Tokens, images: int = 0) -> int:
        """The price of a reply, in billionths of a dollar."""
        cached = min(tokens.cached_input, tokens.input)
        cached_price = self.input if self.cached_input is None else self.cached_input
        millionths = (tokens.input - cached) * self.input + cached * cached_price + tokens.output * self.output
        return round(millionths * 1000 + images * self.image * 1e9)


@dataclass(frozen=True, kw_only=True)
class HostedSettings:
    """Which model of which API to ask, and how. Secrets are named here, never written."""

    model: str
    base_url: str
    api_key_env: str | None = field(metadata=NO_IDENTITY)
    """The environment variable that holds the key; null where the API wants none."""
    api_key_file: Path | None = field(default=None, metadata=NO_IDENTITY)
    """A file that holds the key, and goes before `api_key_env`."""
    headers: dict[str, str] = field(default_factory=dict, repr=False, metadata=SECRET)
    """Sent along with every request."""
    header_env: dict[str, str] = field(default_factory=dict, metadata=SECRET)
    """The same, with the name of the environment variable that holds the value."""
    calls: Offers = Offers()
    system: str = ""
    """Opens every dialogue."""
    max_tokens: int | None = None
    """Of an answer, where the request says nothing; null leaves it to the API."""
    sampling: tuple[SamplingWord, ...] = ()
    """What of a request's sampling the API takes; the rest is left out, and `stop` is then applied here."""
    extra_body: dict[str, Any] = field(default_factory=dict)
    """Fields of the API's own, put into every request for an answer in words."""
    structured: str = "schema"
    """How answers that are no text are got."""
    box_coordinates: Literal["pixel", "unit", "thousandth"] = "pixel"
    """How the model says where a box is; thousandths of the image's sides are turned into pixels."""
    video_frames: int = 8
    """How many frames of a video are shown, spread evenly."""
    timeout_s: float = field(default=600.0, metadata=NO_IDENTITY)
    """For one answer, where the request's own deadline is not sooner."""
    max_concurrent_calls: int = field(default=64, metadata=NO_IDENTITY)
    """Calls under way at once; more wait here."""
    prices: Prices = field(default=Prices(), metadata=NO_IDENTITY)
    composition: Composition = Composition.UNVERIFIED
    check_model: bool = field(default=False, metadata=NO_IDENTITY)
    """Look the model up in the API's list, which costs nothing, before serving."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("'model' must not be empty")
        _check_base_url(self.base_url)
        for name in ("video_frames", "timeout_s", "max_concurrent_calls"):
            if getattr(self, name) <= 0:
                raise ValueError(f"'{name}' must be above 0")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError("'max_tokens' must be at least 1")

    @property
    def endpoint(self) -> str:
        """Host and path of the API."""
        parts = urlsplit(self.base_url)
        return parts.netloc + parts.path.rstrip("/")

    def key(self) -> str:
        """The API key; SettingsError where it cannot be had."""
        if self.api_key_file is not None:
            return _clean(_read(self.api_key_file), f"the file {self.api_key_file} (setting api_key_file)")
        if self.api_key_env is None:
            return NO_KEY
        return _variable(self.api_key_env, "api_key_env")

    def all_headers(self) -> dict[str, str]:
        """Every header of the settings, with its value, and its name in the spelling of the official packages."""
        secret = {name: _variable(variable, f"header_env.{name}") for name, variable in self.header_env.items()}
        return {_spelled(name): value for name, value in {**self.headers, **secret}.items()}


def _spelled(name: str) -> str:
    # Some packages send a header twice, theirs and ours, where the spellings differ.
    return "Authorization" if name.lower() == "authorization" else name.lower()


def _check_base_url(base_url: str) -> None:
    # The address goes into cards and logs, so nothing in it may be secret.
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("'base_url' must begin with http:// or https:// and a host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("'base_url' must hold no credentials and no query; use api_key_env, header_env")


def _variable(name: str, setting: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SettingsError(f"the environment variable {name} (setting {setting}) is not set")
    return _clean(value, f"the environment variable {name} (setting {setting})")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"cannot read the file {path} (setting api_key_file): {reason}") from None


def _clean(secret: str, source: str) -> str:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise SettingsError(f"{source} must hold one line of ASCII characters and no more")
    return secret
