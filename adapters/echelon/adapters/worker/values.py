"""The SDK's values as JSON and buffers, and back: one closed table of types, and nothing in it can be executed.

A value is JSON's own where JSON has it. Everything else is a list that begins with a tag: `["Text", {"value": "hi"}]`.
Records carry the fields that are not at their default, by name, so that an SDK with a field more understands one
without it. Bytes and long texts stay out of the JSON: `["bytes", 3]` is the fourth buffer of the message.
"""

from __future__ import annotations

import reprlib
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

from echelon.adapters import calls, card, content, hosting, identity
from echelon.adapters.errors import BY_REASON, EchelonError, InvalidInputError, public_kind, rebuilt

INLINE_CHARACTERS = 1024
"""Longer texts travel as buffers: JSON would look at every character twice."""

_TEXT_CHARACTERS = 4096
_TRACE_CHARACTERS = 16_384

_RECORDS: tuple[type[Any], ...] = (
    content.Text,
    content.Number,
    content.ScoredLabel,
    content.Choice,
    content.Image,
    content.Audio,
    content.VideoFrame,
    content.Video,
    content.PointCloud,
    content.Mesh,
    content.Mask,
    content.Box,
    content.Box3D,
    content.Boxes,
    content.Tensor,
    content.Json,
    calls.Sampling,
    calls.Request,
    calls.Usage,
    calls.Answer,
    calls.Refusal,
    card.CallSupport,
    card.Card,
    identity.Identity,
    hosting.Plan,
    hosting.Opened,
)
_ENUMS = (content.Kind, content.Role, content.BoxSpace, calls.Call, calls.FinishReason, card.Composition)


class Foreign:
    """Stands for a value that does not travel; it prints as that value did, and its type is called as that one's."""

    def __init__(self, said: str) -> None:
        self._said = said

    def __repr__(self) -> str:
        return self._said


class ForeignError(Exception):
    """Stands for an exception that is none of ours, and says its type too; a note has the traceback of its process."""


def encode(value: Any, buffers: list[bytes]) -> Any:
    """`value` as JSON; what does not go in there is appended to `buffers`."""
    kind = type(value)
    if kind in _NATIVE:
        return value
    writer = _WRITERS.get(kind) or _inherited_writer(value)
    return writer(value, buffers)


def decode(value: Any, buffers: Sequence[bytes]) -> Any:
    """The value that `encode` made into `value`; ValueError, TypeError or KeyError where it never did."""
    if type(value) is list:
        return _READERS[value[0]](value[1], buffers)
    if type(value) is dict:
        return {key: decode(item, buffers) for key, item in value.items()}
    return value


def _inherited_writer(value: Any) -> Callable[[Any, list[bytes]], Any]:
    for base in type(value).__mro__:
        if base in _WRITERS:
            return _WRITERS[base]
        if base in _NATIVE:
            return lambda value, buffers, base=base: base(value)  # type: ignore[misc]  # mypy cannot infer such a default
    # What protobuf takes for a number: numpy's scalars.
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return lambda value, buffers: encode(value.item(), buffers)
    return _write_foreign


def _write_text(value: str, buffers: list[bytes]) -> Any:
    if len(value) <= INLINE_CHARACTERS:
        return str(value)
    buffers.append(value.encode("utf-8", "surrogatepass"))
    return ["text", len(buffers) - 1]


def _write_bytes(value: bytes, buffers: list[bytes]) -> Any:
    buffers.append(bytes(value))
    return ["bytes", len(buffers) - 1]


def _write_mapping(value: dict[Any, Any], buffers: list[bytes]) -> Any:
    return {str(key): encode(item, buffers) for key, item in value.items()}


def _write_error(value: EchelonError, buffers: list[bytes]) -> Any:
    violations = value.violations if isinstance(value, InvalidInputError) else ()
    said = (public_kind(value).reason, str(value), value.retry_after_s, violations, value.usage)
    return ["error", [encode(item, buffers) for item in said]]


def _write_foreign_error(value: BaseException, buffers: list[bytes]) -> Any:
    said = type(value).__name__
    with suppress(Exception):  # a vendor's own __str__
        said = f"{said}: {value}" if str(value) else said
    trace = "".join(traceback.format_exception(value))
    return ["foreign error", [encode(said[:_TEXT_CHARACTERS], buffers), encode(trace[-_TRACE_CHARACTERS:], buffers)]]


def _read_foreign_error(said: Any, buffers: Sequence[bytes]) -> ForeignError:
    text, trace = (decode(item, buffers) for item in said)
    error = ForeignError(text[:_TEXT_CHARACTERS])
    error.add_note(trace[-_TRACE_CHARACTERS:])
    return error


def _write_foreign(value: Any, buffers: list[bytes]) -> Any:
    return ["foreign", [type(value).__name__, reprlib.repr(value)]]


def _read_foreign(said: Any, buffers: Sequence[bytes]) -> Foreign:
    name, shown = said
    if type(shown) is not str:
        raise TypeError("what a foreign value prints as is text")
    kind: type[Foreign] = type(name, (Foreign,), {})
    return kind(shown)


def _sequence_writer(tag: str) -> Callable[[Any, list[bytes]], Any]:
    return lambda value, buffers: [tag, [encode(item, buffers) for item in value]]


def _enum_writer(kind: type[Any]) -> Callable[[Any, list[bytes]], Any]:
    return lambda value, buffers: [kind.__name__, value.value]


def _record_writer(kind: type[Any]) -> Callable[[Any, list[bytes]], Any]:
    defaults = _defaults(kind)

    def write(value: Any, buffers: list[bytes]) -> Any:
        said = {}
        for name, default in defaults.items():
            item = getattr(value, name)
            # Of one type first: comparing a vendor's odd values may do anything.
            if item is not default and not (type(item) is type(default) and item == default):
                said[name] = encode(item, buffers)
        return [kind.__name__, said]

    return write


def _record_reader(kind: type[Any]) -> Callable[[Any, Sequence[bytes]], Any]:
    known = _defaults(kind)

    def read(said: Any, buffers: Sequence[bytes]) -> Any:
        return kind(**{name: decode(item, buffers) for name, item in said.items() if name in known})

    return read


def _defaults(kind: type[Any]) -> dict[str, Any]:
    """The defaults of what travels of a record, which is what takes part in its comparison."""
    return {field.name: field.default for field in fields(kind) if field.compare}


def _read_error(said: Any, buffers: Sequence[bytes]) -> EchelonError:
    # An older SDK tells no usage.
    reason, message, retry_after_s, violations, usage, *_ = (*(decode(item, buffers) for item in said), None)
    kind = BY_REASON.get(reason, EchelonError)
    return rebuilt(kind, message, retry_after_s=retry_after_s, violations=violations, usage=usage)


_NATIVE = frozenset((bool, int, float, type(None)))
_WRITERS: dict[type[Any], Callable[[Any, list[bytes]], Any]] = {
    str: _write_text,
    bytes: _write_bytes,
    dict: _write_mapping,
    tuple: _sequence_writer("tuple"),
    list: _sequence_writer("list"),
    EchelonError: _write_error,
    BaseException: _write_foreign_error,
    **{kind: _enum_writer(kind) for kind in _ENUMS},
    **{kind: _record_writer(kind) for kind in _RECORDS},
}
_READERS: dict[str, Callable[[Any, Sequence[bytes]], Any]] = {
    "text": lambda at, buffers: buffers[at].decode("utf-8", "surrogatepass"),
    "bytes": lambda at, buffers: buffers[at],
    "tuple": lambda items, buffers: tuple([decode(item, buffers) for item in items]),
    "list": lambda items, buffers: [decode(item, buffers) for item in items],
    "error": _read_error,
    "foreign": _read_foreign,
    "foreign error": _read_foreign_error,
    **{kind.__name__: lambda said, buffers, kind=kind: kind(said) for kind in _ENUMS},  # type: ignore[misc]  # as above
    **{kind.__name__: _record_reader(kind) for kind in _RECORDS},
}
