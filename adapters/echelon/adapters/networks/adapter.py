"""The adapter over a model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters.adapter import BatchAdapter, SettingsT
from echelon.adapters.networks.model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.calls import Call, Request, Returned
    from echelon.adapters.card import Card
    from echelon.adapters.networks.files import Folder
    from echelon.adapters.networks.network import Engine


class ModelAdapter(BatchAdapter[SettingsT]):
    """Serves one loaded model folder; which one and on what engine, the class decides that derives from it."""

    def _load(self, folder: Folder, engine: Engine) -> None:
        self._model = Model(folder, engine)

    def card(self) -> Card:
        return self._model.card()

    def probe(self, call: Call) -> Request | None:
        return self._model.probe(call)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return self._model.answer(requests)

    generate = language = comprehend

    def close(self) -> None:
        del self._model
