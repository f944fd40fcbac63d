"""What an adapter returns is checked before it reaches the wire."""

from __future__ import annotations

from typing import Any

from echelon.adapters import Answer, Card, Mesh, Outcome, Part, PointCloud, Refusal, Request, Tensor
from echelon.adapters.errors import EchelonError, OutputInvalidError


def check_outcome(outcome: Any, request: Request, card: Card) -> Outcome:
    """`outcome`, if it is an answer or refusal that card and request allow, else OutputInvalidError."""
    if isinstance(outcome, Refusal):
        return outcome
    if not isinstance(outcome, Answer):
        raise OutputInvalidError(f"the adapter returned {type(outcome).__name__}, neither Answer nor Refusal")
    if not isinstance(outcome.parts, tuple | list):
        raise OutputInvalidError(f"the adapter returned {type(outcome.parts).__name__} as the parts of an answer")
    support = card.support(request.call)
    carded = support.output_kinds if support is not None else ()
    allowed = [kind for kind in request.output_kinds if kind in carded] or carded
    for part in outcome.parts:
        if not isinstance(part, Part):
            raise OutputInvalidError(f"the adapter returned {type(part).__name__} as a part")
        if part.kind not in allowed:
            raise OutputInvalidError(f"the adapter returned {part.kind}, asked for {' or '.join(allowed)}")
        if isinstance(part, Tensor | PointCloud | Mesh):
            _check_finite(part)
    return outcome


def _check_finite(part: Tensor | PointCloud | Mesh) -> None:
    import numpy as np

    try:
        values: Any = part.array()
    except EchelonError as error:
        raise OutputInvalidError(f"the adapter returned a broken {part.kind}: {error}") from error
    values = values[0] if isinstance(part, Mesh) else values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise OutputInvalidError(f"the adapter returned a {part.kind} with NaN or infinite values")
