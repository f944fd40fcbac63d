"""Grounding: boxes around what phrases name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from echelon.adapters.content import Box, Boxes, Kind, Part
from echelon.adapters.transformers.glance import Glance, Look

if TYPE_CHECKING:
    from collections.abc import Sequence


class Detector(Glance):
    """Gives boxes in pixels, best first, labelled with the phrase that each was found for."""

    gives = Kind.BOXES

    def read(self, image: Any, phrases: tuple[str, ...]) -> dict[str, Any]:
        return dict(self._checkpoint.processor(images=[image], text=[list(phrases)], return_tensors="pt"))

    def parts(self, outputs: Any, tensors: dict[str, Any], looks: Sequence[Look]) -> Sequence[Part]:
        read = self._checkpoint.processor.post_process_grounded_object_detection
        offered = {
            "input_ids": tensors["input_ids"],
            "threshold": self._settings.detection.threshold,
            "text_threshold": self._settings.detection.text_threshold,
            "target_sizes": [look.size for look in looks],
            "text_labels": [list(look.phrases) for look in looks],
        }
        # Each family's reader takes what it has a use for.
        taken = inspect.signature(read).parameters
        found = read(outputs, **{name: value for name, value in offered.items() if name in taken})
        return [_boxes(item, look) for item, look in zip(found, looks, strict=True)]


def _boxes(found: Any, look: Look) -> Boxes:
    height, width = look.size
    items = sorted(
        zip(found["scores"].tolist(), found["boxes"].tolist(), found["text_labels"], strict=True),
        key=lambda item: -item[0],
    )
    boxes = (
        Box(max(x_min, 0.0), max(y_min, 0.0), min(x_max, width), min(y_max, height), label_of(label, look), score)
        for score, (x_min, y_min, x_max, y_max), label in items
    )
    return Boxes(tuple(box for box in boxes if box.x_min < box.x_max and box.y_min < box.y_max))


def label_of(said: str, look: Look) -> str:
    """The phrase that was looked for; some models say only the words of it that they saw."""
    words = said.casefold().strip(" .")
    known = [phrase for phrase in look.phrases if phrase.casefold() == words]
    known += [phrase for phrase in look.phrases if words and words in phrase.casefold()]
    return known[0] if known else said
