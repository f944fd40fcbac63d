"""What of an answer travels in slices, and how it is taken out and put back."""

from __future__ import annotations

from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb

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


def take_text(outcome: pb.Outcome) -> str:
    """Remove and return the value of the first text part of `outcome`; nothing where there is none."""
    for part in outcome.answer.parts:
        if part.WhichOneof("content") == "text":
            value = part.text.value
            part.text.ClearField("value")
            return value
    return ""


def put_text(outcome: pb.Outcome, text: str) -> bool:
    """Undo `take_text`; False where the text does not fit. A refusal voids it."""
    for part in outcome.answer.parts:
        if part.WhichOneof("content") == "text":
            fits = not part.text.value
            part.text.value = text
            return fits
    return not text or outcome.WhichOneof("result") == "refusal"
