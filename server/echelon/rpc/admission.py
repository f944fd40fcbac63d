"""Admission: how many calls, and how many bytes of them, a listener holds at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from echelon.adapters.errors import LimitExceededError, ServerBusyError
from echelon.rpc.config import Limits


class Admission:
    """Counts admitted calls; to be asked once a call's message has arrived, so that silent calls hold no place."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.calls = 0
        self.bytes = 0

    @contextmanager
    def place(self, size_bytes: int) -> Iterator[None]:
        """A place for one call as long as the block lasts; raises as `enter` does."""
        self.enter(size_bytes)
        try:
            yield
        finally:
            self.leave(size_bytes)

    def enter(self, size_bytes: int) -> None:
        """Take a place for one call; ServerBusyError, with a time to come back, where there is none."""
        limits = self._limits
        if size_bytes > limits.bytes:
            raise LimitExceededError(f"the call has {size_bytes} bytes, this server admits {limits.bytes} at once")
        if self.calls >= limits.calls or self.bytes + size_bytes > limits.bytes:
            raise ServerBusyError(
                f"the server holds {self.calls} calls of {self.bytes} bytes and takes no more now", retry_after_s=0.1
            )
        self.calls += 1
        self.bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Give the place back."""
        self.calls -= 1
        self.bytes -= size_bytes
