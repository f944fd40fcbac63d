"""What an adapter's process prints, in the server's log: line by line, and no more of it than a log can bear."""

from __future__ import annotations

import threading
from time import monotonic
from typing import IO, Any

LINE_BYTES = 2048
LINES_A_SECOND = 100


def follow(stream: IO[bytes], log: Any) -> None:
    """Log every line of `stream` until it ends, in a thread of its own; it never keeps the process waiting for long."""
    threading.Thread(target=_follow, args=(stream, log), name="output", daemon=True).start()


def _follow(stream: IO[bytes], log: Any) -> None:
    since, count = monotonic(), 0
    with stream:
        while line := stream.readline(LINE_BYTES):
            if monotonic() - since >= 1.0:
                _tell_left_out(count, log)
                since, count = monotonic(), 0
            count += 1
            if count <= LINES_A_SECOND:
                log.info("output", line=line.decode("utf-8", "replace").rstrip("\n"))
    _tell_left_out(count, log)


def _tell_left_out(count: int, log: Any) -> None:
    if count > LINES_A_SECOND:
        log.warning("output left out", lines=count - LINES_A_SECOND)
