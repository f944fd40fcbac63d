"""A file of what was found elsewhere about answers, by the SHA-256 of their content."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from echelon.adapters import Audio, Image, Part, Text, Video
from echelon.adapters.errors import SettingsError
from echelon.scorer.errors import NotComputedError

FoundT = TypeVar("FoundT")


class File(Protocol):
    """Where the file is, and what to call it or whoever made it."""

    @property
    def path(self) -> Path: ...

    @property
    def name(self) -> str: ...


class Recorded(ABC, Generic[FoundT]):
    """Looks up what the file says of an answer; an answer that it does not know leaves its task not computed."""

    what: ClassVar[str]
    """What the file holds, for messages."""

    def __init__(self, settings: File) -> None:
        try:
            data = settings.path.read_bytes()
        except OSError as error:
            raise SettingsError(f"cannot read {settings.path}: {error.strerror}") from error
        self.name, self.digest = settings.name, sha256(data).hexdigest()
        self._found = self.parsed(data, settings.path)

    @abstractmethod
    def parsed(self, data: bytes, path: Path) -> Mapping[str, FoundT]:
        """What the file holds, by digest in lower-case hex; SettingsError, with the line, where it cannot be read."""

    def found(self, part: Part) -> FoundT:
        """What the file says of a part's content."""
        content = _content(part)
        if content is None:
            raise NotComputedError(f"{self.name} has no {self.what} of {part.kind} that is no single file or text")
        digest = sha256(content).hexdigest()
        if digest not in self._found:
            raise NotComputedError(f"{self.name} has no {self.what} of the {part.kind} with SHA-256 {digest}")
        return self._found[digest]


def _content(part: Part) -> bytes | None:
    """What a text, or a medium in one file, is made of."""
    if isinstance(part, Text):
        return part.value.encode()
    return part.data or None if isinstance(part, Audio | Image | Video) else None
