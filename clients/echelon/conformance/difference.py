"""Whether two outcomes say the same, to the bit or nearly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import Answer, Outcome, Refusal
from echelon.adapters.content import Audio, Image, Mask, Mesh, Part, PointCloud, Tensor, Video
from echelon.adapters.errors import EchelonError
from echelon.adapters.plain import to_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN, _BEFORE = 60, 20
_SCALES: Mapping[type[Part], float] = {Image: 255.0, Video: 255.0, Mask: 0.0, Audio: 1.0, Tensor: 1.0}
"""What a tolerance is relative to near 0, where values have a range of their own; a mask's must be equal."""


def difference(first: Outcome, second: Outcome | EchelonError, tolerance: float = 0.0) -> str:
    """What tells the second from the first, in words; empty where they say the same. Usage is not compared."""
    if isinstance(second, EchelonError):
        return f"first an answer, then {second.reason}"
    if isinstance(first, Refusal) or isinstance(second, Refusal):
        return "" if type(first) is type(second) else "one is a refusal"
    return _parts(first, second, tolerance)


def _parts(first: Answer, second: Answer, tolerance: float) -> str:
    kinds = [[str(part.kind) for part in answer.parts] for answer in (first, second)]
    if kinds[0] != kinds[1]:
        return f"parts {', '.join(kinds[0])} and {', '.join(kinds[1])}"
    for one, other in zip(first.parts, second.parts, strict=True):
        if one != other and not (tolerance and _close(one, other, tolerance)):
            return _shown(one, other)
    return ""


def _close(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= tolerance * max(1.0, abs(one), abs(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, Image | Audio | Video | PointCloud | Mesh | Mask | Tensor):
        return _close_arrays(one, other, tolerance)
    if is_dataclass(one):
        return all(_close(getattr(one, each.name), getattr(other, each.name), tolerance) for each in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(_close(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _close_arrays(one: Any, other: Any, tolerance: float) -> bool:
    import numpy as np

    scale = _SCALES.get(type(one), 1.0)
    try:
        pairs = list(zip(_arrays(one), _arrays(other), strict=True))
    except EchelonError:  # of a type that nobody here decodes
        return False
    return all(
        a.shape == b.shape and np.allclose(a.astype(float), b.astype(float), tolerance, tolerance * scale)
        for a, b in pairs
    )


def _arrays(part: Any) -> Sequence[NDArray[Any]]:
    import numpy as np

    values = part.array()
    return [np.asarray(value) for value in values] if isinstance(values, tuple) else [values]


def _shown(one: Part, other: Part) -> str:
    """Both, from shortly before the place where they part."""
    texts = [json.dumps(to_plain(part), ensure_ascii=False) for part in (one, other)]
    pairs = enumerate(zip(*texts, strict=False))
    begin = max(0, next((place for place, (a, b) in pairs if a != b), 0) - _BEFORE)
    return " and ".join(("..." if begin else "") + text[begin : begin + _SHOWN] for text in texts)
