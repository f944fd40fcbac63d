"""Turns of a dialogue as messages of the Anthropic API."""

from __future__ import annotations

import base64
from typing import Any

from echelon.adapters.content import Image
from echelon.adapters.errors import UnsupportedError
from echelon.adapters.hosted.dialogue import Piece, Turn

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")


def message_of(turn: Turn) -> dict[str, Any]:
    """One message of the dialogue."""
    if turn.speaker == "assistant" or turn.is_text:
        return {"role": turn.speaker, "content": turn.text}
    return {"role": turn.speaker, "content": [_block(piece) for piece in turn.pieces]}


def _block(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"type": "text", "text": piece}
    if not isinstance(piece, Image):
        raise UnsupportedError(f"the API takes no {piece.kind}")
    if piece.media_type not in IMAGE_TYPES:
        raise UnsupportedError(f"the API takes no {piece.media_type!r}; send {', '.join(IMAGE_TYPES)}")
    encoded = base64.b64encode(piece.data).decode("ascii")
    return {"type": "image", "source": {"type": "base64", "media_type": piece.media_type, "data": encoded}}
