"""Which modules to serve, and how they run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from echelon.adapters.settings import NO_IDENTITY

DataType = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TorchSettings:
    """Which model folder to serve, and how its modules run."""

    folder: Path
    device: str = field(default="auto", metadata=NO_IDENTITY)
    """`auto` is the first GPU, or the CPU where there is none."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """What weights and floating inputs are cast to."""
    compile: str | None = None
    """Through torch.compile with this backend: `inductor`, which needs a C++ compiler on the CPU, or another one."""
    cuda_graphs: bool = False
    """Record each batch size once and play it back; batches are filled up to a power of two."""
    threads: int | None = None
    """Of this whole process, on the CPU; PyTorch's own choice by default."""
    memory_gib: float | None = field(default=None, metadata=NO_IDENTITY)
    """What this process may take of the GPU's memory."""

    def __post_init__(self) -> None:
        if self.compile is not None and self.cuda_graphs:
            raise ValueError("'compile' and 'cuda_graphs' exclude each other")


@dataclass(frozen=True, slots=True)
class InputEntry:
    """An argument of `forward`: its element type, and its shape without the batch; null is any length."""

    data_type: DataType
    shape: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class ModuleEntry:
    """What a manifest says of a network: a module by its import path, and the file with its weights."""

    module: str
    weights: str
    inputs: dict[str, InputEntry]
    outputs: tuple[str, ...]
    """Names for what `forward` returns: a tensor, several in their order, or a dictionary with these keys."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """What the module is made with."""

    def __post_init__(self) -> None:
        if not self.inputs or not self.outputs:
            raise ValueError("'inputs' and 'outputs' name at least one each")
        if self.module.count(":") != 1:
            raise ValueError("'module' is package.module:Class")
