"""Turns an answer's parts into the one part that the metric takes.

An extractor's id carries a version: another reading of the same answer is another score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

from echelon.adapters import (
    Audio,
    Boxes,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.settings import nearest
from echelon.scorer import reading
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.metrics.metric import InvalidAnswer, PartT
from echelon.scorer.suites.suite import Task

__all__ = ["EXTRACTORS", "Extractor", "InvalidAnswer", "extract", "extractor"]


@dataclass(frozen=True, slots=True)
class Extractor:
    """A way to read an answer; `kind` is what it gives, whatever the model sent."""

    name: str
    version: int
    kind: Kind
    take: Callable[[tuple[Part, ...], Task], Part]

    @property
    def id(self) -> str:
        """Two scores compare only if their extractors' ids are equal."""
        return f"{self.name}@{self.version}"


def extract(name: str, parts: tuple[Part, ...], task: Task) -> Part:
    """What the answer says, as the metric takes it; InvalidAnswer where that is nothing, or more than one thing."""
    try:
        return extractor(name).take(parts, task)
    except reading.UnreadableError as error:
        raise InvalidAnswer(str(error)) from error


def extractor(name: str) -> Extractor:
    """The extractor called `name`."""
    if name not in EXTRACTORS:
        raise UnknownNameError(f"there is no extractor {name!r}{nearest(name, EXTRACTORS)}")
    return EXTRACTORS[name]


def _has(parts: tuple[Part, ...], part_type: type[Part]) -> bool:
    return any(isinstance(part, part_type) for part in parts)


def _only(parts: tuple[Part, ...], part_type: type[PartT]) -> PartT:
    found = [part for part in parts if isinstance(part, part_type)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidAnswer(f"the answer has {len(found)} parts of kind {part_type.kind}, one is wanted")
    kinds = ", ".join(sorted({part.kind for part in parts})) or "nothing"
    raise InvalidAnswer(f"the answer has no {part_type.kind} but {kinds}")


def _sole(part_type: type[Part]) -> Callable[[tuple[Part, ...], Task], Part]:
    return lambda parts, task: _only(parts, part_type)


def _label(parts: tuple[Part, ...], task: Task) -> Choice:
    if not _has(parts, Choice):
        return Choice.of(reading.label_in(_only(parts, Text).value, task.labels))
    choice = _only(parts, Choice)
    if not choice.labels:
        raise InvalidAnswer("the choice has no label")
    return Choice.of(_known(choice.label, task))


def _labels(parts: tuple[Part, ...], task: Task) -> Choice:
    if _has(parts, Choice):
        given = [scored.label for scored in _only(parts, Choice).labels]
    else:
        pieces = re.split(r"[,;\n]", _only(parts, Text).value[-reading.LONGEST :])
        given = [piece.strip() for piece in pieces if piece.strip()]
    return Choice.of(*dict.fromkeys(_known(label, task) for label in given))


def _term(parts: tuple[Part, ...], task: Task) -> Choice:
    said = _label(parts, task).label if _has(parts, Choice) else reading.label_in(_only(parts, Text).value, ())
    return Choice.of(reading.folded(said))


def _terms(parts: tuple[Part, ...], task: Task) -> Choice:
    if _has(parts, Choice):
        given = tuple(reading.folded(scored.label) for scored in _only(parts, Choice).labels)
    else:
        given = reading.terms_of(_only(parts, Text).value)
    return Choice.of(*dict.fromkeys(given))


def _known(said: str, task: Task) -> str:
    label = reading.same_label(said, task.labels) if task.labels else said
    if label is None:
        raise InvalidAnswer(f"{reading.shortened(said)} is none of the task's labels")
    return label


def _number(parts: tuple[Part, ...], task: Task) -> Number:
    if not _has(parts, Number):
        return Number(reading.number_in(_only(parts, Text).value))
    number = _only(parts, Number)
    if not isfinite(number.value):
        raise InvalidAnswer(f"the number is {number.value}")
    return number


def _words(parts: tuple[Part, ...], task: Task) -> Text:
    return Text(reading.words_of(_only(parts, Text).value))


def _points(parts: tuple[Part, ...], task: Task) -> PointCloud:
    if _has(parts, PointCloud) or not _has(parts, Mesh):
        return _only(parts, PointCloud)
    mesh = _only(parts, Mesh)
    return PointCloud(mesh.vertices, mesh.vertex_count)


def _json(parts: tuple[Part, ...], task: Task) -> Json:
    if _has(parts, Json):
        return _only(parts, Json)
    text = _only(parts, Text).value.strip().removeprefix("```json").strip("`").strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidAnswer(f"no JSON in {reading.shortened(text)}") from None
    return Json(text)


EXTRACTORS = MappingProxyType(
    {
        found.name: found
        for found in (
            Extractor("label", 2, Kind.CHOICE, _label),
            Extractor("labels", 1, Kind.CHOICE, _labels),
            Extractor("term", 1, Kind.CHOICE, _term),
            Extractor("terms", 1, Kind.CHOICE, _terms),
            Extractor("number", 1, Kind.NUMBER, _number),
            Extractor("text", 1, Kind.TEXT, _sole(Text)),
            Extractor("words", 1, Kind.TEXT, _words),
            Extractor("mask", 1, Kind.MASK, _sole(Mask)),
            Extractor("boxes", 1, Kind.BOXES, _sole(Boxes)),
            Extractor("image", 1, Kind.IMAGE, _sole(Image)),
            Extractor("audio", 1, Kind.AUDIO, _sole(Audio)),
            Extractor("video", 1, Kind.VIDEO, _sole(Video)),
            Extractor("points", 1, Kind.POINT_CLOUD, _points),
            Extractor("mesh", 1, Kind.MESH, _sole(Mesh)),
            Extractor("json", 1, Kind.JSON, _json),
            Extractor("tensor", 1, Kind.TENSOR, _sole(Tensor)),
        )
    }
)
"""Every extractor by name."""
