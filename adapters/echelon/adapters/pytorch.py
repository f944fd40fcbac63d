"""What every adapter on PyTorch needs: the module itself, a device, and batches that fit into memory."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from echelon.adapters.errors import MissingExtraError, OutOfMemoryError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def import_torch(extra: str) -> Any:
    """The module; MissingExtraError, which names the extra, without it."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", extra) from error
    return torch


def device_of(wanted: str, torch: Any) -> Any:
    """The device called `wanted`, the best one for "auto"; SettingsError where it is not there."""
    if wanted == "auto":
        wanted = "cuda:0" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    # An unknown name, an index too high, a build without CUDA: each raises another class.
    except Exception as error:
        raise SettingsError(f"'device' is {wanted!r}, which this PyTorch cannot use: {_first_line(error)}") from error
    return device


def limit_memory(gib: float | None, device: Any, torch: Any) -> None:
    """Let this process take so much of the GPU's memory at most; SettingsError where the device is none."""
    if gib is None:
        return
    if device.type != "cuda":
        raise SettingsError(
            f"'memory_gib' is for GPUs, and the device is {device}; isolation limits what the CPU's may be"
        )
    whole = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, gib * 2**30 / whole), device)


def make_deterministic(torch: Any) -> None:
    """Have PyTorch, in this whole process, use only operations that repeat their results, or raise."""
    import os

    # CUDA's matrix products need it, set before the first of them.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch raised `error` because a device, or the host, has no memory left."""
    import torch

    # The host's allocator has no error class of its own.
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


class Ceiling:
    """How many items share a run: all of them, until memory runs out; then half, and later runs take no more."""

    def __init__(self) -> None:
        self.most: int | None = None

    def run(
        self, items: Sequence[ItemT], work: Callable[[Sequence[ItemT]], Sequence[ResultT]]
    ) -> list[ResultT | OutOfMemoryError]:
        """What `work` gives for all `items`, a batch after the other; the error for one that does not even fit alone.

        A batch that runs out of memory is halved until it fits.
        """
        results: list[ResultT | OutOfMemoryError] = []
        usual = size = self.most or len(items)
        while len(results) < len(items):
            batch = items[len(results) : len(results) + size]
            made = _tried(batch, work)
            if made is not None:
                results += made
                continue
            release()
            if len(batch) > 1:
                size = len(batch) // 2
                continue
            results.append(OutOfMemoryError("the model's device has not enough memory for this call"))
            size = usual  # it was too large, and not their number
        if size < usual:
            self.most = size
            log.warning("out of memory with %d items at once; from now on %d at most", usual, size)
        return results


def _tried(batch: Sequence[ItemT], work: Callable[[Sequence[ItemT]], Sequence[ResultT]]) -> Sequence[ResultT] | None:
    """What `work` gives; None where memory ran out, and then nothing holds on to what it had taken."""
    try:
        return work(batch)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def release() -> None:
    """Give the device's memory back that nothing holds any more."""
    import torch

    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
