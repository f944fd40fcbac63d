"""What stands in the log of calls."""

from __future__ import annotations

import time

from structlog.testing import capture_logs

from echelon.adapters.errors import InvalidInputError
from echelon.rpc.log import LONGEST_ERROR, CallLog


def test_an_error_that_quotes_its_whole_input_is_cut() -> None:
    with capture_logs() as lines:
        CallLog(1).failed("Comprehend", time.perf_counter(), None, InvalidInputError("cannot read " + "x" * 5_000_000))
    (line,) = lines
    assert line["error"].startswith("cannot read xxx")
    assert len(line["error"]) == LONGEST_ERROR
