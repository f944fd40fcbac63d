"""What can change a model's answers: the identity that whoever serves it computes and asserts."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.card import Card

MOST_UNVERIFIED = 32
"""Entries of `unverified`."""
LONGEST_UNVERIFIED = 256
"""Characters of one of them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A model's identity; digests are "sha256:" and 64 hex digits, empty where there is nothing to digest.

    `digest` is over all the other fields but `unverified`; empty means that nobody asserts an identity.
    """

    digest: str = ""
    distribution: str = ""
    """The Python distribution that brings the adapter."""
    distribution_version: str = ""
    adapter: str = ""
    code_digest: str = ""
    """Of the distribution's files, which may change under one version."""
    settings_digest: str = ""
    """Of the effective settings, without secrets and paths."""
    files_digest: str = ""
    """Of the files and folders that the settings name."""
    card_digest: str = ""
    engine: str = ""
    precision: str = ""
    device_type: str = ""
    """The card's device without its number."""
    unverified: tuple[str, ...] = ()
    """What may change answers and is covered by no digest."""


COMPARED = {
    "distribution": "distribution",
    "distribution_version": "distribution version",
    "adapter": "adapter",
    "code_digest": "code",
    "settings_digest": "settings",
    "files_digest": "files",
    "engine": "engine",
    "precision": "precision",
    "device_type": "device type",
    "card_digest": "card",
}
"""The fields that `digest` is over, by what people call them."""


def sealed(identity: Identity) -> Identity:
    """The same identity with its digest, and with its texts cut to what the contract allows."""
    cut = {name: str(getattr(identity, name))[:128] for name in COMPARED}
    unverified = tuple(str(each)[:LONGEST_UNVERIFIED] for each in identity.unverified)[:MOST_UNVERIFIED]
    return Identity(digest=digest_of(cut), unverified=unverified, **cut)


def from_card(card: Card, *, adapter: str, unverified: str) -> Identity:
    """The identity of a model of which nothing but its card is known; `unverified` says why."""
    return sealed(replace(_of_card(card), adapter=adapter, unverified=(unverified,)))


def with_card(identity: Identity, card: Card) -> Identity:
    """`identity`, sealed, with what `card` says."""
    of_card = _of_card(card)
    said = {name: getattr(of_card, name) for name in ("engine", "precision", "device_type", "card_digest")}
    return sealed(replace(identity, **said))


def device_type(card: Card) -> str:
    """The card's device without its number."""
    return re.sub(r":\d+", "", str(card.device))


def _of_card(card: Card) -> Identity:
    device = device_type(card)
    # The name is the server's, and how large a batch pays is measured anew at every start.
    compared = replace(card, name="", max_batch_size=0, device=device)
    return Identity(
        card_digest=digest_of(asdict(compared)), engine=card.engine, precision=card.precision, device_type=device
    )


def combined(identities: Sequence[Identity]) -> Identity:
    """The identity of a model whose instances have these; one that belongs to none of them where they differ."""
    first = identities[0]
    digests = sorted({identity.digest for identity in identities})
    if len(digests) == 1:
        return first
    mixed = f"instances of {len(digests)} identities answer for this model"
    return replace(first, digest=digest_of(digests), unverified=(mixed, *first.unverified)[:MOST_UNVERIFIED])


def differences(before: Identity, after: Identity) -> list[str]:
    """Return in words what differs between two identities; a digest is named without its value."""
    found = []
    for name, word in COMPARED.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            is_digest = name.endswith("_digest")
            found.append(word if is_digest else f"{word} {old or 'undeclared'} -> {new or 'undeclared'}")
    # Another card is named only where it does not follow from what is named already.
    return found[:-1] if len(found) > 1 and found[-1] == COMPARED["card_digest"] else found


def digest_of(values: Any) -> str:
    """The digest of plain values, whatever the order of their keys."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=repr)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
