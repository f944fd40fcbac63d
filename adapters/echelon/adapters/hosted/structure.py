"""Answers that are more than text: what to ask for, the JSON schema that enforces it, and how it is read.

Reading is strict. What does not parse is no answer of that kind, and nothing here guesses one out of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from echelon.adapters.content import Box, Boxes, BoxSpace, Choice, Image, Json, Kind, Number, Part, Text, Video

if TYPE_CHECKING:
    from echelon.adapters.calls import Request
    from echelon.adapters.hosted.settings import Offer

WORDING = 1
"""Rises whenever what models are told here changes, for that changes what they answer."""
MOST_ENUM_LABELS = 250
MOST_ENUM_CHARACTERS = 7500
"""What schemas may list with every API that was looked at; more labels are only told."""
LONGEST_LABEL = 256
EDGES = ("x_min", "y_min", "x_max", "y_max")
THOUSANDTH = 1000.0

Coordinates = Literal["pixel", "unit", "thousandth"]


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of answer is asked for and read."""

    kind: Kind
    hint: str = ""
    """What the model is told about it."""
    schema: Mapping[str, Any] | None = None
    read: Callable[[str], Part | None] = Text
    """The part that a text holds, None where it holds none."""
    write: Callable[[Part], str | None] = lambda part: None
    """The other way, for solved examples; None where the part is of another kind."""

    @property
    def is_structured(self) -> bool:
        """Whether the answer has to be JSON."""
        return bool(self.hint)


def form_of(request: Request, offer: Offer, coordinates: Coordinates) -> Form:
    """The form in which to answer: a choice where labels are offered, else the first kind that is allowed."""
    allowed = [kind for kind in request.output_kinds if kind in offer.gives] or list(offer.gives)
    kind = Kind.CHOICE if request.labels and Kind.CHOICE in allowed else allowed[0]
    build = _BUILD.get(kind)
    return Form(kind) if build is None else build(request, coordinates)


def _choice(request: Request, coordinates: Coordinates) -> Form:
    hint = 'Answer with JSON: {"labels": [...]} holds the label, or every label if several are asked for, best first.'
    if request.labels:
        hint += f" The labels to choose from: {json.dumps(request.labels, ensure_ascii=False)}"
    schema = _object(labels={"type": "array", "items": _label_schema(request.labels)})
    return Form(Kind.CHOICE, hint, schema, _read_choice, _write_choice)


def _read_choice(text: str) -> Part | None:
    labels = _fields(text, "labels").get("labels")
    if not isinstance(labels, list) or not labels or not all(_is_label(label) for label in labels):
        return None
    return Choice.of(*dict.fromkeys(labels))


def _write_choice(part: Part) -> str | None:
    return _json(labels=[scored.label for scored in part.labels]) if isinstance(part, Choice) else None


def _number(request: Request, coordinates: Coordinates) -> Form:
    hint = 'Answer with JSON: {"number": ...} holds the number alone.'
    return Form(Kind.NUMBER, hint, _object(number={"type": "number"}), _read_number, _write_number)


def _read_number(text: str) -> Part | None:
    value = _fields(text, "number").get("number")
    return Number(float(value)) if _is_number(value) else None


def _write_number(part: Part) -> str | None:
    return _json(number=part.value) if isinstance(part, Number) else None


_MEASURED = {
    "pixel": "pixels of the image, from its upper left corner",
    "unit": "fractions of the image's width and height, from its upper left corner",
    "thousandth": "whole thousandths of the image's width and height, from its upper left corner",
}


def _boxes(request: Request, coordinates: Coordinates) -> Form:
    hint = (
        'Answer with JSON: {"boxes": [{"label": ..., "x_min": ..., "y_min": ..., "x_max": ..., "y_max": ..., '
        f'"score": ...}}]}} in {_MEASURED[coordinates]}; the score is how sure you are, from 0 to 1.'
    )
    if request.labels:
        hint += f" The labels to choose from: {json.dumps(request.labels, ensure_ascii=False)}"
    numbers = {name: {"type": "number"} for name in (*EDGES, "score")}
    schema = _object(boxes={"type": "array", "items": _object(label=_label_schema(request.labels), **numbers)})
    return Form(Kind.BOXES, hint, schema, lambda text: _read_boxes(text, request, coordinates))


def _read_boxes(text: str, request: Request, coordinates: Coordinates) -> Part | None:
    items = _fields(text, "boxes").get("boxes")
    if not isinstance(items, list):
        return None
    width, height = _scale(request) if coordinates == "thousandth" else (1.0, 1.0)
    boxes = [_box(item, width, height) for item in items]
    if any(box is None for box in boxes):
        return None
    space = BoxSpace.UNIT if coordinates == "unit" else BoxSpace.PIXEL
    return Boxes(tuple(box for box in boxes if box is not None), space)


def _box(item: Any, width: float, height: float) -> Box | None:
    if not isinstance(item, dict) or item.keys() != {"label", "score", *EDGES}:
        return None
    if not isinstance(item["label"], str) or not all(_is_number(item[name]) for name in (*EDGES, "score")):
        return None
    x_min, y_min, x_max, y_max = (float(item[name]) for name in EDGES)
    if x_min > x_max or y_min > y_max:
        return None
    return Box(x_min * width, y_min * height, x_max * width, y_max * height, item["label"], float(item["score"]))


def _scale(request: Request) -> tuple[float, float]:
    """Pixels in a thousandth of the sides of what is looked at."""
    looked_at = next((part for part in request.parts if isinstance(part, Image | Video)), None)
    image = looked_at.frames[0].image if isinstance(looked_at, Video) and looked_at.frames else looked_at
    if not isinstance(image, Image):
        return 1.0, 1.0
    height, width = (image.height, image.width) if image.width and image.height else image.array().shape[:2]
    return width / THOUSANDTH, height / THOUSANDTH


def _document(request: Request, coordinates: Coordinates) -> Form:
    return Form(Kind.JSON, "Answer with one JSON document and nothing else.", None, _read_document, _write_document)


def _read_document(text: str) -> Part | None:
    text = _unfenced(text)
    return None if _loaded(text) is _NOTHING else Json(text)


def _write_document(part: Part) -> str | None:
    return part.value if isinstance(part, Json) else None


_BUILD: Mapping[Kind, Callable[[Request, Coordinates], Form]] = {
    Kind.CHOICE: _choice,
    Kind.NUMBER: _number,
    Kind.BOXES: _boxes,
    Kind.JSON: _document,
}


def _object(**properties: Any) -> dict[str, Any]:
    """The schema of an object that has exactly these fields."""
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _label_schema(labels: tuple[str, ...]) -> dict[str, Any]:
    listed = labels and len(labels) <= MOST_ENUM_LABELS and sum(map(len, labels)) <= MOST_ENUM_CHARACTERS
    return {"type": "string", "enum": list(dict.fromkeys(labels))} if listed else {"type": "string"}


_NOTHING = object()


def _loaded(text: str) -> Any:
    """The document in a text; `_NOTHING` where there is none, or one that says a key twice or holds a NaN."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NOTHING


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _fields(text: str, *names: str) -> dict[str, Any]:
    """The fields of the object in a text, which are these and no others; empty where it is not so."""
    found = _loaded(_unfenced(text))
    return found if isinstance(found, dict) and found.keys() == set(names) else {}


def _unfenced(text: str) -> str:
    """A text without the code fence that models like to put around JSON."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        text = text.partition("\n")[2].removesuffix("```").strip()
    return text


def _json(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False)


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_LABEL


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
