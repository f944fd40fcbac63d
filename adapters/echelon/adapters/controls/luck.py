"""Randomness that is the same whenever the same is asked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from echelon.adapters.plain import request_digest

if TYPE_CHECKING:
    import numpy as np

    from echelon.adapters.calls import Request


def dice(seed: int, request: Request) -> np.random.Generator:
    """A generator that depends on the seed and the request's content alone."""
    import numpy as np

    told = hashlib.sha256(f"{seed} {request_digest(request)}".encode())
    return np.random.default_rng(int.from_bytes(told.digest(), "big"))
