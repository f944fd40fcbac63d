"""What makes a suite the same suite: the digest of its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from echelon.adapters import Audio, Image, Mask, Mesh, Part, PointCloud, Role, Tensor, Video
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.suites.media import MediaFolder


def folder_digest(folder: Path) -> str:
    """SHA-256, in hex, over the sorted lines `path size sha256` of every file under `folder`."""
    media = MediaFolder(folder)
    whole = hashlib.sha256()
    for name in sorted(file_names(folder)):
        path = media.path(name)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            line = f"{name} {file.tell()} {digest}\n"
        whole.update(line.encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def file_names(folder: Path) -> Iterator[str]:
    """Every file under `folder`, links included, by relative path with forward slashes."""
    for parent, folders, files in os.walk(folder):
        inner = Path(parent).relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        for name in linked + files:
            if "\n" in name:
                raise InvalidSuiteError(f"{prefix + name!r} has a line break in its name; rename it")
            yield prefix + name


def cluster_of(parts: Iterable[Part], sample_id: str) -> str:
    """What a sample shares with others of the same source: the digest of its main media, else its id."""
    for part in parts:
        if part.role is Role.INPUT and (media := _media(part)):
            digest = hashlib.sha256()
            for piece in media:
                digest.update(piece)
            return digest.hexdigest()
    return sample_id


def _media(part: Part) -> tuple[bytes, ...]:
    match part:
        case Image() | Audio() | PointCloud() | Tensor():
            return (part.data,)
        case Video():
            return (part.data, *(frame.image.data for frame in part.frames))
        case Mesh():
            return (part.vertices, part.faces)
        case Mask():
            return (part.png,)
    return ()
