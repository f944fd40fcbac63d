"""How large a batch pays, measured with the model itself when it loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from echelon.adapters import EchelonError, Request, Returned

SIZES = (1, 2, 4, 8, 16, 32, 64)
PAYS = 1.15
"""Batching must gain at least this factor, or it is switched off."""
BUDGET_S = 1.0
_REPEATS = 3

Run = Callable[[Sequence[Request]], Sequence[Returned]]


def warm_up(run: Run, probe: Request) -> None:
    """Run `probe` alone; raises what the model raises."""
    _rate(run, probe, 1)


def best_batch_size(run: Run, probe: Request) -> int:
    """The smallest size within 5 % of the best throughput, or 1 where batching does not pay."""
    rates = {1: _rate(run, probe, 1)}
    started = perf_counter()
    for size in SIZES[1:]:
        if perf_counter() - started > BUDGET_S:
            break
        try:
            rates[size] = _rate(run, probe, size)
        # The model works, only not at this size: out of memory, say.
        except Exception:  # noqa: BLE001  (see above)
            break
    best = max(rates.values())
    if best < PAYS * rates[1]:
        return 1
    return next(size for size, rate in rates.items() if rate >= 0.95 * best)


def _rate(run: Run, probe: Request, size: int) -> float:
    batch = [probe] * size
    fastest = float("inf")
    for _ in range(_REPEATS):
        started = perf_counter()
        returned = run(batch)
        fastest = min(fastest, perf_counter() - started)
        for item in returned:
            if isinstance(item, EchelonError):
                raise item
    return size / fastest
