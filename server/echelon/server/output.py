"""What an adapter returns is checked before it reaches the wire."""

from __future__ import annotations

from typing import Any

from echelon.adapters import Answer, Card, Mesh, Part, PointCloud, Refusal, Request, Tensor
from echelon.adapters.errors import EchelonError, OutputInvalidError


def check_outcome(outcome: Any, request: Request, card: Card) -> None:
    """Raise OutputInvalidError unless `outcome` is an answer or refusal that card and request allow."""
    if isinstance(outcome, Refusal):
        return
    if not isinstance(outcome, Answer):
        raise OutputInvalidError(f"the adapter returned {type(outcome).__name__}, neither Answer nor Refusal")
    support = card.support(request.call)
    allowed = request.output_kinds or (support.output_kinds if support is not None else ())
    for part in outcome.parts:
        if not isinstance(part, Part):
            raise OutputInvalidError(f"the adapter returned {type(part).__name__} as a part")
        if part.kind not in allowed:
            raise OutputInvalidError(f"the adapter returned {part.kind}, asked for {' or '.join(allowed)}")
        if isinstance(part, Tensor | PointCloud | Mesh):
            _check_finite(part)


def _check_finite(part: Tensor | PointCloud | Mesh) -> None:
    import numpy as np

    try:
        values: Any = part.array()
    except EchelonError as error:
        raise OutputInvalidError(f"the adapter returned a broken {part.kind}: {error}") from error
    values = values[0] if isinstance(part, Mesh) else values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise OutputInvalidError(f"the adapter returned a {part.kind} with NaN or infinite values")
