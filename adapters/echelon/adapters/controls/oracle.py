"""A model that knows every answer of a suite; a score below perfect shows a fault of the evaluation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echelon.adapters.adapter import BatchAdapter
from echelon.adapters.calls import Answer, Request
from echelon.adapters.controls import form
from echelon.adapters.errors import InvalidInputError, SettingsError
from echelon.adapters.plain import from_plain, request_digest, to_plain
from echelon.adapters.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from echelon.adapters.calls import Returned
    from echelon.adapters.card import Card
    from echelon.adapters.content import Part


@dataclass(frozen=True)
class OracleSettings:
    """`answers` is a file of JSON lines as `answer_line` writes them."""

    answers: Path


@dataclass(frozen=True)
class Line:
    """One answer of the file, by the digest of its request."""

    digest: str
    answer: dict[str, Any]


def answer_line(request: Request, answer: Part) -> str:
    """The line of an answers file that makes the oracle give `answer` to `request`."""
    return json.dumps({"digest": request_digest(request), "answer": to_plain(answer)}, ensure_ascii=False)


class Oracle(BatchAdapter[OracleSettings]):
    """Looks each request's answer up by the request's digest."""

    def open(self, settings: OracleSettings) -> None:
        self._answers = dict(_read(settings.answers))

    def card(self) -> Card:
        return form.card("Knows the answers.")

    def comprehend(self, requests: Sequence[Request]) -> Sequence[Returned]:
        return [self._answer(request) for request in requests]

    generate = language = comprehend

    def _answer(self, request: Request) -> Returned:
        digest = request_digest(request)
        if digest not in self._answers:
            return InvalidInputError(f"the answers file has nothing for the request {digest}")
        return Answer((self._answers[digest],))


def _read(path: Path) -> Iterator[tuple[str, Part]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield _parse(line, f"{path}, line {number}")
    except OSError as error:
        raise SettingsError(f"cannot read the answers file {path}: {error.strerror}") from error


def _parse(line: str, where: str) -> tuple[str, Part]:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{where}: not JSON: {error}") from error
    parsed = load(Line, values, where=where)
    return parsed.digest, from_plain(parsed.answer, where=where)
