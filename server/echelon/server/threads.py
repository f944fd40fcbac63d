"""Vendor code that blocks, in threads that cannot keep the process from ending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], name: str) -> T:
    """What `work` returns or raises; it goes on, unheard, when the caller is cancelled."""
    done: Future[tuple[T | None, BaseException | None]] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            done.set_result((work(), None))
        except BaseException as error:  # noqa: BLE001  (raised again where it is awaited)
            done.set_result((None, error))

    Thread(target=run, name=name, daemon=True).start()
    result, error = await asyncio.wrap_future(done)
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # it is a T where nothing was raised
