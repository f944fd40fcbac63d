"""What a model of Triton takes and gives, as Triton itself says."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import SettingsError
from echelon.adapters.networks.network import BYTES, Port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from echelon.adapters.triton.connection import Connection
    from echelon.adapters.triton.settings import TritonModel

DATA_TYPES = {
    "BOOL": "bool",
    "BYTES": BYTES,
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    **{f"{sign.upper()}INT{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""numpy's names for Triton's element types; BF16 has none."""
NAMES = {ours: theirs for theirs, ours in DATA_TYPES.items()}


@dataclass(frozen=True, slots=True)
class TritonSignature:
    """One version of a model; ports have the batch as their first axis, which an unbatched model never sees."""

    model: str
    version: str
    inputs: Mapping[str, Port]
    outputs: tuple[str, ...]
    output_bytes: Mapping[str, int]
    """The bytes of one item of an output, where they are known beforehand."""
    batched: bool
    decoupled: bool
    device: str


def read(connection: Connection, said: TritonModel, where: str) -> TritonSignature:
    """The signature of a model that is ready; SettingsError where no route could use it."""
    pb = connection.pb
    metadata = connection.call("ModelMetadata", pb.ModelMetadataRequest(name=said.model, version=said.version))
    version = said.version or _newest(metadata.versions, where)
    config = connection.call("ModelConfig", pb.ModelConfigRequest(name=said.model, version=version)).config
    if config.HasField("sequence_batching"):
        raise SettingsError(f"{where}: Triton's model {said.model!r} keeps a state between calls, which no route can")
    batched = config.max_batch_size > 0
    outputs = {port.name: port for port in (_port(tensor, where, batched=batched) for tensor in metadata.outputs)}
    return TritonSignature(
        said.model,
        version,
        {port.name: port for port in (_port(tensor, where, batched=batched) for tensor in metadata.inputs)},
        tuple(outputs),
        {name: size for name, port in outputs.items() if (size := _item_bytes(port))},
        batched,
        config.model_transaction_policy.decoupled,
        _device(config),
    )


def _newest(versions: Any, where: str) -> str:
    numbers = [int(version) for version in versions]
    if not numbers:
        raise SettingsError(f"{where}: Triton serves no version of the model")
    return str(max(numbers))


def _port(tensor: Any, where: str, *, batched: bool) -> Port:
    if tensor.datatype not in DATA_TYPES:
        raise SettingsError(f"{where}: its tensor {tensor.name!r} is {tensor.datatype}, which no route can take")
    lengths = [None if length < 0 else length for length in tensor.shape]
    shape = (None, *lengths[1:]) if batched else (1, *lengths)
    return Port(tensor.name, DATA_TYPES[tensor.datatype], shape)


def _item_bytes(port: Port) -> int:
    import numpy as np

    known = [length for length in port.item if length is not None]
    if port.data_type == BYTES or len(known) < len(port.item):
        return 0
    return prod(known) * np.dtype(port.data_type).itemsize


def _device(config: Any) -> str:
    """As cards name it; empty where the model's own code decides."""
    found: set[str] = set()
    for group in config.instance_group:
        kind = group.Kind.Name(group.kind)
        if kind == "KIND_GPU":
            found.update(f"cuda:{number}" for number in group.gpus)
        elif kind == "KIND_CPU":
            found.add("cpu")
    return ", ".join(sorted(found))
