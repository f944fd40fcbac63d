"""Images, clips, masks and boxes as pixels and SVG.

Nothing that a model sent reaches the page as it came: pixels are decoded and written anew.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from echelon.adapters import Box, Boxes, BoxSpace, Image, InvalidInputError, Mask, Video
from echelon.scorer.report.prose import clipped
from echelon.scorer.report.wording import count, number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PIXEL_ART = 96
"""Up to this edge an image stays as it is, lossless, and is enlarged in whole steps."""
MAX_EDGE = 320
SHOWN_EDGE = 128
MAX_STRIP = 8
MAX_MOVING_FRAMES = 24
MAX_BOXES = 50

PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#0072b2", "#f0e442", "#8c6bb1")
"""Colours that stay apart for colour-blind eyes, after Okabe and Ito."""


def image(part: Image) -> Markup:
    """The image, enlarged where it is tiny."""
    pixels = part.array()
    return Markup("{}<figcaption>{} × {} pixels</figcaption>").format(
        _img(pixels, "image"), pixels.shape[1], pixels.shape[0]
    )


def video(part: Video) -> Markup:
    """Frames side by side, and the clip in motion for those who like motion."""
    frames = part.array()
    strip = [_img(frames[i], f"frame {i + 1}", edge=72) for i in _evenly(len(frames), MAX_STRIP)]
    return Markup('<div class="strip">{}{}</div><figcaption>{}</figcaption>').format(
        _moving(frames, _frame_ms(part)), Markup("").join(strip), count(len(frames), "frame")
    )


def mask(part: Mask, canvas: NDArray[np.uint8] | None) -> Markup:
    """Each class in a colour of its own over the image it belongs to."""
    import numpy as np

    values = part.array()
    ground = _fitted(canvas, values.shape)
    colours = np.array([_rgb(colour) for colour in PALETTE])[(values.astype(int) - 1) % len(PALETTE)]
    tinted = np.where(values[..., None] > 0, 0.4 * ground + 0.6 * colours, ground).astype(np.uint8)
    classes = [
        (_label(part.labels, int(value)), PALETTE[(int(value) - 1) % len(PALETTE)])
        for value in np.unique(values)
        if value
    ]
    return Markup("{}<figcaption>{}</figcaption>").format(_img(tinted, "mask"), _legend(classes[:12]) or "no class set")


def boxes(part: Boxes, canvas: NDArray[np.uint8] | None) -> Markup:
    """Flat boxes over the image they belong to, of the first frame they name; others as text."""
    flat = [box for box in part.boxes if isinstance(box, Box)]
    if not flat or part.space is BoxSpace.METRE:
        return Markup("<figcaption>{}</figcaption>").format(count(len(part.boxes), "box").replace("boxs", "boxes"))
    first = min(box.frame_index for box in flat)
    shown = [box for box in flat if box.frame_index == first][:MAX_BOXES]
    colours = {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(dict.fromkeys(box.label for box in shown))}
    named = [(_said(box), colours[box.label]) for box in shown[:8]]
    return Markup("{}<figcaption>{}</figcaption>").format(_overlay(part.space, shown, colours, canvas), _legend(named))


def heat(values: NDArray[np.generic]) -> Markup:
    """A matrix as shades of grey."""
    import numpy as np

    numbers = np.nan_to_num(values.astype(np.float64))
    low, high = float(numbers.min()), float(numbers.max())
    shades = ((numbers - low) / (high - low or 1) * 255).astype(np.uint8)
    return Markup("{}<figcaption>{} to {}</figcaption>").format(
        _img(shades, "values as shades"), number(low), number(high)
    )


def _img(pixels: NDArray[np.uint8], alt: str, *, edge: int = SHOWN_EDGE) -> Markup:
    width, height = _shown_size(pixels, edge)
    return Markup('<img class="{}" src="{}" width="{}" height="{}" alt="{}">').format(
        _css(pixels), _still(pixels), width, height, alt
    )


def _css(pixels: NDArray[np.uint8]) -> str:
    return "pixels" if _tiny(pixels) else "photo"


def _tiny(pixels: NDArray[np.uint8]) -> bool:
    height, width = pixels.shape[:2]
    return bool(max(height, width) <= PIXEL_ART)


def _shown_size(pixels: NDArray[np.uint8], edge: int) -> tuple[int, int]:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= edge:
        return width * (edge // longest), height * (edge // longest)
    shrunk = (edge if _tiny(pixels) else 1.5 * edge) / longest
    return max(1, round(width * shrunk)), max(1, round(height * shrunk))


def _still(pixels: NDArray[np.uint8]) -> str:
    if _tiny(pixels):
        return _uri(_small(pixels), "PNG", optimize=True)
    return _uri(_small(pixels), "WEBP", quality=78)


def _small(pixels: NDArray[np.uint8], edge: int = MAX_EDGE) -> Any:
    from PIL import Image as Pillow

    picture = Pillow.fromarray(pixels)
    picture.thumbnail((edge, edge))
    return picture


def _uri(picture: Any, form: str, **options: Any) -> str:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return f"data:image/{form.lower()};base64,{b64encode(out.getvalue()).decode()}"


def _moving(frames: NDArray[np.uint8], frame_ms: int) -> Markup:
    if len(frames) < 2:
        return Markup("")
    picked = _evenly(len(frames), MAX_MOVING_FRAMES)
    first, *rest = [_small(frames[i], SHOWN_EDGE) for i in picked]
    options = {"lossless": True} if _tiny(frames[0]) else {"quality": 60}
    moving = _uri(
        first,
        "WEBP",
        save_all=True,
        append_images=rest,
        loop=0,
        duration=frame_ms * len(frames) // len(picked),
        **options,
    )
    width, height = _shown_size(frames[0], SHOWN_EDGE)
    return Markup(
        '<picture><source media="screen and (prefers-reduced-motion: no-preference)" srcset="{}">'
        '<img class="{}" src="{}" width="{}" height="{}" alt="the clip in motion"></picture>'
    ).format(moving, _css(frames[0]), _still(frames[0]), width, height)


def _frame_ms(part: Video) -> int:
    if len(part.frames) < 2:
        return 125
    span_us = part.frames[-1].time_us - part.frames[0].time_us
    return min(max(span_us // (len(part.frames) - 1) // 1000, 40), 1000)


def _evenly(length: int, most: int) -> list[int]:
    if length <= most:
        return list(range(length))
    return [round(i * (length - 1) / (most - 1)) for i in range(most)]


def _fitted(canvas: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The canvas in RGB and in the mask's size, grey where there is none."""
    import numpy as np

    if canvas is None:
        return np.full((*shape, 3), 40, np.uint8)
    rows = np.arange(shape[0]) * canvas.shape[0] // shape[0]
    columns = np.arange(shape[1]) * canvas.shape[1] // shape[1]
    picked = canvas[rows][:, columns]
    return picked if picked.ndim == 3 else np.repeat(picked[..., None], 3, axis=2)


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
    return (clipped(box.label, 30) or "box") + score


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
    return markup.format(_css(canvas), _still(canvas), width, height)


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
    if not min(width, height) >= 0:
        raise InvalidInputError("a box ends before it begins")
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" stroke="{}"/>').format(
        *(f"{value:.2f}" for value in (x, y, width, height)), colour
    )
