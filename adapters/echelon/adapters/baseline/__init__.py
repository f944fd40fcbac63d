"""The models that come with Echelon: small ONNX networks that the project trained itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from echelon.adapters.errors import SettingsError
from echelon.adapters.networks.adapter import ModelAdapter
from echelon.adapters.networks.files import Folder
from echelon.adapters.networks.manifest import FILE
from echelon.adapters.onnx.session import OnnxEngine, Runtime
from echelon.adapters.settings import nearest

__all__ = ["MODELS", "Baseline", "BaselineSettings", "shipped"]

MODELS = Path(__file__).parent / "models"
"""Where they lie: a model folder each, and the specialists together in one."""


@dataclass(frozen=True, kw_only=True)
class BaselineSettings(Runtime):
    """Which of the shipped models to serve, and how to run it."""

    model: str


class Baseline(ModelAdapter[BaselineSettings]):
    """Serves a model that comes with Echelon."""

    def open(self, settings: BaselineSettings) -> None:
        there = shipped()
        if settings.model not in there:
            raise SettingsError(f"there is no baseline model {settings.model!r}{nearest(settings.model, there)}")
        self._load(Folder(MODELS / settings.model, shipped=True), OnnxEngine(settings))


def shipped() -> tuple[str, ...]:
    """The names of the models: their folders' paths below MODELS."""
    return tuple(sorted(found.parent.relative_to(MODELS).as_posix() for found in MODELS.rglob(FILE)))
