"""Zero-shot classification: which of the labels an image looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.content import Choice, Kind, Part, ScoredLabel
from echelon.adapters.transformers.glance import Glance, Look

if TYPE_CHECKING:
    from collections.abc import Sequence


class Matcher(Glance):
    """Gives the labels, best first; their scores add up to 1."""

    gives = Kind.CHOICE
    probe_labels = ("cat", "dog")

    def read(self, image: Any, phrases: tuple[str, ...]) -> dict[str, Any]:
        texts = [self._settings.match_text.replace("{label}", phrase) for phrase in phrases]
        return dict(
            self._checkpoint.processor(
                text=texts, images=[image], padding="max_length", truncation=True, return_tensors="pt"
            )
        )

    def parts(self, outputs: Any, tensors: dict[str, Any], looks: Sequence[Look]) -> Sequence[Part]:
        # Each image is compared with the texts of all; only its own count.
        own = outputs.logits_per_image.split([len(look.phrases) for look in looks], dim=1)
        return [_choice(logits[place], look) for place, (logits, look) in enumerate(zip(own, looks, strict=True))]


def _choice(logits: Any, look: Look) -> Choice:
    scores = logits.double().softmax(-1).tolist()
    best = sorted(zip(look.phrases, scores, strict=True), key=lambda pair: -pair[1])
    return Choice(tuple(ScoredLabel(label, score) for label, score in best))
