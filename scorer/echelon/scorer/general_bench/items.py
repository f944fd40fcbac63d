"""What an item asks and what it accepts as an answer, for every type of annotation that General-Bench has.

The types of language tasks, and their fields, are those that the official code reads. Items of media have no types
that say more than their fields do; one form serves them all.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench.annotations import Document, Item
from echelon.scorer.general_bench.naming import key
from echelon.scorer.general_bench.values import Finder, Line, frames_line, is_medium, media_line, plain_text
from echelon.scorer.suites.lines import TextLine

PROMPT = "{prompt}"
"""The instruction of tasks whose items bring their own."""
VERSION = 1
"""Of all instructions here; raise it with any change to what a model is asked."""
MAX_PROMPT = 65536
MAX_TEXT = 2**20
MAX_PARTS = 256
_PLACE = re.compile(r"<<<(\w+)>>>")
_ANSWER_NAMES = ("answer", "text", "label", "caption", "response", "reference", "prediction", "target")
_PROMPT_NAMES = ("prompt", "question", "instruction")
_HIDDEN = ("gt_dir", "pred_dir")
"""Fields of inputs that no model may see: what is right, and what another model made."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an item asks: places of the instruction, and parts."""

    fields: Mapping[str, str]
    parts: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """How the items of one type are read.

    `answers` gives every acceptable answer as the annotation writes it, none where it holds none; `is_choice` says that
    they are letters of options.
    """

    instruction: str
    ask: Callable[[Item, Finder], Question]
    answers: Callable[[Item], list[Any]]
    is_choice: bool = False
    labels: tuple[str, ...] = ()


def form_of(task: str, document: Document) -> Form:
    """The form of the items of a task."""
    if task in _BY_TASK:
        return _BY_TASK[task]
    told = document.said("type")
    if key(told) in _FORMS:
        return _FORMS[key(told)]
    if isinstance(document.header.get("intent_label"), dict):
        return _intents(document.header["intent_label"])
    if document.items and "video_path" in document.items[0]:
        return _TUBES
    return _OPEN


def option_letters(item: Item) -> tuple[str, ...]:
    """The letters of an item's options."""
    return tuple(string.ascii_uppercase[: len(_options(_value(item, "input.options", ())))])


@dataclass(frozen=True, slots=True)
class _Field:
    """A text that a model is shown: its name, where it stands in the item, and how it is written."""

    name: str
    path: str
    write: Callable[[Any], str] = plain_text
    optional: bool = False


_MISSING: Any = object()


def _value(item: Item, path: str, otherwise: Any = _MISSING) -> Any:
    value: Any = item
    for name in path.split("."):
        value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    if value is _MISSING:
        if otherwise is _MISSING:
            raise InvalidSuiteError(f"the item has no {path!r}")
        return otherwise
    return value


def _given(item: Item, *paths: str) -> Any:
    """The first of these values that is there and not empty; None where none is."""
    return next((found for path in paths if (found := _value(item, path, None)) not in (None, "", [], {})), None)


def _fields(*fields: _Field) -> Callable[[Item, Finder], Question]:
    def ask(item: Item, finder: Finder) -> Question:
        return Question({}, tuple(_shown(item, fields)))

    return ask


def _shown(item: Item, fields: Sequence[_Field]) -> Iterator[Line]:
    for field in fields:
        value = _value(item, field.path, None if field.optional else _MISSING)
        if value not in (None, "", []):
            yield TextLine(field.write(value), name=field.name)


def _one(*paths: str) -> Callable[[Item], list[Any]]:
    """The answer at the first of these paths; a list is alternatives."""

    def answers(item: Item) -> list[Any]:
        found = _given(item, *paths)
        if isinstance(found, list):
            return found
        return [] if found is None else [found]

    return answers


def _first_output(item: Item) -> list[Any]:
    output = _given(item, "output")
    if isinstance(output, Mapping):
        output = next(iter(output.values()))
    return [] if output in (None, "", [], {}) else [output]


def _proof(item: Item) -> list[Any]:
    proof = _given(item, "output.proof")
    if not isinstance(proof, Mapping):
        return []
    return [f"{plain_text(proof.get('steps', []))}\nConclusion: {proof.get('conclusion', '')}"]


def _options(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple) or len(value) > len(string.ascii_uppercase):
        raise InvalidSuiteError("'options' is no list of at most 26")
    return [plain_text(each) for each in value]


def _lettered(value: Any) -> str:
    return "\n".join(f"{letter}. {text}" for letter, text in zip(string.ascii_uppercase, _options(value), strict=False))


def _table(value: Any) -> str:
    """Tables of {header, rows} as lines; any other table as JSON."""
    tables = value if isinstance(value, list) else [value]
    if not all(isinstance(table, Mapping) and isinstance(table.get("rows"), list) for table in tables):
        return plain_text(value)
    rows = [row for table in tables for row in (table.get("header", []), *table["rows"])]
    return "\n".join(" | ".join(map(str, row if isinstance(row, list) else [row])) for row in rows)


def _documents(value: Any) -> str:
    return "\n\n".join(map(plain_text, value)) if isinstance(value, list) else plain_text(value)


def _context(value: Any) -> str:
    """The blocks of a programming task: {type, content}, where an example's content is a list of {input, output}."""
    blocks = value if isinstance(value, list) else [value]
    if not all(isinstance(block, Mapping) for block in blocks):
        return plain_text(value)
    return "\n\n".join(f"{block.get('type', '')}:\n{plain_text(block.get('content', ''))}" for block in blocks)


def _filled_prompt(item: Item, finder: Finder) -> Question:
    """A prompt with `<<<name>>>` places for the input's other fields; what is put in is not searched for places."""
    prompt, raw = str(_value(item, "input.prompt")), str(_value(item, "input.raw_text"))
    inputs = _value(item, "input")
    filled = _PLACE.sub(lambda found: plain_text(inputs[found[1]]) if found[1] in inputs else found[0], prompt)
    parts = () if "<<<raw_text>>>" in prompt else (TextLine(raw, name="raw_text"),)
    return Question({"prompt": filled}, parts)


def _media_question(item: Item, finder: Finder) -> Question:
    """Whatever the input holds: media by their suffix, folders of frames, options, and other fields as text."""
    inputs = _value(item, "input")
    if isinstance(inputs, str):
        inputs = {"file" if is_medium(inputs) else "prompt": inputs}
    if not isinstance(inputs, Mapping):
        raise InvalidSuiteError(f"'input' is {type(inputs).__name__}, not an object or a text")
    prompt_name = next((name for name in _PROMPT_NAMES if isinstance(inputs.get(name), str)), None)
    shown = [(name, value) for name, value in inputs.items() if name not in (prompt_name, *_HIDDEN)]
    parts = tuple(
        line for name, value in shown if value not in (None, "", []) for line in _input_lines(name, value, finder)
    )
    if not parts and prompt_name is None:
        raise InvalidSuiteError("the input holds nothing to ask with")
    return Question({"prompt": inputs[prompt_name]} if prompt_name else {}, parts)


def _input_lines(name: str, value: Any, finder: Finder) -> Iterator[Line]:
    if is_medium(value):
        yield media_line(value, finder, part_name=name[:64])
    elif isinstance(value, list) and value and all(map(is_medium, value)):
        if "video" in name:
            yield frames_line(tuple(value), finder, part_name=name[:64])
        else:
            yield from (media_line(each, finder, part_name=name[:64]) for each in value)
    elif name == "video_folder" and isinstance(value, str):
        yield frames_line(finder.find_folder(value), finder, part_name=name)
    elif name == "options":
        yield TextLine(_lettered(value), name=name)
    else:
        yield TextLine(plain_text(value), name=name[:64])


def _media_answers(item: Item) -> list[Any]:
    """What the output holds, of several fields the one that is an answer; a list of texts is alternatives."""
    output = _given(item, "output", "input.gt_dir")
    if isinstance(output, Mapping):
        known = next((output[name] for name in _ANSWER_NAMES if name in output), None)
        output = known if known is not None else next(iter(output.values())) if len(output) == 1 else output
    return [] if output in (None, "", [], {}) else [output]


def _yes_or_no(item: Item) -> list[Any]:
    """Sounds are or are not there: 1 and 0 are the words that the prompt asks for."""
    return [("No", "Yes")[answer] if answer in (0, 1) else answer for answer in _media_answers(item)]


def _intents(header: Mapping[str, Any]) -> Form:
    """Intents are three words, or their numbers; the header lists what each may be."""
    codes = [words if isinstance(words, Mapping) else {} for words in header.values()]
    listed = [[word for word in words if not word[:1].isdigit()] or list(words.values()) for words in codes]
    choices = "\n".join(f"{name}: {', '.join(map(str, words))}" for name, words in zip(header, listed, strict=True))

    def ask(item: Item, finder: Finder) -> Question:
        question = _media_question(item, finder)
        return Question(question.fields, (*question.parts, TextLine(choices, name="intent_label")))

    def word(code: str, words: Mapping[str, Any]) -> str:
        return str(words.get(code, code)) if code[:1].isdigit() else code

    def answers(item: Item) -> list[Any]:
        return [
            " ".join(word(code, words) for code, words in zip(str(answer).split(), codes, strict=False))
            for answer in _media_answers(item)
        ]

    return Form(PROMPT, ask, answers)


def _tube_question(item: Item, finder: Finder) -> Question:
    video = media_line(str(_value(item, "video_path")), finder, part_name="video")
    return Question({"prompt": str(_value(item, "caption"))}, (video,))


def _tube(item: Item) -> list[Any]:
    """Boxes by frame from 0: a list begins at the tube's first frame, counted from 1; a mapping counts from 0."""
    boxes, start, end = (_given(item, name) for name in ("trajectory", "tube_start_frame", "tube_end_frame"))
    if isinstance(boxes, list) and isinstance(start, int):
        return [{str(start - 1 + n): {"bbox": box} for n, box in enumerate(boxes)}]
    if isinstance(boxes, Mapping) and isinstance(end, int):
        first = start if isinstance(start, int) else 0
        inside = {frame: box for frame, box in boxes.items() if not frame.isdecimal() or first <= int(frame) < end}
        return [inside] if inside else []
    return []


def _letters(item: Item) -> list[Any]:
    """The letters of the right options, which may stand there in full."""
    options = _options(_value(item, "input.options", ()))
    return [
        string.ascii_uppercase[options.index(answer)] if answer in options and len(str(answer)) > 1 else answer
        for answer in _one("output.answer")(item)
    ]


_TEXT = _Field("text", "input.text")
_QUESTION = _Field("question", "input.question")
_TYPES: Mapping[str, Form] = {
    "MultipleChoiceQA": Form(
        "Answer the question with the letter of the right option.",
        _fields(_QUESTION, _Field("options", "input.options", _lettered)),
        _letters,
        is_choice=True,
    ),
    "OpenQA": Form(
        "Answer the question in as few words as possible.",
        _fields(
            _Field("context", "input.context", optional=True),
            _Field("table", "input.table", _table, optional=True),
            _QUESTION,
        ),
        _one("output.answer"),
    ),
    "Summarization": Form(
        "Summarise the text.",
        _fields(
            _Field("document", "document", optional=True),
            _Field("documents", "document_list", _documents, optional=True),
        ),
        _one("output.summary", "output.highlights"),
    ),
    "Translation": Form(
        "Translate the text; answer with the translation alone.",
        _fields(_Field("from", "in"), _Field("to", "out"), _Field("text", "input")),
        lambda item: _one("output")(item) if isinstance(item.get("output"), str) else _one("output.translation")(item),
    ),
    "Story Generation": Form("Write the story.", _fields(_Field("prompt", "input.prompt")), _one("output.story")),
    "Dialogue": Form("Answer as the next speaker.", _fields(_Field("dialog", "dialog")), _one("output.reference")),
    "Code Generation": Form(
        "Write the program; answer with code alone.",
        _fields(_Field("language", "language"), _Field("goal", "goal"), _Field("context", "context", _context)),
        _one("output.response.content"),
    ),
    "Code Repair": Form(
        "Repair the program; answer with code alone.",
        _fields(_Field("prompt", "input.prompt", optional=True), _Field("code", "input.sourceCode")),
        _one("output.repairCode"),
    ),
    "Code Defect Detection": Form(
        "Does the function have a defect? Answer 1 if it has one, else 0.",
        _fields(_Field("code", "func")),
        _one("output.target"),
    ),
    "Text to SQL": Form(
        "Write the SQL query that answers the question; answer with the query alone.",
        _fields(_Field("context", "input.context"), _QUESTION),
        _one("output.sql"),
    ),
    "Code Explanation": Form("Say what the code does.", _fields(_Field("code", "code")), _one("output.nl")),
    "Proof": Form(
        'Prove the statement, step by step; put the result behind "Conclusion:" in the last line.',
        _fields(_Field("statement", "statement")),
        _proof,
    ),
    "Mathematical Word Problem Solving": Form(
        "Solve the problem; answer with the result alone.",
        _fields(_Field("problem", "problem.text"), _Field("constraints", "problem.constraints", optional=True)),
        _one("output.solution.final_answer"),
    ),
    "Paraphrase Generation": Form(
        "Say the same in other words.",
        _fields(_Field("sentence", "input.originalSentence")),
        _one("output.paraphraseSentence"),
    ),
    "Grammar Correction": Form(
        "Correct the sentence; answer with it alone.",
        _fields(
            _Field("error", "input.Error Type", optional=True), _Field("sentence", "input.Ungrammatical Statement")
        ),
        _one("output.Standard English"),
    ),
    "Text Style Transfer": Form(
        "Write the text in the given style; answer with it alone.",
        _fields(_Field("style", "input.style"), _TEXT),
        _one("output.answer"),
    ),
    "Table-to-Text Generation": Form(
        "Say in words what the table tells.",
        _fields(_Field("table", "input.table", _table)),
        _one("output.response.text"),
    ),
    "Time Series": Form(
        "Which value comes next? Answer with the number alone.",
        _fields(_Field("data", "input.data")),
        _one("output.target"),
    ),
}
_PROMPTED = (
    "classification",
    "multiple choice",
    "multi label classification",
    "ner",
    "extraction",
    "relation extraction",
    "event detection",
    "parsing",
)
_FORMS: Mapping[str, Form] = MappingProxyType(
    {
        **{key(name): form for name, form in _TYPES.items()},
        **dict.fromkeys(map(key, _PROMPTED), Form(PROMPT, _filled_prompt, _first_output)),
    }
)
_OPEN = Form(PROMPT, _media_question, _media_answers)
_TUBES = Form(PROMPT, _tube_question, _tube)
_BY_TASK: Mapping[str, Form] = MappingProxyType(
    {"Bird Sound Detection": Form(PROMPT, _media_question, _yes_or_no, labels=("Yes", "No"))}
)
