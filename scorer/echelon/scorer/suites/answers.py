"""The answer key of a suite, for the control that knows every answer."""

from __future__ import annotations

from pathlib import Path

from echelon.adapters.controls.oracle import answer_line
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Suite


def write_answers(suite: Suite, path: Path) -> None:
    """Write, a line for each sample, its first reference as the answer to its request.

    The file tells all answers of a closed set: it belongs to whoever holds the references.
    """
    with path.open("w", encoding="utf-8") as file:
        for task in suite.tasks:
            for sample in (each for each in suite.samples(task) if each.references):
                # The digest leaves sampling out, so that one key serves every seed.
                file.write(answer_line(request_of(task, sample, None), sample.references[0]) + "\n")
