"""The checks in their order, and what carries them out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from types import TracebackType
from typing import Self

from echelon.adapters.card import Card
from echelon.adapters.errors import EchelonError, UnreachableError
from echelon.adapters.registry import Entry
from echelon.clients import parse_target
from echelon.conformance.checks import basics, contract, endurance, hostile, repeated, streaming, timing
from echelon.conformance.findings import Check, Finding, NotApplicableError, NotConformingError, State
from echelon.conformance.plan import Conformance
from echelon.conformance.server import MODEL, AdapterServer
from echelon.conformance.subject import Subject


def _check(id_: str, run: Callable[[Subject], Awaitable[str]]) -> Check:
    return Check(id_, (run.__doc__ or "").partition("\n")[0].rstrip("."), run)


CHECKS = (
    _check("card", basics.card),
    _check("golden", basics.golden),
    _check("contract", contract.contract),
    _check("empty", hostile.empty),
    _check("large", hostile.large),
    _check("broken", hostile.broken),
    _check("numbers", hostile.numbers),
    _check("unicode", hostile.unicode),
    _check("labels", hostile.labels),
    _check("determinism", repeated.determinism),
    _check("batching", repeated.batching),
    _check("in-flight", repeated.in_flight),
    _check("streaming", streaming.streaming),
    _check("cancellation", timing.cancellation),
    _check("deadlines", timing.deadlines),
    _check("usage", basics.usage),
    _check("refusals", basics.refusals),
    _check("memory", endurance.memory),
    _check("drain", endurance.drain),
)
"""Every check, in the order in which they run; each stands alone."""


class Kit:
    """Serves or reaches what is to be checked, from `with` to its end, and runs checks on it one by one."""

    def __init__(self, conformance: Conformance) -> None:
        self._conformance = conformance
        self._runner = asyncio.Runner()
        self._server: AdapterServer | None = None
        self._subject: Subject | None = None

    def __enter__(self) -> Self:
        """ConfigurationError or UnreachableError where there is nothing to check."""
        try:
            self._runner.run(self._open())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def card(self) -> Card:
        """The model's card."""
        card: Card = self._runner.run(self._there.card())
        return card

    @property
    def entry(self) -> Entry | None:
        """The adapter as its distribution declares it; None for a model on somebody's server."""
        return self._server.entry if self._server is not None else None

    def run(self, check: Check) -> Finding:
        """How `check` ends; a model that died in the check before is served again first."""
        return self._runner.run(self._run(check))

    def close(self) -> None:
        """Stop what was started."""
        self._runner.run(self._close())
        self._runner.close()

    @property
    def _there(self) -> Subject:
        assert self._subject is not None
        return self._subject

    async def _open(self) -> None:
        if self._conformance.is_served:
            target = parse_target(self._conformance.target)
            self._subject = Subject(self._conformance, target.address, target.model, None)
        else:
            self._server = AdapterServer(self._conformance)
            await self._serve(self._server)
        await self._there.info()

    async def _serve(self, server: AdapterServer) -> None:
        await server.start()
        before, self._subject = self._subject, Subject(self._conformance, server.address, MODEL, server)
        if before is not None:
            self._subject.remember(before)
            await before.close()

    async def _run(self, check: Check) -> Finding:
        started = monotonic()
        state, said, fix = State.PASSED, "", ""
        try:
            await self._revive()
            said = await check.run(self._there)
        except NotApplicableError as reason:
            state, said = State.SKIPPED, str(reason)
        except NotConformingError as reason:
            state, said, fix = State.FAILED, str(reason), reason.fix
        except EchelonError as error:
            state, said, fix = State.FAILED, f"{error.reason}: {error}", "the check could not be carried out"
        return Finding(check.id, check.about, state, said, fix, monotonic() - started)

    async def _revive(self) -> None:
        """What the check before has taken down is served again."""
        try:
            await self._there.ready()
        except UnreachableError:
            if self._server is None:
                raise
            await self._server.stop()
            await self._serve(self._server)

    async def _close(self) -> None:
        if self._subject is not None:
            await self._subject.close()
        if self._server is not None:
            await self._server.stop()
            self._server.close()
