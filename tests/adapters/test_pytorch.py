"""Batches that fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest
import torch

from echelon.adapters.errors import OutOfMemoryError
from echelon.adapters.pytorch import Ceiling, is_out_of_memory


def hungry(most: int) -> tuple[list[int], Callable[[Sequence[int]], list[int]]]:
    """Work that needs more memory than any machine has for more than `most` items, and the sizes it was tried with."""
    sizes: list[int] = []

    def work(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > most:
            torch.empty(2**50)
        return [item * 10 for item in items]

    return sizes, work


def test_what_fits_runs_at_once() -> None:
    sizes, work = hungry(8)
    assert Ceiling().run([1, 2, 3], work) == [10, 20, 30]
    assert sizes == [3]


def test_out_of_memory_halves_the_batch_and_lowers_the_ceiling(caplog: pytest.LogCaptureFixture) -> None:
    sizes, work = hungry(4)
    ceiling = Ceiling()
    with caplog.at_level(logging.WARNING):
        assert ceiling.run(list(range(8)), work) == list(range(0, 80, 10))
    assert sizes == [8, 4, 4]
    assert "out of memory with 8 items at once; from now on 4 at most" in caplog.text
    assert ceiling.run(list(range(6)), work) == list(range(0, 60, 10))
    assert sizes[3:] == [4, 2]


def test_a_batch_is_halved_until_it_fits() -> None:
    sizes, work = hungry(2)
    ceiling = Ceiling()
    assert ceiling.run(list(range(8)), work) == list(range(0, 80, 10))
    assert (sizes, ceiling.most) == ([8, 4, 2, 2, 2, 2], 2)


def test_an_item_that_does_not_fit_alone_costs_the_others_nothing() -> None:
    sizes: list[int] = []

    def work(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if 13 in items:
            torch.empty(2**50)
        return [item * 10 for item in items]

    ceiling = Ceiling()
    *before, failed, last = ceiling.run([1, 2, 3, 13, 4], work)
    assert (before, last) == ([10, 20, 30], 40)
    assert isinstance(failed, OutOfMemoryError)
    assert sizes == [5, 2, 2, 1, 1, 1]
    assert ceiling.most is None
    assert ceiling.run([1, 2, 3], work) == [10, 20, 30]


def test_other_errors_pass() -> None:
    def work(items: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Ceiling().run([1, 2], work)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
