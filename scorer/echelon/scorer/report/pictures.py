"""Images, clips and matrices as pixels.

What is decoded here never reaches the page as it came: pixels are written anew. Encoded clips that browsers decode are
handed to their players, under a media type of a fixed list.
"""

from __future__ import annotations

import io
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from echelon.adapters import Audio, Image, InvalidInputError, Video, decode
from echelon.adapters.signatures import is_of_type
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
PLAYED_TYPES = ("video/mp4", "video/webm")
MAX_PLAYED_BYTES = 256 * 2**10
"""Of an encoded clip; a page has room for a few."""


def image(part: Image) -> Markup:
    """The image, enlarged where it is tiny."""
    pixels = part.array()
    return Markup("{}<figcaption>{} × {} pixels</figcaption>").format(
        element(pixels, "image"), pixels.shape[1], pixels.shape[0]
    )


def video(part: Video) -> Markup:
    """Frames side by side, and the clip in motion for those who like motion."""
    if not decode.decodes(part):
        return _encoded(part)
    frames = part.array()
    strip = [element(frames[i], f"frame {i + 1}", edge=72) for i in _evenly(len(frames), MAX_STRIP)]
    return Markup('<div class="strip">{}{}</div><figcaption>{}</figcaption>').format(
        _moving(frames, _frame_ms(part)), Markup("").join(strip), count(len(frames), "frame")
    )


def _encoded(part: Video) -> Markup:
    """A player for what browsers play, within the room of a page; else what it is."""
    about = encoded_medium(part)
    if part.media_type not in PLAYED_TYPES or len(part.data) > MAX_PLAYED_BYTES:
        return Markup("<p>{}</p>").format(about)
    return Markup(
        '<video controls preload="metadata" src="data:{};base64,{}"></video><figcaption>{}</figcaption>'
    ).format(part.media_type, b64encode(part.data).decode(), about)


def encoded_medium(part: Audio | Video) -> str:
    """Type and size of what is not decoded here; InvalidInputError for what is no such medium."""
    if not is_of_type(part.data, part.media_type):
        raise InvalidInputError(f"the bytes are no {clipped(part.media_type, 64)}")
    return f"{clipped(part.media_type, 64)} of {len(part.data):,} bytes, not decoded here"


def heat(values: NDArray[np.generic]) -> Markup:
    """A matrix as shades of grey."""
    import numpy as np

    numbers = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    low, high = float(numbers.min()), float(numbers.max())
    shades = ((numbers - low) / (high - low or 1) * 255).astype(np.uint8)
    return Markup("{}<figcaption>{} to {}</figcaption>").format(
        element(shades, "values as shades"), number(low), number(high)
    )


def element(pixels: NDArray[np.uint8], alt: str, *, edge: int = SHOWN_EDGE) -> Markup:
    """The pixels as an element of the page, about `edge` long."""
    width, height = _shown_size(pixels, edge)
    return Markup('<img class="{}" src="{}" width="{}" height="{}" alt="{}">').format(
        css_class(pixels), data_uri(pixels), width, height, alt
    )


def css_class(pixels: NDArray[np.uint8]) -> str:
    """How the browser should enlarge the pixels."""
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


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """The pixels as an address that is the picture itself: PNG where tiny, else a smaller WebP."""
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
    ).format(moving, css_class(frames[0]), data_uri(frames[0]), width, height)


def _frame_ms(part: Video) -> int:
    if len(part.frames) < 2:
        return 125
    span_us = part.frames[-1].time_us - part.frames[0].time_us
    return min(max(span_us // (len(part.frames) - 1) // 1000, 40), 1000)


def _evenly(length: int, most: int) -> list[int]:
    if length <= most:
        return list(range(length))
    return [round(i * (length - 1) / (most - 1)) for i in range(most)]
