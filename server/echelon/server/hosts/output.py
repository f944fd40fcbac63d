"""What an adapter's process prints, in the server's log: line by line, and no more of it than a log can bear."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import IO, Any

LINE_BYTES = 2048
LINES_A_SECOND = 100
LAST_LINES = 100
"""How many lines that were too many are told all the same when they turn out to be the last: what it died of."""


def follow(stream: IO[bytes], log: Any) -> None:
    """Log every line of `stream` until it ends, in a thread of its own."""
    threading.Thread(target=_Output(log).follow, args=(stream,), name="output", daemon=True).start()


class _Output:
    def __init__(self, log: Any) -> None:
        self._log = log
        self._since = monotonic()
        self._count = 0
        self._left_out: deque[bytes] = deque(maxlen=LAST_LINES)

    def follow(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(LINE_BYTES):
                self._take(line)
        last = list(self._left_out)
        self._begin_second(told=len(last))
        for line in last:
            self._tell(line)

    def _take(self, line: bytes) -> None:
        if monotonic() - self._since >= 1.0:
            self._begin_second()
        self._count += 1
        if self._count <= LINES_A_SECOND:
            self._tell(line)
        else:
            self._left_out.append(line)

    def _begin_second(self, *, told: int = 0) -> None:
        left_out = self._count - LINES_A_SECOND - told
        if left_out > 0:
            self._log.warning("output left out", lines=left_out)
        self._since, self._count = monotonic(), 0
        self._left_out.clear()

    def _tell(self, line: bytes) -> None:
        self._log.info("output", line=line.decode("utf-8", "replace").rstrip("\n"))
