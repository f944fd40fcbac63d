"""Boxes as models write them in text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from echelon.adapters.content import Box, Boxes, BoxSpace
from echelon.adapters.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
FOUR = re.compile(rf"[\[(]{NUMBER},{NUMBER}\)?,\s*\(?{NUMBER},{NUMBER}[\])]")
"""`[a, b, c, d]`, `(a, b, c, d)` and `(a, b), (c, d)`."""
LOCATIONS = re.compile(r"<loc(\d{4})><loc(\d{4})><loc(\d{4})><loc(\d{4})>[ \t]*([^<;\n]*)")
LABEL_AFTER = re.compile(r"""[^\[{]{0,40}?"label"\s*:\s*"([^"]*)\"""")
LABEL_BEFORE = re.compile(
    r"""(?:"label"\s*:\s*"([^"]*)"[^{}]*|<(?:ref|\|object_ref_start\|)>([^<]*)<[^>]*>\s*(?:<[^>]*>)?\s*\[?)$"""
)


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """The form of a box in text: `numbers`, four in brackets, or `locations`, PaliGemma's `<loc0000>` tokens.

    `scale` is what a side of the image counts: 1, 1000, or None for pixels of the image as the model sees it.
    """

    form: Literal["numbers", "locations"] = "numbers"
    scale: float | None = 1000
    y_first: bool = False

    def __post_init__(self) -> None:
        if self.scale is not None and self.scale <= 0:
            raise ValueError("'scale' must be above 0")

    def read(self, text: str, seen: tuple[int, int], size: tuple[int, int]) -> Boxes:
        """The boxes that `text` names, in pixels of an image of `size`, `seen` by the model; both (height, width)."""
        found = tuple(self._box(numbers, label, seen, size) for numbers, label in self._found(text))
        return Boxes(tuple(box for box in found if box.x_min < box.x_max and box.y_min < box.y_max))

    def write(self, boxes: Boxes, seen: tuple[int, int], size: tuple[int, int]) -> str:
        """The boxes as the model reads them, one a line."""
        return "\n".join(self._written(box, boxes.space, seen, size) for box in boxes.boxes)

    def _found(self, text: str) -> Iterator[tuple[tuple[float, ...], str]]:
        if self.form == "locations":
            for match in LOCATIONS.finditer(text):
                yield tuple(map(float, match.groups()[:4])), match.group(5).strip()
            return
        for match in FOUR.finditer(text):
            yield tuple(map(float, match.groups())), _label_beside(text, match)

    def _sides(self, seen: tuple[int, int]) -> tuple[float, float]:
        """What height and width count in the text."""
        if self.form == "locations":
            return 1024, 1024
        return (self.scale, self.scale) if self.scale is not None else seen

    def _box(self, numbers: tuple[float, ...], label: str, seen: tuple[int, int], size: tuple[int, int]) -> Box:
        a, b, c, d = numbers
        x_min, y_min, x_max, y_max = (b, a, d, c) if self._is_y_first else (a, b, c, d)
        height, width = self._sides(seen)
        x = [min(max(value / width, 0), 1) * size[1] for value in (x_min, x_max)]
        y = [min(max(value / height, 0), 1) * size[0] for value in (y_min, y_max)]
        return Box(x[0], y[0], x[1], y[1], label)

    @property
    def _is_y_first(self) -> bool:
        return self.y_first or self.form == "locations"

    def _written(self, box: object, space: BoxSpace, seen: tuple[int, int], size: tuple[int, int]) -> str:
        if not isinstance(box, Box) or space is BoxSpace.METRE:
            raise InvalidInputError("the model takes boxes in two dimensions only, in pixels or from 0 to 1")
        rows, columns = size if space is BoxSpace.PIXEL else (1, 1)
        height, width = self._sides(seen)
        x = [value / columns * width for value in (box.x_min, box.x_max)]
        y = [value / rows * height for value in (box.y_min, box.y_max)]
        values = [y[0], x[0], y[1], x[1]] if self._is_y_first else [x[0], y[0], x[1], y[1]]
        return self._formed(values, box.label)

    def _formed(self, values: list[float], label: str) -> str:
        if self.form == "locations":
            places = "".join(f"<loc{min(max(round(value), 0), 1023):04d}>" for value in values)
            return f"{places} {label}".rstrip()
        numbers = ", ".join(f"{value:.3f}" if self.scale == 1 else str(round(value)) for value in values)
        return f"{label} [{numbers}]".lstrip()


def _label_beside(text: str, match: re.Match[str]) -> str:
    """The label in the same JSON object, or in the reference that stands before the box."""
    after = LABEL_AFTER.match(text, match.end())
    if after:
        return after.group(1)
    before = LABEL_BEFORE.search(text, max(0, match.start() - 200), match.start())
    return (before.group(1) or before.group(2) or "").strip() if before else ""
