"""The answer key of a suite, for the control that knows every answer."""

from __future__ import annotations

import json
from pathlib import Path

from echelon.adapters.plain import request_digest, to_plain
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Suite


def write_answers(suite: Suite, path: Path) -> None:
    """Write each sample's first reference under the digest of its request, a line of JSON each.

    The file tells all answers of a closed set: it belongs to whoever holds the references.
    """
    with path.open("w", encoding="utf-8") as file:
        for task in suite.tasks:
            for sample in suite.samples(task):
                # The digest leaves sampling out, so one key serves every seed.
                digest = request_digest(request_of(task, sample, None))
                file.write(json.dumps({"digest": digest, "answer": to_plain(sample.references[0])}) + "\n")
