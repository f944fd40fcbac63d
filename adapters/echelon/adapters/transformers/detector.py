"""Grounding: boxes around what phrases name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.content import Box, Boxes, Kind, Part
from echelon.adapters.errors import InvalidInputError
from echelon.adapters.transformers.glance import Glance, Look

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEPARATOR = "."
"""What stands after each phrase."""


class Detector(Glance):
    """Gives boxes in pixels, best first, each labelled with the phrase that it fits best."""

    gives = Kind.BOXES

    def read(self, image: Any, phrases: tuple[str, ...]) -> dict[str, Any]:
        text = " ".join(f"{phrase.replace(SEPARATOR, ' ').strip()}{SEPARATOR}" for phrase in phrases)
        tensors = dict(self._checkpoint.processor(images=[image], text=[text], return_tensors="pt"))
        tokens, most = tensors["input_ids"].shape[1], self._checkpoint.model.config.max_text_len
        if tokens > most:
            raise InvalidInputError(f"what to look for takes {tokens} tokens, and the model reads {most}; ask for less")
        return tensors

    def parts(self, outputs: Any, tensors: dict[str, Any], looks: Sequence[Look]) -> Sequence[Part]:
        likely = outputs.logits.float().sigmoid()
        return [
            self._boxes(likely[place], outputs.pred_boxes[place].float(), tensors["input_ids"][place], look)
            for place, look in enumerate(looks)
        ]

    def _boxes(self, likely: Any, centred: Any, tokens: Any, look: Look) -> Boxes:
        """From a score for each box and token, and boxes as centre and size, from 0 to 1."""
        import torch

        by_phrase = torch.stack([likely[:, first:last].amax(1) for first, last in self._spans(tokens)], dim=1)
        scores, phrases = by_phrase.max(1)
        order = scores.argsort(descending=True, stable=True).tolist()
        kept = [place for place in order if scores[place] > self._settings.detection_threshold]
        corners = torch.cat([centred[:, :2] - centred[:, 2:] / 2, centred[:, :2] + centred[:, 2:] / 2], dim=1)
        height, width = look.size
        placed = (corners.clamp(0, 1) * torch.tensor([width, height] * 2, device=corners.device)).tolist()
        boxes = []
        for place in kept:
            x_min, y_min, x_max, y_max = placed[place]
            if x_min < x_max and y_min < y_max:
                boxes.append(Box(x_min, y_min, x_max, y_max, look.phrases[phrases[place]], float(scores[place])))
        return Boxes(tuple(boxes))

    def _spans(self, tokens: Any) -> Iterator[tuple[int, int]]:
        """From where to where each phrase stands among the tokens."""
        separator = self._checkpoint.tokenizer.convert_tokens_to_ids(SEPARATOR)
        first = 1  # after the token that begins every text
        for place in (tokens == separator).nonzero().flatten().tolist():
            yield first, place
            first = place + 1
