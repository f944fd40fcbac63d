"""Media types by suffix, and whether a file is what its suffix says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from echelon.scorer.errors import InvalidSuiteError

IMAGE_TYPES = MappingProxyType(
    {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
)
CONVERTED_SUFFIXES = (".bmp", ".tif", ".tiff")
"""Of images that travel as PNG."""
SOUND_TYPES = MappingProxyType(
    {
        ".wav": "audio/wav",
        ".flac": "audio/flac",
        ".ogg": "audio/ogg",
        ".mp3": "audio/mpeg",
        ".m4a": "audio/mp4",
    }
)
CLIP_TYPES = MappingProxyType(
    {
        ".gif": "image/gif",
        ".webp": "image/webp",
        ".mp4": "video/mp4",
        ".webm": "video/webm",
        ".mov": "video/quicktime",
        ".avi": "video/vnd.avi",
        ".mkv": "video/matroska",
    }
)
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


def media_type(path: str, data: bytes, types: Mapping[str, str]) -> str:
    """The type that the suffix of `path` has in `types`; InvalidSuiteError where the bytes are of another."""
    kind = types[PurePosixPath(path).suffix.lower()]
    if not is_of_type(data, kind):
        raise InvalidSuiteError(f"{path} is not {kind}, as its name says; rename or convert it")
    return kind


def is_of_type(data: bytes, name: str) -> bool:
    """Whether the bytes begin as those of the media type `name` do; never for one that is not listed."""
    return name in _SIGNATURES and re.match(_SIGNATURES[name], data, re.DOTALL) is not None
