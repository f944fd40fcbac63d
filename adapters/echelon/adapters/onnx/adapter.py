"""The adapter over a model folder of ONNX networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from echelon.adapters.networks.adapter import ModelAdapter
from echelon.adapters.networks.files import Folder
from echelon.adapters.onnx.session import OnnxEngine, Runtime


@dataclass(frozen=True, kw_only=True)
class OnnxSettings(Runtime):
    """Which model folder to serve, and how to run it."""

    folder: Path


class Onnx(ModelAdapter[OnnxSettings]):
    """Serves the ONNX networks of a model folder."""

    def open(self, settings: OnnxSettings) -> None:
        self._load(Folder(settings.folder), OnnxEngine(settings))
