"""The adapter over a model folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echelon.adapters.adapter import BatchAdapter, SettingsT
from echelon.adapters.onnx.files import Folder
from echelon.adapters.onnx.model import Model
from echelon.adapters.onnx.session import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.calls import Call, Request, Returned
    from echelon.adapters.card import Card


@dataclass(frozen=True, kw_only=True)
class OnnxSettings(Runtime):
    """Which model folder to serve, and how to run it."""

    folder: Path


class ModelAdapter(BatchAdapter[SettingsT]):
    """Serves one loaded model folder; which one, the class decides that derives from it."""

    def _load(self, folder: Folder, runtime: Runtime) -> None:
        self._model = Model(folder, runtime)

    def card(self) -> Card:
        return self._model.card()

    def probe(self, call: Call) -> Request | None:
        return self._model.probe(call)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return self._model.answer(requests)

    generate = language = comprehend

    def close(self) -> None:
        del self._model


class Onnx(ModelAdapter[OnnxSettings]):
    """Serves the ONNX networks of a model folder."""

    def open(self, settings: OnnxSettings) -> None:
        self._load(Folder(settings.folder), settings)
