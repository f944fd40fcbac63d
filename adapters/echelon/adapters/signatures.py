"""How media begin: tells the type of encoded bytes without decoding them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_SIGNATURES: Mapping[str, bytes] = MappingProxyType(
    {
        "image/png": rb"\x89PNG\r\n\x1a\n",
        "image/jpeg": rb"\xff\xd8\xff",
        "image/webp": rb"RIFF.{4}WEBP",
        "image/gif": rb"GIF8",
        "audio/wav": rb"RIFF.{4}WAVE",
        "audio/flac": rb"fLaC",
        "audio/ogg": rb"OggS",
        # A tag, or the first frame of layer III.
        "audio/mpeg": rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]",
        "audio/mp4": rb".{4}ftyp",
        "video/mp4": rb".{4}ftyp",
        # Before 2001 files began with any atom.
        "video/quicktime": rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)",
        "video/vnd.avi": rb"RIFF.{4}AVI ",
        # The document type stands in the header of both.
        "video/webm": rb"\x1aE\xdf\xa3.{1,64}?B\x82.{1,8}?webm",
        "video/matroska": rb"\x1aE\xdf\xa3.{1,64}?B\x82.{1,8}?matroska",
    }
)
"""How files begin, as patterns."""


def is_of_type(data: bytes, name: str) -> bool:
    """Whether the bytes begin as those of the media type `name` do; never for one that is not listed."""
    return name in _SIGNATURES and re.match(_SIGNATURES[name], data, re.DOTALL) is not None


def type_of(data: bytes, *kinds: str) -> str | None:
    """The first media type listed that the bytes begin as and that begins with one of `kinds`, for example "image/"."""
    return next((name for name in _SIGNATURES if name.startswith(kinds) and is_of_type(data, name)), None)
