"""The adapter over a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.card import Card
from echelon.adapters.content import Kind
from echelon.adapters.pytorch import Ceiling, release
from echelon.adapters.transformers.abilities import abilities_of
from echelon.adapters.transformers.checkpoint import load
from echelon.adapters.transformers.offers import check_kinds
from echelon.adapters.transformers.settings import TransformersSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from echelon.adapters.calls import Call, Outcome, Request, Returned
    from echelon.adapters.transformers.ability import Ability


class Transformers(BatchAdapter[TransformersSettings]):
    """Serves one checkpoint of Hugging Face transformers."""

    def open(self, settings: TransformersSettings) -> None:
        self._settings = settings
        self._checkpoint = load(settings)
        abilities = abilities_of(self._checkpoint, settings, Ceiling())
        self._abilities: dict[Call, Ability] = {
            support.call: ability for ability in abilities for support in ability.supports
        }
        self._supports = tuple(support for ability in abilities for support in ability.supports)
        check_kinds(self._supports, settings)

    def card(self) -> Card:
        checkpoint, settings = self._checkpoint, self._settings
        return Card(
            checkpoint.version,
            self._supports,
            settings.description or checkpoint.architecture,
            settings.deterministic,
            f"sha256:{checkpoint.digest}",
            checkpoint.engine,
            str(checkpoint.model.dtype).removeprefix("torch."),
            str(checkpoint.device),
            f"{settings.video_frames} frames, evenly" if self._takes(Kind.VIDEO) else "",
            settings.composition,
        )

    def probe(self, call: Call) -> Request | None:
        return self._abilities[call].probe(call)

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return self._abilities[requests[0].call].answer(requests)

    generate = language = comprehend

    def stream_language(self, request: Request) -> Iterator[str | Outcome] | None:
        return self._abilities[request.call].stream(request)

    def close(self) -> None:
        del self._checkpoint, self._abilities
        release()

    def _takes(self, kind: Kind) -> bool:
        return any(kind in support.input_kinds for support in self._supports)
