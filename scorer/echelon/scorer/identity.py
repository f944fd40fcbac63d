"""What makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from echelon.adapters import Card
from echelon.scorer.suites.suite import Suite, Task


def run_id(identity: Mapping[str, Any]) -> str:
    """The id of the run that `identity` (plain values) describes."""
    return _digest(json.dumps(identity, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def card_digest(card: Card) -> str:
    """What of a card can change an answer."""
    # How large a batch pays is measured anew at every start.
    return _digest(json.dumps(asdict(replace(card, max_batch_size=0)), sort_keys=True))


def sample_set(suite: Suite, tasks: Sequence[Task]) -> str:
    """The digest of all sample ids of `tasks`."""
    digest = hashlib.sha256()
    for task in tasks:
        for sample in suite.sample_ids(task):
            digest.update(f"{task.id}\n{sample}\n".encode())
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
