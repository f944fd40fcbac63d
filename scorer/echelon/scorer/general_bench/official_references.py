"""What General-Level's evaluators compare answers with, by the type of an annotation or by the task.

Read off processors/nlp_processor.py and the predictors of audio and video of the official repository at 420b8eb. A
function gives the alternatives of an item as texts, none where the evaluator leaves the item out; it raises
InvalidSuiteError where the evaluator stops with an error, so that the task has no official score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench.annotations import Document, Item

References: TypeAlias = Callable[[Item], list[str]]

LABEL_TYPES = ("classification", "multiple choice")
LABEL_SET_TYPES = (
    "multi label classification",
    "ner",
    "extraction",
    "relation extraction",
    "event detection",
    "parsing",
)
_SEPARATOR = "<p>"


def text_references(document: Document) -> References:
    """The references of a language task, by the annotation's type exactly as it is spelled."""
    type_ = document.header.get("type", "")
    if type_ in LABEL_TYPES:
        return _label
    if type_ in LABEL_SET_TYPES:
        return _label_set
    if type_ in _ONE_TEXT:
        return lambda item: _single(_ONE_TEXT[type_](item))
    read = _BY_TYPE.get(type_, _first_value) if isinstance(type_, str) else _first_value
    return lambda item: _alternatives(read(item))


def audio_references(task: str, document: Document) -> References | None:
    """The references of an audio task, None where the official script does not know the task."""
    if task == "Intent Classification":
        return lambda item: [_intent(item, document)]
    return _AUDIO.get(task)


def video_references(spelling: str) -> References | None:
    """The references of a video task that is answered in words, by the sheet's metric; None for the others."""
    return _VIDEO.get(spelling)


def _output(item: Item) -> Mapping[str, Any]:
    return _mapping(item.get("output", {}), "output")


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidSuiteError(f"the official evaluator stops with an error, as {name!r} is not an object")
    return value


def _field(name: str) -> Callable[[Item], Any]:
    return lambda item: _output(item).get(name)


def _nested(outer: str, inner: str) -> Callable[[Item], Any]:
    return lambda item: _mapping(_output(item).get(outer, {}), outer).get(inner)


def _summary(item: Item) -> Any:
    output = _output(item)
    return output.get("summary") or output.get("highlights")


def _translation(item: Item) -> Any:
    output = item.get("output", {})
    return output if isinstance(output, str) else _mapping(output, "output").get("translation")


def _proof(item: Item) -> str:
    proof = _mapping(_output(item).get("proof", {}), "proof")
    steps = proof.get("steps", [])
    if isinstance(steps, str):
        steps = list(steps)
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise InvalidSuiteError("the official evaluator stops with an error, as the steps of a proof are not texts")
    return "\n".join(steps) + f"\nConclusion: {proof.get('conclusion', '')}"


def _first_value(item: Item) -> Any:
    output = item.get("output", {})
    return next(iter(_mapping(output, "output").values())) if output else ""


def _label(item: Item) -> list[str]:
    value = _first_value(item)
    if not isinstance(value, str):
        raise InvalidSuiteError(f"the official evaluator stops with an error, as the label {value!r} is not a text")
    return [value.lower()]


def _label_set(item: Item) -> list[str]:
    value = _first_value(item)
    return [_SEPARATOR.join(value.lower().split(", "))] if isinstance(value, str) else [""]


def _single(value: Any) -> list[str]:
    return [] if value is None else [str(value)]


def _alternatives(value: Any) -> list[str]:
    """A text, or each of a list; of an object its names, as Python iterates over it."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | Mapping):
        raise InvalidSuiteError(f"the official evaluator stops with an error, as the answer {value!r} is not a text")
    return [str(each) for each in value]


_ONE_TEXT: Mapping[str, Callable[[Item], Any]] = MappingProxyType(
    {
        "Code Defect Detection": lambda item: str(_output(item).get("target")),
        "Time Series": _field("target"),
    }
)
"""Types whose reference becomes one text, whatever it is."""
_BY_TYPE: Mapping[str, Callable[[Item], Any]] = MappingProxyType(
    {
        "Code Explanation": _field("nl"),
        "Code Generation": _nested("response", "content"),
        "Code Repair": _field("repairCode"),
        "Dialogue": _field("reference"),
        "Grammar Correction": _field("Standard English"),
        "Mathematical Word Problem Solving": _nested("solution", "final_answer"),
        "MultipleChoiceQA": _field("answer"),
        "OpenQA": _field("answer"),
        "Paraphrase Generation": _field("paraphraseSentence"),
        "Proof": _proof,
        "Story Generation": _field("story"),
        "Summarization": _summary,
        "Table-to-Text Generation": _nested("response", "text"),
        "Text Style Transfer": _field("answer"),
        "Text to SQL": _field("sql"),
        "Translation": _translation,
    }
)


def _required(item: Item, name: str) -> Any:
    if name not in _output(item):
        raise InvalidSuiteError(f"the official script stops with an error, as the output has no {name!r}")
    return _output(item)[name]


def _answer_text(item: Item) -> Any:
    return _required(item, "text")


def _alternative_words(name: str) -> References:
    return lambda item: _alternatives(_required(item, name))


def _caption(item: Item) -> list[str]:
    return [_one_word(_required(item, "text"))]


def _word(item: Item) -> list[str]:
    return [_one_word(_answer_text(item))]


def _one_word(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidSuiteError(f"the official script stops with an error, as the answer {value!r} is not a text")
    return value


def _lower_word(item: Item) -> list[str]:
    return [word.strip().lower() for word in _word(item)]


def _words(item: Item) -> list[str]:
    value = _answer_text(item)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    return _word(item)


def _yes_or_no(item: Item) -> list[str]:
    return ["Yes" if _answer_text(item) == 1 else "No"]


def _qualities(item: Item) -> list[str]:
    value = _answer_text(item)
    if not isinstance(value, list | str) or not all(isinstance(each, str) for each in value):
        raise InvalidSuiteError(f"the official script stops with an error, as the qualities {value!r} are not texts")
    return [",".join(value)]


def _intent(item: Item, document: Document) -> str:
    """Three codes, all of which the script looks up among the actions."""
    intents = document.header.get("intent_label")
    actions = intents.get("action") if isinstance(intents, Mapping) else None
    codes = " ".join(_word(item)).split()[:3]
    if not isinstance(actions, Mapping) or len(codes) < 3 or not all(code in actions for code in codes):
        raise InvalidSuiteError(
            "the official script stops with an error, as it looks up action, object and location among the actions, "
            f"and these lack one of {codes}"
        )
    return " ".join(str(actions[code]) for code in codes)


_AUDIO: Mapping[str, References] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "Audio Question Answering",
                "Environment Sound Recognition",
                "Music Genre Classification",
                "Music Instrument Classification",
                "Music Instrument Source Analysis",
                "Music Pitch Analysis",
                "Open-ended Audio Question Answering",
                "Sound Event Recognition",
            ),
            _word,
        ),
        **dict.fromkeys(
            (
                "Acoustic Scene Recognition",
                "Animal Sound Detection",
                "Speech Command",
                "Speech Emotion Recognition",
                "Vocal Sound Classification",
                "Vocal Technique Detection",
            ),
            _lower_word,
        ),
        **dict.fromkeys(("Accent Sex Classification", "Long Audio Captioning", "Wild Audio Captioning"), _words),
        "Bird Sound Detection": _yes_or_no,
        "Note Qualities Analysis": _qualities,
    }
)
_VIDEO: Mapping[str, References] = MappingProxyType(
    {"ACC": _alternative_words("answer"), "Acc": _alternative_words("text"), "BLEU-1": _caption}
)
