"""The model that is checked, as every check meets it: asked over the contract, whoever serves it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from time import monotonic

from echelon.adapters.calls import Answer, Call, Outcome, Refusal, Request
from echelon.adapters.card import Card
from echelon.adapters.errors import (
    AdapterCrashedError,
    AdapterFailedError,
    EchelonError,
    ModelNotReadyError,
    OutputInvalidError,
    ServerBusyError,
    UnreachableError,
)
from echelon.clients import AsyncClient, ModelInfo, Options, Pipeline, Retry
from echelon.conformance.findings import NotApplicableError, NotConformingError
from echelon.conformance.golden import Found, Golden, find_golden
from echelon.conformance.plan import Conformance
from echelon.conformance.server import AdapterServer

Reply = Outcome | EchelonError
"""What came back for a request."""
_AGAIN_S = 0.1


@dataclass
class Subject:
    """A served model; `server` is ours, None where somebody else runs it."""

    conformance: Conformance
    address: str
    model: str
    server: AdapterServer | None

    def __post_init__(self) -> None:
        # A retry would hide what it is there to hide.
        options = replace(self.conformance.options or Options(), retry=Retry(attempts=1))
        self.client = AsyncClient(self.address, options)
        self._golden: Golden | None = None
        self._info: ModelInfo | None = None

    async def info(self) -> ModelInfo:
        """What the server says of the model."""
        if self._info is None:
            self._info = await self.client.model(self.model)
        return self._info

    async def ready(self) -> None:
        """Wait for a model that its server starts again, no longer than for an answer."""
        until = monotonic() + self.conformance.timeout_s
        while monotonic() < until:
            if (await self.client.model(self.model)).ready:
                return
            await asyncio.sleep(_AGAIN_S)

    async def card(self) -> Card:
        """The model's card."""
        return (await self.info()).card

    async def golden(self) -> Golden:
        """Requests that the model answers, found once."""
        if self._golden is None:
            self._golden = await find_golden(await self.card(), self.ask, self.conformance.requests)
        return self._golden

    async def answered(self) -> list[Found]:
        """A request that the model answers, for each call; NotApplicableError where there is none."""
        found = (await self.golden()).one_per_call()
        if not found:
            raise NotApplicableError("no request was answered at all; see the check golden")
        return found

    async def ask(self, request: Request) -> Reply:
        """What the model gives back for `request`; while the server is busy or starts the model, it is asked again."""
        return await self._patiently(lambda: self.client.ask(self.model, request, timeout_s=self.conformance.timeout_s))

    async def stream(self, request: Request) -> Reply:
        """The same, of a call whose answer is streamed."""
        return await self._patiently(lambda: self._last(request))

    async def _last(self, request: Request) -> Outcome:
        stream = self.client.stream_generate if request.call is Call.GENERATE else self.client.stream_language
        last: object = None
        async for piece in stream(self.model, request, timeout_s=self.conformance.timeout_s):
            last = piece
        assert isinstance(last, Answer | Refusal)
        return last

    async def _patiently(self, ask: Callable[[], Awaitable[Outcome]]) -> Reply:
        until = monotonic() + self.conformance.timeout_s
        while True:
            try:
                return await ask()
            except (ServerBusyError, ModelNotReadyError) as away:
                if monotonic() > until:
                    return away
                await asyncio.sleep(min(away.retry_after_s or _AGAIN_S, _AGAIN_S))
            except EchelonError as error:
                return error

    async def ask_all(self, requests: Iterable[Request]) -> list[Reply]:
        """What the model gives back for each of some requests, all asked at once."""
        return list(await asyncio.gather(*[self.ask(request) for request in requests]))

    async def ask_together(self, requests: Iterable[Request]) -> list[Reply]:
        """The same over one stream, where calls arrive in one message and so wait together."""
        async with Pipeline(self.client) as pipeline:

            async def reply(request: Request) -> Reply:
                try:
                    return await pipeline.ask(self.model, request, timeout_s=self.conformance.timeout_s)
                except EchelonError as error:
                    return error

            return list(await asyncio.gather(*[reply(request) for request in requests]))

    async def expect_alive(self, after: str) -> None:
        """NotConformingError unless the model answers, after `after`, what it answered before."""
        found = (await self.golden()).one_per_call()
        reply = await self.ask(found[0].request) if found else None
        if isinstance(reply, EchelonError):
            raise NotConformingError(
                f"after {after} the model does not answer any more: {await self.told(reply)}",
                "leave nothing behind that a failed call has changed, and let no call block the next",
            )

    async def said(self, reply: Reply) -> str:
        """A reply in words."""
        if isinstance(reply, EchelonError):
            return await self.told(reply)
        return "a refusal" if isinstance(reply, Refusal) else "an answer"

    async def told(self, error: EchelonError) -> str:
        """An error in words, with what the adapter raised where the log of our server has it."""
        if isinstance(error, UnreachableError) and self.server is not None:
            code = await self.server.ended()
            if code is not None:
                return f"the process that serves the model is gone (exit code {code})"
        incident = re.search(r"incident (\w+)", str(error))
        raised = self.server.exception(incident.group(1)) if self.server is not None and incident else ""
        return f"{error.reason}: {raised or error}"

    def remember(self, before: Subject) -> None:
        """Take over what is known of the model from before its server had to be started again."""
        self._golden, self._info = before._golden, before._info

    async def close(self) -> None:
        """Give the connection back."""
        await self.client.close()


def is_fault(reply: Reply) -> bool:
    """Whether the model broke down, rather than answered, refused, or said what is wrong with the request."""
    faults = (AdapterFailedError, AdapterCrashedError, OutputInvalidError, UnreachableError)
    return isinstance(reply, faults) or (isinstance(reply, EchelonError) and reply.reason == EchelonError.reason)
