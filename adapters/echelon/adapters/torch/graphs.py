"""CUDA graphs: what a module does for one batch size, recorded once and played back."""

from __future__ import annotations

from typing import Any

MOST = 32
"""Recordings that are kept; whatever else comes runs as it is."""
WARM_UPS = 3


class Graphs:
    """A module whose work on the GPU is recorded for each shape of its inputs, batches filled up to a power of two."""

    def __init__(self, module: Any, torch: Any) -> None:
        self._module = module
        self._torch = torch
        self._recorded: dict[Any, _Recording] = {}

    def __call__(self, **inputs: Any) -> Any:
        """What the module returns for a batch."""
        count = len(next(iter(inputs.values())))
        room = 1 << (count - 1).bit_length()
        key = (room, *((name, tensor.dtype, tensor.shape[1:]) for name, tensor in inputs.items()))
        recording = self._recorded.get(key)
        if recording is None:
            if len(self._recorded) >= MOST:
                return self._module(**inputs)
            recording = self._recorded[key] = _Recording(self._module, inputs, room, self._torch)
        return recording.play(inputs, count)


class _Recording:
    def __init__(self, module: Any, inputs: dict[str, Any], room: int, torch: Any) -> None:
        self._inputs = {
            name: torch.zeros((room, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
            for name, tensor in inputs.items()
        }
        for name, tensor in inputs.items():
            self._inputs[name][: len(tensor)].copy_(tensor)
        # What a module does only once, choosing kernels say, must not be in the recording.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                module(**self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outputs = module(**self._inputs)

    def play(self, inputs: dict[str, Any], count: int) -> Any:
        for name, tensor in inputs.items():
            self._inputs[name][:count].copy_(tensor, non_blocking=True)
        self._graph.replay()
        # Copies: the next call writes over what was recorded.
        if isinstance(self._outputs, dict):
            return {name: tensor[:count].clone() for name, tensor in self._outputs.items()}
        several = self._outputs if isinstance(self._outputs, list | tuple) else (self._outputs,)
        return [tensor[:count].clone() for tensor in several]
