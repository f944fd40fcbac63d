"""Structured logs: one JSON object a line on stderr, never content, never a secret."""

from __future__ import annotations

import logging
import sys
import time
from itertools import count
from typing import Any

import structlog

from echelon.adapters.errors import EchelonError
from echelon.wire.status import code

LONGEST_ERROR = 1024
"""Characters of an error; a vendor may put a whole input into its text."""


def configure(*, level: str = "info") -> None:
    """Send the logs of this process to stderr as JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


class CallLog:
    """Logs how calls end: all failures, and one success in so many."""

    def __init__(self, one_in: int) -> None:
        self._one_in = max(1, one_in)
        self._successes = count()
        self._log: Any = structlog.get_logger("echelon.rpc")

    def succeeded(self, method: str, started: float, request: Any) -> None:
        """A call was answered; `started` is in seconds of `time.perf_counter()`."""
        if next(self._successes) % self._one_in == 0:
            self._log.info("answered", method=method, ms=_since(started), one_in=self._one_in, **_names(request))

    def failed(self, method: str, started: float, request: Any, error: EchelonError) -> None:
        """A call ended with an error of ours."""
        said = {"reason": error.reason, "code": code(error).name, "error": str(error)[:LONGEST_ERROR]}
        self._log.warning("failed", method=method, ms=_since(started), **_names(request), **said)

    def incident(self, incident: str, error: BaseException) -> None:
        """Something raised what nobody planned for."""
        self._log.error("incident", incident=incident, exc_info=error)


def _names(request: Any) -> dict[str, str]:
    """What tells one call from another, for messages that carry a call; the rest is content and stays out."""
    if (call := getattr(request, "call", None)) is not None:
        return {"model": call.model, "request_id": call.request_id}
    # Of the Open Inference Protocol.
    name = getattr(request, "model_name", None)
    return {} if name is None else {"model": name, "request_id": request.id}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
