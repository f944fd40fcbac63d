"""One call to a model of Triton: its tensors written, in shared memory or in the message, and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import OutputInvalidError
from echelon.adapters.networks.network import BYTES
from echelon.adapters.triton.memory import LEAST_BYTES
from echelon.adapters.triton.signature import DATA_TYPES, NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.triton.memory import Region, Regions
    from echelon.adapters.triton.signature import TritonSignature


class TritonCall:
    """The tensors of one call; give its regions back with `end`."""

    def __init__(self, triton: Any, signature: TritonSignature, regions: Regions | None) -> None:
        self._triton = triton
        self._signature = signature
        self._regions = regions
        self._written: list[Region] = []
        self._read: dict[str, Region] = {}

    @property
    def shared(self) -> bool:
        """Whether a tensor of it lies in shared memory."""
        return bool(self._written or self._read)

    async def inputs(self, feeds: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Triton's inputs for a batch of one."""
        return [await self._input(name, values) for name, values in feeds.items()]

    async def outputs(self, names: Sequence[str]) -> list[Any]:
        """What to ask for."""
        return [await self._output(name) for name in names]

    def results(self, result: Any, names: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs, the batch first."""
        return [self._result(result, name) for name in names]

    def end(self, *, done: bool) -> None:
        """Give the regions back; `done` says that Triton has answered."""
        for region in (*self._written, *self._read.values()):
            assert self._regions is not None
            self._regions.give(region, done=done)

    async def _input(self, name: str, values: NDArray[Any]) -> Any:
        taken = values if self._signature.batched else values[0]
        data_type = NAMES[self._signature.inputs[name].data_type]
        tensor = self._triton.InferInput(name, taken.shape, data_type)
        region = None if data_type == "BYTES" else await self._region(taken.nbytes)
        if region is None:
            return tensor.set_data_from_numpy(taken)
        self._written.append(region)
        region.buffer[: taken.nbytes] = taken.data.cast("B")
        return tensor.set_shared_memory(region.name, taken.nbytes)

    async def _output(self, name: str) -> Any:
        asked = self._triton.InferRequestedOutput(name)
        size = self._signature.output_bytes.get(name, 0)
        region = await self._region(size)
        if region is not None:
            self._read[name] = region
            asked.set_shared_memory(region.name, size)
        return asked

    async def _region(self, size: int) -> Region | None:
        if self._regions is None or size < LEAST_BYTES:
            return None
        return await self._regions.take(size)

    def _result(self, result: Any, name: str) -> NDArray[Any]:
        import numpy as np

        said = result.get_output(name)
        if said is None or said.datatype not in DATA_TYPES:
            raise OutputInvalidError(f"Triton's model gave no output {name!r} that a route can take")
        region = self._read.get(name)
        if region is None:
            values = result.as_numpy(name)
        else:
            shape, data_type = tuple(said.shape), np.dtype(DATA_TYPES[said.datatype])
            count = int(np.prod(shape, dtype=np.int64))
            values = np.frombuffer(bytes(region.buffer[: count * data_type.itemsize]), data_type).reshape(shape)
        whole: NDArray[Any] = values if self._signature.batched else values[None]
        return whole.astype(BYTES) if whole.dtype.kind == "S" else whole
