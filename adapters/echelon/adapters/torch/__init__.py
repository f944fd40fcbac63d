"""Serves PyTorch modules from a model folder; docs/torch.md says how."""

from echelon.adapters.torch.adapter import Torch
from echelon.adapters.torch.settings import TorchSettings

__all__ = ["Torch", "TorchSettings"]
