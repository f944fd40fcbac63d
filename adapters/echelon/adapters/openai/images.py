"""Images out of replies. Links are never followed: an answer has to come with its bytes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from echelon.adapters.content import Image
from echelon.adapters.errors import BackendError, SettingsError

_STARTS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


def images_of(response: Any) -> tuple[Image, ...]:
    """The images that the endpoints for images replied with."""
    return tuple(_image(item.b64_json, item.url) for item in getattr(response, "data", None) or ())


def images_in(message: Any) -> tuple[Image, ...]:
    """The images in a chat's message: in its content, or beside it under `images`."""
    beside = getattr(message, "images", None)
    content = message.content if isinstance(message.content, list) else ()
    return tuple(_image(*_taken_apart(url)) for url in _urls([*(beside or ()), *content]))


def _urls(blocks: list[Any]) -> Iterator[str]:
    for block in blocks:
        url = block.get("image_url") if isinstance(block, dict) else None
        url = url.get("url") if isinstance(url, dict) else url
        if isinstance(url, str):
            yield url


def _taken_apart(url: str) -> tuple[str | None, str | None]:
    head, comma, encoded = url.partition(";base64,")
    return (encoded, None) if comma and head.startswith("data:") else (None, url)


def _image(encoded: str | None, link: str | None) -> Image:
    if not encoded:
        if link:
            raise SettingsError(
                "the API answered with a link to an image, which is never fetched; ask for the bytes: "
                "images.options: {response_format: b64_json}"
            )
        raise BackendError("the API answered with an image that holds nothing")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BackendError("the API answered with an image that is no base64") from None
    return Image(data, _media_type(data))


def _media_type(data: bytes) -> str:
    for start, media_type in _STARTS:
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise SettingsError(
        "the API answered with an image that is no PNG, JPEG or WebP; ask for one: images.options: {output_format: png}"
    )
