"""Which field of a part travels in slices, and how it is taken out and put back."""

from __future__ import annotations

from echelon.v1 import content_pb2

PAYLOADS = {
    "text": "value",
    "image": "data",
    "audio": "data",
    "video": "data",
    "point_cloud": "data",
    "tensor": "data",
}


def take_payload(part: content_pb2.Part) -> bytes:
    """Remove and return what of `part` travels in slices; nothing for kinds that come whole."""
    field = part.WhichOneof("content") or ""
    if field not in PAYLOADS:
        return b""
    content = getattr(part, field)
    payload: str | bytes = getattr(content, PAYLOADS[field])
    content.ClearField(PAYLOADS[field])
    return payload.encode() if isinstance(payload, str) else payload


def put_payload(part: content_pb2.Part, payload: bytes) -> bool:
    """Undo `take_payload`; False where the payload does not fit the part."""
    field = part.WhichOneof("content") or ""
    if field not in PAYLOADS:
        return not payload
    try:
        setattr(getattr(part, field), PAYLOADS[field], payload.decode() if field == "text" else payload)
    except UnicodeDecodeError:
        return False
    return True
