"""Turns of a dialogue as messages of the chat completions API."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from echelon.adapters.content import Audio, Image, Video
from echelon.adapters.errors import UnsupportedError
from echelon.adapters.hosted.dialogue import Piece, Turn

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
EDITED_TYPES = IMAGE_TYPES[:3]
"""What the endpoint for edits takes of them."""
AUDIO_FORMATS = {"audio/wav": "wav", "audio/mpeg": "mp3"}


def messages_of(system: str, turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """The messages of a whole dialogue."""
    opening = [{"role": "system", "content": system}] if system else []
    return [*opening, *(_message(turn) for turn in turns)]


def _message(turn: Turn) -> dict[str, Any]:
    # Servers with simple chat templates take text alone as a string and not as a list.
    if turn.speaker == "assistant" or turn.is_text:
        return {"role": turn.speaker, "content": turn.text}
    return {"role": turn.speaker, "content": [_block(piece) for piece in turn.pieces]}


def _block(piece: Piece) -> dict[str, Any]:
    match piece:
        case str():
            return {"type": "text", "text": piece}
        case Image():
            return {"type": "image_url", "image_url": {"url": data_url(piece.data, image_type(piece))}}
        case Audio():
            sound = piece if piece.media_type in AUDIO_FORMATS else Audio.from_array(*piece.array())
            encoded = base64.b64encode(sound.data).decode("ascii")
            return {"type": "input_audio", "input_audio": {"data": encoded, "format": AUDIO_FORMATS[sound.media_type]}}
        case Video():
            return {"type": "video_url", "video_url": {"url": data_url(piece.data, piece.media_type)}}


def image_type(image: Image, taken: tuple[str, ...] = IMAGE_TYPES) -> str:
    """The media type of an image that the API takes; UnsupportedError otherwise."""
    if image.media_type not in taken:
        raise UnsupportedError(f"the API takes no {image.media_type!r}; send {', '.join(taken)}")
    return image.media_type


def data_url(data: bytes, media_type: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
