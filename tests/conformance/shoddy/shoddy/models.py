"""One model that is sound, and others that differ from it in one fault each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from echelon.adapters import (
    Answer,
    AsyncAdapter,
    BackendError,
    BatchAdapter,
    Call,
    CallSupport,
    Card,
    Choice,
    FinishReason,
    Image,
    InvalidInputError,
    Kind,
    NoSettings,
    Outcome,
    Part,
    Request,
    Returned,
    Tensor,
    Text,
    UnsupportedError,
    Usage,
)


@dataclass(frozen=True)
class SoundSettings:
    """What is put before every answer."""

    greeting: str = "You said: "


class Sound(BatchAdapter[SoundSettings]):
    """Says again what it hears."""

    takes: tuple[Kind, ...] = (Kind.TEXT,)
    gives: tuple[Kind, ...] = (Kind.TEXT,)

    def open(self, settings: SoundSettings) -> None:
        self._greeting = settings.greeting

    def card(self) -> Card:
        return Card("1", (CallSupport(Call.COMPREHEND, self.takes, self.gives),), deterministic=True)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return [self.answer(request) for request in requests]

    def answer(self, request: Request) -> Returned:
        """What one request gets."""
        said = " ".join([request.instruction, *(part.value for part in request.parts if isinstance(part, Text))])
        words = len(said.split())
        return Answer((Text(self._greeting + said[:200]),), usage=Usage(words, min(words, 8)))


class Boastful(Sound):
    """card: names its weights by a digest that nobody can compare."""

    def card(self) -> Card:
        return Card("1", super().card().calls, deterministic=True, weights_digest="md5:4711")


class Forgetful(Sound):
    """card: lists a call that it has no method for."""

    def card(self) -> Card:
        return Card("1", (CallSupport(Call.LANGUAGE, self.takes, self.gives),))


class Promising(Sound):
    """golden: lists images and takes none."""

    takes = (Kind.TEXT, Kind.IMAGE)

    def answer(self, request: Request) -> Returned:
        if any(isinstance(part, Image) for part in request.parts):
            return UnsupportedError("images come with the next version")
        return super().answer(request)


class Expectant(Sound):
    """empty: takes for granted that there is a part."""

    def answer(self, request: Request) -> Returned:
        assert request.parts[0].kind is Kind.TEXT
        return super().answer(request)


class Small(Sound):
    """large: breaks down over long text."""

    def answer(self, request: Request) -> Returned:
        if sum(len(part.value) for part in request.parts if isinstance(part, Text)) > 100_000:
            raise RuntimeError("index 100000 is out of bounds")
        return super().answer(request)


class Gullible(Sound):
    """broken: believes that every image is a PNG."""

    takes = (Kind.TEXT, Kind.IMAGE)

    def answer(self, request: Request) -> Returned:
        for part in request.parts:
            if isinstance(part, Image):
                self.read(part.data)
        return super().answer(request)

    def read(self, data: bytes) -> None:
        """Whatever comes of it."""
        if not data:
            raise InvalidInputError("the image is empty")
        if not data.startswith(b"\x89PNG"):
            raise ValueError("bad magic number")


class Brittle(Gullible):
    """broken: and takes the whole process down."""

    def read(self, data: bytes) -> None:
        if data and not data.startswith(b"\x89PNG"):
            os._exit(139)


class Whole(Sound):
    """numbers: makes whole numbers of whatever comes."""

    takes = (Kind.TEXT, Kind.TENSOR)

    def answer(self, request: Request) -> Returned:
        total = sum(int(part.array().sum()) for part in request.parts if isinstance(part, Tensor))
        return Answer((Text(str(total)),)) if total else super().answer(request)


class Plain(Sound):
    """unicode: knows only English."""

    def answer(self, request: Request) -> Returned:
        request.instruction.encode("ascii")
        return super().answer(request)


class Unique(Sound):
    """labels: looks labels up in a table that has room for each once."""

    gives = (Kind.TEXT, Kind.CHOICE)

    def answer(self, request: Request) -> Returned:
        table = {label: place for place, label in enumerate(request.labels)}
        assert len(table) == len(request.labels)
        if table and Kind.CHOICE in (request.output_kinds or self.gives):
            return Answer((Choice.of(min(table)),), usage=Usage(1, 1))
        return super().answer(request) if Kind.TEXT in (request.output_kinds or self.gives) else _no_labels()


def _no_labels() -> Returned:
    return InvalidInputError("a choice takes labels")


class Caching(Sound):
    """determinism: what it remembers is not what it said."""

    def open(self, settings: SoundSettings) -> None:
        super().open(settings)
        self._known: set[str] = set()

    def answer(self, request: Request) -> Returned:
        key = repr((request.instruction, request.parts))
        again = key in self._known
        self._known.add(key)
        return Answer((Text("as I said"),), usage=Usage(1, 1)) if again else super().answer(request)


class Reversing(Sound):
    """batching: gives a batch back from its end."""

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return [self.answer(request) for request in reversed(requests)]


class Stubborn(Sound):
    """cancellation: once begun, a long answer is written to its end."""

    def answer(self, request: Request) -> Returned:
        if (request.sampling.max_token_count or 0) > 1000:
            time.sleep(2.5)
        return super().answer(request)


class Hasty(Sound):
    """deadlines: loses its head when time is short."""

    def answer(self, request: Request) -> Returned:
        if (request.remaining_s() or 60) < 1:
            raise RuntimeError("no time left")
        return super().answer(request)


class Wordy(Sound):
    """usage: counts more than it may write."""

    def answer(self, request: Request) -> Returned:
        return Answer((Text("hm"),), usage=Usage(3, 10_000))


class Evasive(Sound):
    """refusals: pretends to be out of order."""

    def answer(self, request: Request) -> Returned:
        if "lock" in request.instruction:
            return BackendError("content policy")
        return super().answer(request)


class Hoarding(Sound):
    """memory: keeps something of every call."""

    def open(self, settings: SoundSettings) -> None:
        super().open(settings)
        self._kept: list[bytes] = []

    def answer(self, request: Request) -> Returned:
        self._kept.append(os.urandom(64 * 1024))
        return super().answer(request)


class Hurried(Sound):
    """drain: ends the process before the server does."""

    def close(self) -> None:
        os._exit(3)


class Unloaded(Sound):
    """Cannot be opened."""

    def open(self, settings: SoundSettings) -> None:
        raise FileNotFoundError("no weights in /models")


class SoundAsync(AsyncAdapter[NoSettings]):
    """Says again what it hears, many at once."""

    def card(self) -> Card:
        calls = tuple(
            CallSupport(call, (Kind.TEXT,), (Kind.TEXT,)) for call in (Call.LANGUAGE, Call.GENERATE) if self.does(call)
        )
        return Card("1", calls, deterministic=True)

    def does(self, call: Call) -> bool:
        """Whether it answers that call."""
        return call is Call.LANGUAGE

    async def language(self, request: Request) -> Outcome:
        await asyncio.sleep(0)
        return Answer((Text(" ".join([request.instruction, *(part.kind for part in request.parts)])[:200]),))


class Selfish(SoundAsync):
    """in-flight: has one connection, and no more."""

    def open(self, settings: NoSettings) -> None:
        self._busy = False

    async def language(self, request: Request) -> Outcome:
        if self._busy:
            raise RuntimeError("the connection is in use")
        self._busy = True
        try:
            await asyncio.sleep(0.002)
            return await super().language(request)
        finally:
            self._busy = False


class Forked(SoundAsync):
    """streaming: streams something else than it answers."""

    def does(self, call: Call) -> bool:
        return True

    async def generate(self, request: Request) -> Outcome:
        return await self.language(request)

    def stream_generate(self, request: Request) -> AsyncIterator[Part]:
        return self._parts()

    async def _parts(self) -> AsyncIterator[Part]:
        yield Text("a draft")


class Writing(Sound):
    """Writes what it says word by word, where it is asked to."""

    def card(self) -> Card:
        return Card("1", (CallSupport(Call.LANGUAGE, self.takes, self.gives),), deterministic=True)

    def language(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return self.comprehend(requests)

    def stream_language(self, request: Request) -> Iterator[str | Outcome]:
        answer = self.answer(request)
        assert isinstance(answer, Answer)
        return self.written(request, answer)

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        """The words, and the outcome last."""
        yield from _words(answer)
        yield answer


def _words(answer: Answer) -> list[str]:
    (part,) = answer.parts
    assert isinstance(part, Text)
    first, *others = part.value.split(" ")
    return [first, *(f" {word}" for word in others)]


class Drafting(Writing):
    """streaming: writes something else than it says."""

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        return super().written(request, replace(answer, parts=(Text("a draft"),)))


class Mumbling(Writing):
    """streaming: swallows the spaces."""

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        for word in _words(answer):
            yield word.strip()
        yield answer


class Breaking(Writing):
    """streaming: says of what it wrote that it was cut off."""

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        return super().written(request, replace(answer, finish_reason=FinishReason.LENGTH))


class Counting(Writing):
    """streaming: counts each word as it goes."""

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        return super().written(request, replace(answer, usage=Usage(len(_words(answer)), 1)))


class Deaf(Writing):
    """streaming: once begun, a long text is written to its end."""

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        yield _words(answer)[0]
        if (request.sampling.max_token_count or 0) > 1000:
            time.sleep(2.5)
        yield from _words(answer)[1:]
        yield answer


class Rushed(Writing):
    """streaming: loses its head over a text when time is short."""

    def written(self, request: Request, answer: Answer) -> Iterator[str | Outcome]:
        if (request.remaining_s() or 60) < 1:
            raise RuntimeError("no time left to write")
        return super().written(request, answer)
