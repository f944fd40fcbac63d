"""Specialists behind one name: each request goes, by its instruction, to the model made for it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.baseline import MODELS
from echelon.adapters.calls import Answer, Call
from echelon.adapters.card import CallSupport, Card, Composition
from echelon.adapters.controls.luck import dice
from echelon.adapters.controls.noise import spoilt
from echelon.adapters.errors import SettingsError, UnsupportedError
from echelon.adapters.networks.files import Folder
from echelon.adapters.networks.model import Model
from echelon.adapters.networks.routes import in_order
from echelon.adapters.onnx.session import OnnxEngine, Runtime
from echelon.adapters.settings import load, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from echelon.adapters.calls import Request, Returned

SHIPPED = MODELS / "specialists" / "bundle.yaml"


@dataclass(frozen=True, slots=True)
class BundleRoute:
    """Requests of this call whose instruction has this phrase go to the model in this folder."""

    phrase: str
    call: Call
    folder: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """What bundle.yaml says."""

    routes: tuple[BundleRoute, ...]
    description: str = ""

    def __post_init__(self) -> None:
        if not self.routes:
            raise ValueError("'routes' is empty")


@dataclass(frozen=True, kw_only=True)
class DispatcherSettings(Runtime):
    """`noise` from 0 to 1 makes every answer worse; `composition` is what the card claims."""

    bundle: Path = SHIPPED
    noise: float = 0.0
    seed: int = 0
    composition: Literal["dispatcher", "single"] = "dispatcher"

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise ValueError(f"'noise' is {self.noise}; it must be from 0 to 1")


class Dispatcher(BatchAdapter[DispatcherSettings]):
    """Answers with the first specialist whose phrase the instruction has."""

    def open(self, settings: DispatcherSettings) -> None:
        self._settings = settings
        self._bundle = _read(settings.bundle)
        folders = Folder(settings.bundle.parent, shipped=settings.bundle == SHIPPED)
        engine = OnnxEngine(settings)
        self._models = {
            name: Model(Folder(folders.locate(name), shipped=settings.bundle == SHIPPED), engine)
            for name in dict.fromkeys(route.folder for route in self._bundle.routes)
        }

    def card(self) -> Card:
        cards = [model.card() for model in self._models.values()]
        digests = "".join(card.weights_digest + "\n" for card in cards)
        supports = [support for card in cards for support in card.calls]
        return replace(
            cards[0],
            description=self._bundle.description,
            calls=tuple(_union(call, supports) for call in Call if any(support.call is call for support in supports)),
            deterministic=all(card.deterministic for card in cards),
            weights_digest=f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}",
            precision=", ".join(sorted({card.precision for card in cards if card.precision})),
            device=", ".join(sorted({card.device for card in cards})),
            frame_sampling=next((card.frame_sampling for card in cards if card.frame_sampling), ""),
            composition=Composition(self._settings.composition),
        )

    def probe(self, call: Call) -> Request | None:
        route = next((route for route in self._bundle.routes if route.call is call), None)
        found = None if route is None else self._models[route.folder].probe(call)
        return None if route is None or found is None else replace(found, instruction=route.phrase)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        returned: list[Returned] = [UnsupportedError("no specialist is made for this instruction")] * len(requests)
        places: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            if (folder := self._folder(request)) is not None:
                places.setdefault(folder, []).append(place)
        for folder, mine in places.items():
            outcomes = self._models[folder].answer([requests[place] for place in mine])
            for place, outcome in zip(mine, outcomes, strict=True):
                returned[place] = self._spoilt(outcome, requests[place])
        return returned

    generate = language = comprehend

    def close(self) -> None:
        self._models.clear()

    def _folder(self, request: Request) -> str | None:
        asked = request.instruction.casefold()
        routes = self._bundle.routes
        return next((it.folder for it in routes if it.call is request.call and it.phrase.casefold() in asked), None)

    def _spoilt(self, outcome: Returned, request: Request) -> Returned:
        if not self._settings.noise or not isinstance(outcome, Answer):
            return outcome
        luck = dice(self._settings.seed, request)
        parts = [spoilt(part, self._settings.noise, luck, request) for part in outcome.parts]
        return replace(outcome, parts=tuple(parts))


def _read(path: Path) -> Bundle:
    if not path.exists():
        raise SettingsError(f"there is no bundle {path}")
    return load(Bundle, read_yaml(path), where=str(path))


def _union(call: Call, supports: Iterable[CallSupport]) -> CallSupport:
    mine = [support for support in supports if support.call is call]
    taken = {kind for support in mine for kind in support.input_kinds}
    given = {kind for support in mine for kind in support.output_kinds}
    return CallSupport(call, in_order(taken), in_order(given))
