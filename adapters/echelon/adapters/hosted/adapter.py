"""The life of an adapter over a hosted API, and the way from a request to an outcome."""

from __future__ import annotations

import asyncio
import hashlib
import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

from echelon.adapters.adapter import AsyncAdapter
from echelon.adapters.calls import Answer, Call, FinishReason, Outcome, Refusal, Request, Usage
from echelon.adapters.card import Card
from echelon.adapters.content import Kind, Text, Video
from echelon.adapters.errors import (
    BudgetExceededError,
    MissingExtraError,
    OutputInvalidError,
    SettingsError,
    UnsupportedError,
)
from echelon.adapters.hosted.dialogue import Piece, Turn, frames_of, turns_of
from echelon.adapters.hosted.failures import Failures
from echelon.adapters.hosted.replies import Reply, Tokens
from echelon.adapters.hosted.settings import HostedSettings, Offer, SamplingWord
from echelon.adapters.hosted.structure import WORDING, Form, form_of

CLOSE_S = 5.0
LONGEST_REFUSAL = 65_536
NOT_IN_DIGEST = frozenset(
    ("api_key_env", "api_key_file", "base_url", "calls", "check_model", "composition", "header_env", "headers",
     "max_concurrent_calls", "prices", "timeout_s")
)  # fmt: skip
"""Settings that change no answer, are secret, or stand in the card by themselves."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an API is asked for a request: `body` is what its package takes."""

    request: Request
    form: Form
    body: dict[str, Any]


Build: TypeAlias = Callable[[Request, Form, tuple[Turn, ...]], dict[str, Any]]
"""Makes the body that asks for an answer in a form."""
S = TypeVar("S", bound=HostedSettings)
T = TypeVar("T")


class HostedAdapter(AsyncAdapter[S], Generic[S]):
    """Asks a hosted model with its vendor's official package, whose connections live on the server's own loop."""

    takes: ClassVar[Mapping[Call, tuple[Kind, ...]]]
    gives: ClassVar[Mapping[Call, tuple[Kind, ...]]]
    """All that the API can do for each call; settings choose from it."""
    most_stop_strings: ClassVar[int]
    package: ClassVar[str]
    """The vendor's package, and the extra that brings it."""

    @abstractmethod
    def _connect(self) -> Any:
        """A client of the package, which tries nothing twice and follows no redirect."""

    @abstractmethod
    def _failing(self) -> Failures:
        """How failures of the package are told."""

    @abstractmethod
    async def _lists_model(self, client: Any) -> bool:
        """Whether the API knows the model."""

    @abstractmethod
    def _body(self, request: Request, form: Form, turns: tuple[Turn, ...]) -> dict[str, Any]:
        """What the package takes to ask for words."""

    @abstractmethod
    async def _ask(self, body: dict[str, Any], timeout_s: float) -> Reply:
        """What the API replies."""

    @abstractmethod
    def _hear(self, body: dict[str, Any], timeout_s: float) -> AsyncGenerator[str | Reply]:
        """The pieces of the reply's text as they come, the reply last."""

    def _package(self) -> Any:
        try:
            return import_module(self.package)
        except ImportError as error:
            raise MissingExtraError(self.package, self.package) from error

    def open(self, settings: S) -> None:
        """Check the settings and read the key; nothing is sent, unless `check_model` asks for it."""
        self._settings = settings
        _check_kinds(settings, "takes", self.takes)
        _check_kinds(settings, "gives", self.gives)
        self._failures = self._failing()
        self._client = self._connect()
        self._places = asyncio.Semaphore(settings.max_concurrent_calls)
        self._loop: asyncio.AbstractEventLoop | None = None
        if settings.check_model:
            asyncio.run(self._check_model())

    async def _check_model(self) -> None:
        # This loop ends with the check, so that its connections must not serve the calls to come.
        client = self._connect()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                found = await self._lists_model(client)
        except Exception as error:  # noqa: BLE001  (Failures gives back what is not the API's)
            raise self._failures.shown(error) from None
        finally:
            await client.close()
        if not found:
            raise SettingsError(f"the API at {self._settings.endpoint} lists no model {self._settings.model!r}")

    def card(self) -> Card:
        """The offered calls; the version is a digest of the settings that change answers."""
        settings = self._settings
        supports = settings.calls.supports()
        shows_video = any(Kind.VIDEO in support.input_kinds for support in supports)
        said = {name: value for name, value in asdict(settings).items() if name not in NOT_IN_DIGEST}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
        return Card(
            version=f"{WORDING}-{digest[:12]}",
            calls=supports,
            description=f"{settings.model} at {settings.endpoint}"[:1024],
            engine=settings.endpoint[:128],
            frame_sampling=self._frame_sampling() if shows_video else "",
            composition=settings.composition,
        )

    def unverified(self) -> Sequence[str]:
        """What an API does with a model's name is its vendor's own affair."""
        return (f"everything behind the API at {self._settings.endpoint}",)

    def _frame_sampling(self) -> str:
        return f"uniform {self._settings.video_frames}"

    async def comprehend(self, request: Request) -> Outcome:
        """Judge the request's parts, in the form that it allows."""
        async with self._place(request) as ends:
            question = await self._question(request, self._body)
            reply = await self._by(ends, self._ask(question.body, left_s(ends)))
        return self._outcome(question, reply)

    language = comprehend

    def stream_language(self, request: Request) -> AsyncIterator[str | Outcome] | None:
        """Pieces of text as the API sends them; None for what is no text, or has to be cut when it is whole."""
        structured = self._form(request).is_structured
        return None if structured or request.sampling.stop != self._sent_stop(request) else self._pieces(request)

    async def _pieces(self, request: Request) -> AsyncGenerator[str | Outcome]:
        async with self._place(request) as ends:
            question = await self._question(request, self._body)
            heard = self._hear(question.body, left_s(ends))
            try:
                piece: str | Reply = ""
                while not isinstance(piece, Reply):
                    # No time-out spans a yield: whoever listens takes time of their own.
                    piece = await self._by(ends, anext(heard))
                    if piece:
                        yield self._outcome(question, piece) if isinstance(piece, Reply) else piece
            finally:
                await heard.aclose()

    @asynccontextmanager
    async def _place(self, request: Request) -> AsyncIterator[float]:
        """A place among the calls under way; gives the loop's time by which the API has to have answered."""
        self._loop = asyncio.get_running_loop()
        remaining_s = request.remaining_s()
        limit_s = self._settings.timeout_s
        ends = self._loop.time() + (limit_s if remaining_s is None else min(remaining_s, limit_s))
        try:
            async with asyncio.timeout_at(ends):
                await self._places.acquire()
        except TimeoutError:
            most = self._settings.max_concurrent_calls
            raise BudgetExceededError(
                f"no call under way ended in time to make room; the model's setting max_concurrent_calls allows {most}"
            ) from None
        try:
            yield ends
        finally:
            self._places.release()

    async def _by(self, ends: float, reply: Awaitable[T]) -> T | Reply:
        """What is awaited, if it comes before `ends`; failures become ours, and those of content a refusal."""
        try:
            async with asyncio.timeout_at(ends):
                return await reply
        except Exception as error:  # noqa: BLE001  (Failures gives back what is not the API's)
            word = self._failures.refusal(error)
            if word is None:
                raise self._failures.shown(error) from None
            return Reply(refused=word)

    async def _question(self, request: Request, build: Build) -> Question:
        # Media are decoded and encoded on the way, which must not hold up the loop.
        return await asyncio.to_thread(self._built, request, build)

    def _built(self, request: Request, build: Build) -> Question:
        form = self._form(request)
        return Question(request, form, build(request, form, turns_of(request, form, self._show)))

    def _form(self, request: Request) -> Form:
        return form_of(request, self._offer(request.call), self._settings.box_coordinates)

    def _offer(self, call: Call) -> Offer:
        offer = self._settings.calls.of(call)
        if offer is None:
            raise UnsupportedError(f"the model's settings offer no {call}")
        return offer

    def _show(self, video: Video) -> list[Piece]:
        return list(frames_of(video, self._settings.video_frames))

    def _sent_stop(self, request: Request) -> tuple[str, ...]:
        """What of the request's `stop` the API heeds; the rest is cut off here."""
        return request.sampling.stop[: self.most_stop_strings] if "stop" in self._settings.sampling else ()

    def _sampling(self, request: Request, words: tuple[SamplingWord, ...]) -> dict[str, Any]:
        """Those of the request's `words` that are set and that the settings let the API have."""
        sampling = request.sampling
        said = {word: getattr(sampling, word) for word in words if word in self._settings.sampling}
        return {word: value for word, value in said.items() if value is not None}

    def _most_tokens(self, request: Request) -> int | None:
        return request.sampling.max_token_count or self._settings.max_tokens

    def _outcome(self, question: Question, reply: Reply) -> Outcome:
        request, form = question.request, question.form
        usage = self._usage(reply.tokens)
        if reply.refused is not None:
            return Refusal(reply.refused[:64], reply.text[:LONGEST_REFUSAL], usage)
        if not form.is_structured:
            text = _cut(reply.text, request.sampling.stop)
            finish = reply.finish if text == reply.text else FinishReason.COMPLETE
            return Answer((Text(text),), finish, usage)
        part = form.read(reply.text)
        if part is None and (Kind.TEXT in request.output_kinds or not request.output_kinds):
            part = Text(reply.text)
        if part is None:
            raise OutputInvalidError(f"the model's answer cannot be read as {form.kind}", usage=usage)
        return Answer((part,), reply.finish, usage)

    def _usage(self, tokens: Tokens, images: int = 0) -> Usage:
        cost = self._settings.prices.nano_usd(tokens, images)
        return Usage(input_token_count=tokens.input, output_token_count=tokens.output, cost_nano_usd=cost)

    def close(self) -> None:
        """Close the connections on the loop that opened them."""
        loop = self._loop
        if loop is not None and loop.is_running():
            closing = asyncio.run_coroutine_threadsafe(self._client.close(), loop)
            closing.result(CLOSE_S)


def left_s(ends: float) -> float:
    """The seconds until `ends`, a time of the running loop."""
    return max(ends - asyncio.get_running_loop().time(), 0.001)


def _cut(text: str, stop: tuple[str, ...]) -> str:
    """A text up to the first of `stop`."""
    return text[: min((at for word in stop if (at := text.find(word)) >= 0), default=len(text))]


def _check_kinds(settings: HostedSettings, word: str, known: Mapping[Call, tuple[Kind, ...]]) -> None:
    for call in Call:
        offer = settings.calls.of(call)
        wrong = [kind for kind in getattr(offer, word, ()) if kind not in known.get(call, ())]
        if wrong:
            there = ", ".join(known.get(call, ())) or "nothing"
            raise SettingsError(f"calls.{call}.{word}: the API knows no {', '.join(wrong)}; it knows {there}")
