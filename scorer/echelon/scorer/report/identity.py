"""What is shown of a model's identity, and of whether it repeats itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from echelon.adapters.identity import COMPARED, Identity
from echelon.scorer.identity import is_asserted
from echelon.scorer.results import RunResult
from echelon.scorer.stability import Stability

ASSERTED = "asserted by its server, not attested"
UNKNOWN = "unverified: none is stored"
FROM_CARD = "of the card alone, unverified"
_SHOWN = 19
"""Characters of a digest, its algorithm included, that text and page show."""


def as_plain(identity: Identity | None) -> dict[str, Any] | None:
    """Return the identity as JSON values."""
    if identity is None:
        return None
    digests = {name: getattr(identity, name) for name in ("digest", *COMPARED)}
    status = "asserted" if is_asserted(identity) else "unverified"
    return {"status": status, **digests, "unverified": list(identity.unverified)}


def rows(identity: Identity | None) -> Iterator[tuple[str, str]]:
    """Yield what is shown of an identity, each with its name; what nothing covers as *unverified*."""
    if identity is None:
        yield "identity", UNKNOWN
        return
    yield "identity", f"{identity.digest[:_SHOWN]}, {ASSERTED if is_asserted(identity) else FROM_CARD}"
    brought_by = filter(None, (identity.adapter, "of", identity.distribution, identity.distribution_version))
    yield "adapter", " ".join(brought_by)
    for name in ("code_digest", "settings_digest", "files_digest"):
        yield COMPARED[name], getattr(identity, name)[:_SHOWN] or "none"
    yield "unverified", "; ".join(identity.unverified) or "nothing known"


def stability_as_plain(result: RunResult) -> dict[str, Any] | None:
    """Return what the probes found as JSON values."""
    found = result.stability
    return None if found is None else {**asdict(found), "compared": found.compared, "note": stability(result)}


def stability(result: RunResult) -> str:
    """Return in one sentence what the probes of a run found, and whether it contradicts the card."""
    return in_words(result.stability, deterministic=result.card.deterministic)


def in_words(found: Stability | None, *, deterministic: bool) -> str:
    """Return in one sentence what probes found; `deterministic` is what the card says."""
    if found is None:
        return "not probed"
    if not found.compared:
        return f"{found.started} probes asked at the start, not yet at the end"
    repeated = f"{found.repeated} of {found.compared} probes repeated bit for bit"
    differed = _differences(found)
    if not differed:
        return repeated
    contradiction = ", which contradicts the card: it says deterministic" if deterministic else ""
    return f"{repeated}; {differed}{contradiction}"


def _differences(found: Stability) -> str:
    unstable = f"{found.unstable} differed within a moment: not deterministic" if found.unstable else ""
    drifted = f"{found.drifted} differed between start and end alone: drift" if found.drifted else ""
    return "; ".join(filter(None, (unstable, drifted)))
