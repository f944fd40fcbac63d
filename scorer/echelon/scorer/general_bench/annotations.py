"""Annotation and prediction files: one JSON document, a list of items with or without a header around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from echelon.scorer.errors import InvalidSuiteError

MAX_BYTES = 512 * 2**20
MAX_ID = 128

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """What such a file says; the header is empty for a bare list."""

    header: Mapping[str, Any]
    items: Sequence[Item]

    def said(self, name: str) -> str:
        """A text of the header, empty where there is none."""
        value = self.header.get(name, "")
        return value.strip() if isinstance(value, str) else ""


def read_document(path: Path) -> Document:
    """The document in `path`; InvalidSuiteError where it is not of that form."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidSuiteError(f"{path} has {size} bytes, at most {MAX_BYTES} are taken")
        value = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise InvalidSuiteError(f"cannot read {path}: {error.strerror}") from error
    # Nested brackets alone exhaust the decoder's recursion.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSuiteError(f"{path} is not valid JSON: {error}") from error
    header, items = ({}, value) if isinstance(value, list) else _opened(path, value)
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidSuiteError(f"{path}: item {number} of 'data' is no object but {type(item).__name__}")
    return Document(MappingProxyType(header), items)


def _opened(path: Path, value: Any) -> tuple[dict[str, Any], list[Any]]:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise InvalidSuiteError(f'{path} is neither a list of items nor an object with a list "data"')
    return {name: each for name, each in value.items() if name != "data"}, value["data"]


def item_ids(path: Path, items: Sequence[Item]) -> tuple[str, ...]:
    """The items' ids as text; items that all have none are numbered from 0.

    InvalidSuiteError for ids that are missing here and there, used twice, or neither text nor a whole number.
    """
    if not any("id" in item for item in items):
        return tuple(map(str, range(len(items))))
    ids = tuple(_id(path, number, item) for number, item in enumerate(items))
    twice = [each for each, count in Counter(ids).items() if count > 1]
    if twice:
        raise InvalidSuiteError(f"{path}: {len(twice)} ids are used more than once, {twice[0]!r} for one")
    return ids


def _id(path: Path, number: int, item: Item) -> str:
    told = id_text(item.get("id"))
    if told is None:
        raise InvalidSuiteError(
            f"{path}: item {number} has the id {item.get('id')!r}; "
            f"an id is a whole number or a text of 1 to {MAX_ID} characters"
        )
    return told


def id_text(value: Any) -> str | None:
    """An id as text, so that 7 and "7" are the same; None for what can be none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and 1 <= len(value) <= MAX_ID else None
