"""The two base classes that a vendor derives from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from echelon.adapters.calls import Call
from echelon.adapters.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from echelon.adapters.calls import Outcome, Request, Returned
    from echelon.adapters.card import Card
    from echelon.adapters.content import Part


@dataclass(frozen=True)
class NoSettings:
    """For adapters that have nothing to set."""


SettingsT = TypeVar("SettingsT")


class Adapter(ABC, Generic[SettingsT]):
    """Puts one model behind the contract; derive from BatchAdapter or AsyncAdapter, not from this.

    The settings are a frozen dataclass, named as the type argument: `class Mine(BatchAdapter[MySettings])`.
    A call is supported when its method is overridden and the card lists it.
    """

    settings_type: ClassVar[type[Any]] = NoSettings

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for base in getattr(cls, "__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, Adapter) and isinstance(arguments[0], type):
                cls.settings_type = arguments[0]

    @classmethod
    def overrides(cls, call: Call) -> bool:
        """Whether this class has a method of its own for `call`."""
        return cls._differs(call)

    @classmethod
    def streams(cls, call: Call) -> bool:
        """Whether this class has a method of its own that streams `call`."""
        return cls._differs(f"stream_{call}")

    @classmethod
    def _differs(cls, method: str) -> bool:
        own, bases = getattr(cls, method, None), (BatchAdapter, AsyncAdapter)
        return all(own is not getattr(base, method, None) for base in bases)

    def open(self, settings: SettingsT) -> None:
        """Load the model; called once, in a worker thread, before anything else."""

    @abstractmethod
    def card(self) -> Card:
        """What the model says of itself, once open."""

    def unverified(self) -> Sequence[str]:
        """What can change the model's answers and is neither in its settings nor in the files that these name.

        Each in a few words, for example "weights behind an API"; reports show it as unverified.
        """
        return ()

    def probe(self, call: Call) -> Request | None:
        """A typical request, to warm up and to measure batching with; None to do without."""
        return None

    def close(self) -> None:
        """Give everything back; called once, after the last call."""


class BatchAdapter(Adapter[SettingsT]):
    """Takes several requests at once and may block; it is called from worker threads, never from two at a time.

    Each method returns as many outcomes as it got requests, in their order. An EchelonError in an outcome's place
    fails that request alone; where a method raises, each request of the batch is asked again by itself.
    """

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """Judge each request's parts."""
        raise UnsupportedError("this model does not comprehend")

    def generate(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """Create new media for each request."""
        raise UnsupportedError("this model does not generate")

    def language(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """Answer each request's text with text."""
        raise UnsupportedError("this model does not do language")

    def stream_language(self, request: Request) -> Iterator[str | Outcome] | None:
        """Pieces of text as they get ready, the outcome last; None sends what `language` returns.

        The pieces together are the text answered. Runs in the worker thread: the model does nothing else meanwhile.
        """
        return None


class AsyncAdapter(Adapter[SettingsT]):
    """Takes one request at a time, many at once, and must never block the event loop it runs on."""

    async def ready(self) -> bool:
        """Whether what lies behind the adapter can answer now; asked every few seconds, for the server's health."""
        return True

    async def comprehend(self, request: Request) -> Outcome:
        """Judge the request's parts."""
        raise UnsupportedError("this model does not comprehend")

    async def generate(self, request: Request) -> Outcome:
        """Create new media for the request."""
        raise UnsupportedError("this model does not generate")

    async def language(self, request: Request) -> Outcome:
        """Answer the request's text with text."""
        raise UnsupportedError("this model does not do language")

    def stream_generate(self, request: Request) -> AsyncIterator[Part | Outcome] | None:
        """Whole parts as they get ready; None sends what `generate` returns.

        The outcome may come last, for its usage or its reason to finish; without one the parts are the answer.
        """
        return None

    def stream_language(self, request: Request) -> AsyncIterator[str | Outcome] | None:
        """Pieces of text as they get ready, the outcome last; None sends what `language` returns.

        The pieces together are the text answered.
        """
        return None
