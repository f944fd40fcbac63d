"""What goes from an adapter's process to the server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from echelon.adapters.errors import EchelonError, LimitExceededError, OutputInvalidError
from echelon.adapters.worker.frames import Connection, TooLargeError

OUT_OF_MEMORY = 77
"""The exit code of a process that met its limit of memory: what has leaked is given back in no other way."""


class Replies:
    """Answers calls; `message_bytes` is the most that a client could be sent."""

    def __init__(self, connection: Connection, *, message_bytes: int, has_memory_limit: bool) -> None:
        self._connection = connection
        self._message_bytes = message_bytes
        self._has_memory_limit = has_memory_limit

    def done(self, call: int, value: Any) -> None:
        """The call's last word."""
        error = self._attempt(call, "done", value)
        if error is not None:
            error.usage = getattr(value, "usage", None)
            self.failed(call, error)

    def items(self, call: int, items: Sequence[Any]) -> None:
        """The outcomes of a batch; one that does not travel is replaced by an error and takes no other along."""
        if self._attempt(call, "done", list(items)) is None:
            return
        for index, item in enumerate(items):
            error = self._attempt(call, "item", (index, item))
            if error is not None:
                error.usage = getattr(item, "usage", None)
                self._connection.send(call, "item", (index, error))
        self._connection.send(call, "done")

    def piece(self, call: int, piece: Any) -> None:
        """A piece of a stream; raises where it does not travel."""
        error = self._attempt(call, "piece", piece)
        if error is not None:
            raise error

    def failed(self, call: int, error: BaseException) -> None:
        """The call ended with `error`, raised by a vendor's code."""
        self._end_at_limit(error)
        self._connection.send(call, "failed", error)

    def _attempt(self, call: int, word: str, value: Any) -> EchelonError | None:
        try:
            self._connection.send(call, word, value)
        except TooLargeError as error:
            most = min(error.most, self._message_bytes)
            return LimitExceededError(f"the model's answer has {error.size} {error.what}, a message at most {most}")
        except OSError:
            raise
        # Anything may stand in the fields of what a vendor's code built.
        except Exception as error:  # noqa: BLE001  (see above)
            self._end_at_limit(error)
            return OutputInvalidError("the model's answer has a field of a wrong type")
        return None

    def _end_at_limit(self, error: BaseException) -> None:
        if self._has_memory_limit and isinstance(error, MemoryError):
            os._exit(OUT_OF_MEMORY)
