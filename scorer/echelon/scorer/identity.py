"""What makes two runs the same run, and what tells a model from the one of an earlier run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import count
from typing import Any

from echelon.adapters import Card
from echelon.adapters.identity import COMPARED, Identity, device_type, differences, from_card
from echelon.clients import ModelInfo
from echelon.scorer.store import RunRecord
from echelon.scorer.suites.suite import Suite, Task

NOT_ASSERTED = "everything: the server asserts no identity"


def run_id(values: Mapping[str, Any], known: Collection[str] = (), *, new: bool = False) -> str:
    """Return the id of the latest run that `values` (plain) describe and that is `known`.

    With `new`, or where none is known, it is the id of the next one.
    """
    ids = (_digest(_json({**values, "new": number} if number else values)) for number in count())
    latest = ""
    for found in ids:
        if found not in known:
            return found if new or not latest else latest
        latest = found
    raise AssertionError("count() does not end")


def request_id(nonce: str, *words: str) -> str:
    """Return the id of a request within the run of that nonce; the same for every try, also after a crash."""
    return hashlib.blake2b(json.dumps(words).encode(), digest_size=16, key=nonce.encode()).hexdigest()


def card_digest(card: Card) -> str:
    """Return the digest of what in a card can change an answer."""
    # How large a batch pays is measured anew at every start, and one device of a type answers as the next.
    compared = replace(card, max_batch_size=0, device=device_type(card))
    return _digest(json.dumps(asdict(compared), sort_keys=True))


def identity_of(info: ModelInfo) -> Identity:
    """Return the identity that a server asserts, or what the card alone tells of it."""
    return info.identity or from_card(info.card, adapter="", unverified=NOT_ASSERTED)


def is_asserted(identity: Identity) -> bool:
    """Whether a server asserted the identity; otherwise it is no more than the card's."""
    return NOT_ASSERTED not in identity.unverified


def identity_from_plain(values: Mapping[str, Any] | None) -> Identity | None:
    """Return a stored identity; None where the run was stored without one."""
    if values is None:
        return None
    texts = {name: str(values.get(name, "")) for name in ("digest", *COMPARED)}
    return Identity(unverified=tuple(map(str, values.get("unverified", ()))), **texts)


def latest_under_another_identity(record: RunRecord, known: Iterable[RunRecord]) -> RunRecord | None:
    """Return the latest run that differs from `record` in its model's identity alone; `known` is newest first."""
    return next((each for each in known if each.run != record.run and _subject(each) == _subject(record)), None)


def describe_change(before: RunRecord, after: Identity) -> str:
    """Return in words how `after` differs from the identity of a stored run, empty where it does not."""
    identity = identity_from_plain(before.identity)
    if identity is None:
        return "it was stored without its model's identity"
    found = differences(identity, after)
    return f"its model is another one now (changed: {', '.join(found)})" if found else ""


def sample_set(suite: Suite, tasks: Sequence[Task]) -> str:
    """Return the digest of all sample ids of `tasks`."""
    digest = hashlib.sha256()
    for task in tasks:
        for sample in suite.sample_ids(task):
            digest.update(f"{task.id}\n{sample}\n".encode())
    return digest.hexdigest()


def _subject(record: RunRecord) -> tuple[Any, ...]:
    """What two runs have in common that differ in nothing but their model's identity."""
    model = record.card.name or record.target.rpartition("/")[2]
    return record.suite["digest"], tuple(record.suite["tasks"]), model, record.seed, _json(record.settings)


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
