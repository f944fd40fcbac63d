"""Segmentation by text: a mask of what phrases name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.content import Kind, Mask, Part
from echelon.adapters.transformers.glance import Glance, Look

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKGROUND = "background"
"""The label of what is none of the others."""


class Segmenter(Glance):
    """Gives, for labels, the place in their list of the likeliest one; for a text, 1 where it is seen."""

    gives = Kind.MASK

    def read(self, image: Any, phrases: tuple[str, ...]) -> dict[str, Any]:
        sought = [phrase for phrase in phrases if phrase != BACKGROUND] or list(phrases)
        return dict(
            self._checkpoint.processor(
                text=sought, images=[image] * len(sought), padding="max_length", truncation=True, return_tensors="pt"
            )
        )

    def parts(self, outputs: Any, tensors: dict[str, Any], looks: Sequence[Look]) -> Sequence[Part]:
        rows = [len(look.read.tensors["input_ids"]) for look in looks]
        logits = outputs.logits.reshape(sum(rows), *outputs.logits.shape[-2:])
        return [self._mask(part, look) for part, look in zip(logits.split(rows), looks, strict=True)]

    def _mask(self, logits: Any, look: Look) -> Mask:
        import torch

        likely = torch.nn.functional.interpolate(
            logits[None].float(), look.size, mode="bilinear", align_corners=False
        ).sigmoid()[0]
        if len(look.phrases) == 1:
            return Mask.from_array((likely[0] >= self._settings.mask_threshold).cpu().numpy().astype("uint8"))
        sought = [place for place, phrase in enumerate(look.phrases) if phrase != BACKGROUND]
        best = torch.tensor(sought, device=likely.device)[likely.argmax(0)]
        if BACKGROUND in look.phrases:
            best[likely.amax(0) < self._settings.mask_threshold] = look.phrases.index(BACKGROUND)
        return Mask.from_array(best.cpu().numpy(), labels=look.phrases)
