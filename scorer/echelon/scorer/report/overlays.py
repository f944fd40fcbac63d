"""Masks and boxes over the picture they belong to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from echelon.adapters import Box, Boxes, BoxSpace, InvalidInputError, Mask
from echelon.scorer.report.pictures import SHOWN_EDGE, css_class, data_uri, element
from echelon.scorer.report.prose import clipped
from echelon.scorer.report.wording import count, number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_BOXES = 50

PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#f0e442", "#8c6bb1")
"""Colours that stay apart for colour-blind eyes, after Okabe and Ito."""


def mask(part: Mask, canvas: NDArray[np.uint8] | None) -> Markup:
    """Each class in a colour of its own over the image it belongs to."""
    import numpy as np

    values = part.array()
    ground = _fitted(canvas, values.shape)
    colours = np.array([_rgb(_colour(value - 1)) for value in range(256)])[values]
    tinted = np.where(values[..., None] > 0, 0.4 * ground + 0.6 * colours, ground).astype(np.uint8)
    classes = [(_label(part.labels, value), _colour(value - 1)) for value in np.unique(values).tolist() if value]
    return Markup("{}<figcaption>{}</figcaption>").format(
        element(tinted, "mask"), _legend(classes[:12]) or "no class set"
    )


def boxes(part: Boxes, canvas: NDArray[np.uint8] | None, labels: Sequence[str]) -> Markup:
    """Flat boxes of the first frame they name, coloured by their place in `labels`."""
    flat = [box for box in part.boxes if isinstance(box, Box)]
    if not flat:
        return Markup("<figcaption>no box</figcaption>")
    first = min(box.frame_index for box in flat)
    shown = [box for box in flat if box.frame_index == first][:MAX_BOXES]
    colours = {label: _colour(i) for i, label in enumerate(labels)}
    named = [(_said(box), colours[box.label]) for box in shown[:8]]
    return Markup("{}<figcaption>{}</figcaption>").format(_overlay(part.space, shown, colours, canvas), _legend(named))


def _fitted(canvas: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The canvas in RGB and in the mask's size, grey where there is none."""
    import numpy as np

    if canvas is None:
        return np.full((*shape, 3), 40, np.uint8)
    rows = np.arange(shape[0]) * canvas.shape[0] // shape[0]
    columns = np.arange(shape[1]) * canvas.shape[1] // shape[1]
    picked = canvas[rows][:, columns]
    return picked if picked.ndim == 3 else np.repeat(picked[..., None], 3, axis=2)


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _label(labels: Sequence[str], value: int) -> str:
    return labels[value] if value < len(labels) else f"class {value}"


_KEY = Markup(
    '<span class="key"><svg width="9" height="9" aria-hidden="true"><rect width="9" height="9" fill="{}"/></svg>'
    " {}</span> "
)


def _legend(entries: Sequence[tuple[str, str]]) -> Markup:
    return Markup("").join(_KEY.format(colour, clipped(text, 40)) for text, colour in entries)


def _said(box: Box) -> str:
    score = "" if box.score is None else f" {number(box.score)}"
    return f"{box.label or 'box'}{score}"


_OVERLAY = Markup(
    '<svg class="overlay" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{} drawn">{}{}</svg>'
)


def _overlay(
    space: BoxSpace, shown: Sequence[Box], colours: dict[str, str], canvas: NDArray[np.uint8] | None
) -> Markup:
    height, width = canvas.shape[:2] if canvas is not None else _extent(space, shown)
    scale = (width, height) if space is BoxSpace.UNIT else (1, 1)
    drawn = Markup("").join(_rect(box, colours[box.label], scale) for box in shown)
    size = (*_display(width, height), width, height)
    return _OVERLAY.format(*size, count(len(shown), "rectangle"), _ground(canvas), drawn)


def _ground(canvas: NDArray[np.uint8] | None) -> Markup:
    if canvas is None:
        return Markup("")
    height, width = canvas.shape[:2]
    markup = Markup('<image class="{}" href="{}" width="{}" height="{}"/>')
    return markup.format(css_class(canvas), data_uri(canvas), width, height)


def _display(width: float, height: float) -> tuple[int, int]:
    factor = SHOWN_EDGE / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _extent(space: BoxSpace, shown: Sequence[Box]) -> tuple[float, float]:
    if space is BoxSpace.UNIT:
        return 1, 1
    return max(1, *(box.y_max for box in shown)), max(1, *(box.x_max for box in shown))


def _rect(box: Box, colour: str, scale: tuple[float, float]) -> Markup:
    x, y = box.x_min * scale[0], box.y_min * scale[1]
    width, height = (box.x_max - box.x_min) * scale[0], (box.y_max - box.y_min) * scale[1]
    if not (min(width, height) >= 0 and all(map(math.isfinite, (x, y, width, height)))):
        raise InvalidInputError("a box ends before it begins, or never")
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" stroke="{}"/>').format(
        *(f"{value:.2f}" for value in (x, y, width, height)), colour
    )
