"""Requests that a vendor gives, as JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echelon.adapters.calls import Call, Request
from echelon.adapters.content import Kind
from echelon.adapters.errors import SettingsError
from echelon.adapters.plain import from_plain, to_plain
from echelon.adapters.settings import load


@dataclass(frozen=True)
class Line:
    """One line of the file; parts are as `echelon.adapters.plain` writes them."""

    call: Call
    instruction: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)
    output_kinds: list[Kind] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


def request_line(request: Request) -> str:
    """The line for `request`; sampling and id stay behind."""
    said = {
        "call": request.call,
        "instruction": request.instruction,
        "parts": [to_plain(part) for part in request.parts],
        "output_kinds": request.output_kinds,
        "labels": request.labels,
    }
    return json.dumps(said, ensure_ascii=False)


def read_requests(path: Path) -> tuple[Request, ...]:
    """The requests in a file; SettingsError names file, line and fault."""
    try:
        # Not splitlines, which also parts text at marks that JSON leaves as they are.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the requests in {path}: {error}") from error
    return tuple(_request(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip())


def _request(line: str, where: str) -> Request:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{where}: not JSON: {error}") from error
    said = load(Line, values, where=where)
    parts = tuple(from_plain(part, where=f"{where}: parts[{place}]") for place, part in enumerate(said.parts))
    return Request(said.call, said.instruction, parts, tuple(said.output_kinds), tuple(said.labels))
