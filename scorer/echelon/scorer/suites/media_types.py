"""Media types by suffix, and whether a file is what its suffix says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from echelon.adapters.signatures import is_of_type
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


def media_type(path: str, data: bytes, types: Mapping[str, str]) -> str:
    """The type that the suffix of `path` has in `types`; InvalidSuiteError where the bytes are of another."""
    kind = types[PurePosixPath(path).suffix.lower()]
    if not is_of_type(data, kind):
        raise InvalidSuiteError(f"{path} is not {kind}, as its name says; rename or convert it")
    return kind
