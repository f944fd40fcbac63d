"""One call to a model of Triton: its tensors written, in shared memory or in the message, and read."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Self

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
    """The tensors of one call, and the regions it uses while it is entered."""

    def __init__(self, pb: Any, signature: TritonSignature, regions: Regions | None) -> None:
        self._pb = pb
        self._signature = signature
        self._regions = regions
        self._written: list[Region] = []
        self._read: dict[str, Region] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._regions is not None:
            end = self._regions.give if error is None else self._regions.drop
            for region in (*self._written, *self._read.values()):
                end(region)

    async def request(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], remaining_s: float | None
    ) -> Any:
        """The message for a batch of one."""
        message = self._pb.ModelInferRequest(model_name=self._signature.model, model_version=self._signature.version)
        if remaining_s is not None:
            # So that Triton drops it from its queue as well.
            message.parameters["timeout"].int64_param = max(1, int(remaining_s * 1e6))
        for name, values in feeds.items():
            given = values if self._signature.batched else values[0]
            data_type = NAMES[self._signature.inputs[name].data_type]
            tensor = message.inputs.add(name=name, datatype=data_type, shape=given.shape)
            region = await self._region(given.nbytes) if _is_large(given) else None
            if region is not None:
                self._written.append(region)
                region.buffer[: given.nbytes] = given.data.cast("B")
                _share(tensor, region, given.nbytes)
            else:
                message.raw_input_contents.append(_packed(given) if data_type == "BYTES" else given.tobytes())
        for name in outputs:
            asked, size = message.outputs.add(name=name), self._signature.output_bytes.get(name, 0)
            if size >= LEAST_BYTES and (region := await self._region(size)) is not None:
                self._read[name] = region
                _share(asked, region, size)
        return message

    def results(self, response: Any, outputs: Sequence[str]) -> list[NDArray[Any]]:
        """The named outputs, the batch first."""
        found = {said.name: self._result(said, response, at) for at, said in enumerate(response.outputs)}
        missing = [name for name in outputs if name not in found]
        if missing:
            raise OutputInvalidError(f"Triton's model gave no output {missing[0]!r}")
        return [found[name] for name in outputs]

    async def _region(self, size: int) -> Region | None:
        return None if self._regions is None else await self._regions.take(size)

    def _result(self, said: Any, response: Any, at: int) -> NDArray[Any]:
        import numpy as np

        data_type, shape = DATA_TYPES.get(said.datatype), tuple(said.shape)
        if data_type is None:
            raise OutputInvalidError(f"Triton's model gave {said.datatype} as {said.name!r}, which no route can take")
        region = self._read.get(said.name)
        if region is not None:
            size = prod(shape) * np.dtype(data_type).itemsize
            values = np.frombuffer(bytes(region.buffer[:size]), data_type)
        elif data_type == BYTES:
            values = _unpacked(response.raw_output_contents[at])
        else:
            values = np.frombuffer(response.raw_output_contents[at], data_type)
        if values.size != prod(shape):
            raise OutputInvalidError(
                f"Triton's model gave {said.name!r} with {values.size} elements and the shape {list(shape)}"
            )
        whole = values.reshape(shape)
        return whole if self._signature.batched else whole[None]


def _is_large(values: NDArray[Any]) -> bool:
    return values.dtype != BYTES and values.nbytes >= LEAST_BYTES


def _share(tensor: Any, region: Region, size: int) -> None:
    tensor.parameters["shared_memory_region"].string_param = region.name
    tensor.parameters["shared_memory_byte_size"].int64_param = size


def _packed(values: NDArray[Any]) -> bytes:
    """Texts as they travel: each after its length, in four bytes."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in values.flat)


def _unpacked(data: bytes) -> NDArray[Any]:
    import numpy as np

    elements, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            raise OutputInvalidError("Triton's model gave a text that is cut off")
        elements.append(data[at + 4 : end])
        at = end
    values = np.empty(len(elements), BYTES)
    values[:] = elements
    return values
