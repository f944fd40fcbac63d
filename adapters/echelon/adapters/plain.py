"""Parts as plain JSON values and back, losslessly; bytes travel as base64."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from echelon.adapters import content, settings
from echelon.adapters.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from echelon.adapters.calls import Request
    from echelon.adapters.content import Part

PARTS: Mapping[str, type[Part]] = {part.kind: part for part in content.Part.__subclasses__()}
"""The class of each kind."""

SAID_BY_THE_BYTES: Mapping[type, tuple[str, ...]] = {
    content.Image: ("media_type", "width", "height"),
    content.Audio: ("media_type", "sample_rate_hz", "channel_count"),
}
"""Fields that repeat what a medium's own bytes say, and that a peer may fill in or leave out."""


def to_plain(part: Part) -> dict[str, Any]:
    """The part as JSON values: its kind, and every field that is not at its default."""
    return {"kind": str(part.kind), **_plain(part, _readable, {})}


def from_plain(values: Mapping[str, Any], *, where: str = "part") -> Part:
    """The part that `to_plain` wrote; SettingsError tells everything that is wrong with `values`."""
    kind = str(values.get("kind"))
    if kind not in PARTS:
        raise SettingsError(f"{where}: 'kind' is {kind!r}{settings.nearest(kind, PARTS)}")
    fields = {name: value for name, value in values.items() if name != "kind"}
    return settings.load(PARTS[kind], fields, where=where)


def request_digest(request: Request) -> str:
    """SHA-256, in hex, of call, instruction, labels and the parts' content; the same on both ends of the wire."""
    parts = [[str(part.kind), _plain(part, _comparable, SAID_BY_THE_BYTES)] for part in request.parts]
    asked = [str(request.call), request.instruction, list(request.labels), parts]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _plain(value: Any, leaf: Callable[[Any], Any], left_out: Mapping[type, tuple[str, ...]]) -> Any:
    if isinstance(value, tuple):
        return [_plain(item, leaf, left_out) for item in value]
    if not dataclasses.is_dataclass(value):
        return leaf(value)
    skipped = left_out.get(type(value), ())
    return {
        field.name: _plain(item, leaf, left_out)
        for field in dataclasses.fields(value)
        if field.name not in skipped and (item := getattr(value, field.name)) != field.default
    }


def _readable(value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _comparable(value: Any) -> Any:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    # 3 and 3.0 are one number, and the wire knows only the second.
    return float(value) if isinstance(value, int) else value
