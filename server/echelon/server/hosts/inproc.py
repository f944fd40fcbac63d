"""An adapter inside of the server's own process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from echelon.adapters import AsyncAdapter, BatchAdapter, Outcome, Request, Returned
from echelon.adapters.hosting import Opened, Plan, open_adapter, run
from echelon.adapters.registry import Entry
from echelon.server.hosts.host import Isolation, OnReady
from echelon.server.threads import in_thread


class InProcess:
    """Calls the adapter itself; its faults are the server's."""

    isolation = Isolation.INPROC

    def __init__(
        self,
        name: str,
        adapter_class: type[BatchAdapter[Any] | AsyncAdapter[Any]],
        plan: Callable[[], Plan],
        entry: Entry | None,
    ) -> None:
        self._name = name
        self._class = adapter_class
        self._plan = plan
        self._entry = entry
        self._adapter: Any = None

    async def open(self, on_ready: OnReady) -> Opened:
        """Open the adapter in a thread; raises what went wrong."""
        self._adapter, opened = await in_thread(
            lambda: open_adapter(self._class, self._plan(), self._entry), f"opens {self._name}"
        )
        return opened

    def wait(self, timeout_s: float) -> bool:
        """It is never away."""
        return True

    def run(self, requests: Sequence[Request]) -> Sequence[Returned]:
        """What the adapter makes of a batch."""
        return run(self._adapter, requests)

    async def ask(self, request: Request) -> Outcome:
        """What the adapter makes of one request."""
        outcome: Outcome = await getattr(self._adapter, request.call)(request)
        return outcome

    def play(self, request: Request) -> Iterator[Any] | None:
        """What the adapter streams, one request at a time."""
        items: Iterator[Any] | None = getattr(self._adapter, f"stream_{request.call}")(request)
        return items

    async def ready(self) -> bool:
        """What the adapter says."""
        return bool(await self._adapter.ready())

    async def stream(self, request: Request) -> AsyncGenerator[Any] | None:
        """What the adapter streams beside other requests."""
        items = getattr(self._adapter, f"stream_{request.call}")(request)
        return None if items is None else _closing(items)

    async def close(self) -> None:
        """Close the adapter in a thread, once."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await in_thread(adapter.close, f"closes {self._name}")


async def _closing(items: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """The same items; a generator of the vendor's is closed with this one."""
    try:
        async for item in items:
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
