"""The adapter over a model folder of PyTorch modules."""

from __future__ import annotations

from echelon.adapters.networks.adapter import ModelAdapter
from echelon.adapters.networks.files import Folder
from echelon.adapters.torch.module import TorchEngine
from echelon.adapters.torch.settings import TorchSettings


class Torch(ModelAdapter[TorchSettings]):
    """Serves the PyTorch modules of a model folder."""

    def open(self, settings: TorchSettings) -> None:
        self._load(Folder(settings.folder), TorchEngine(settings))
