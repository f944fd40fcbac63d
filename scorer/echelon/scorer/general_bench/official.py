"""What the official evaluator of language tasks does: it chooses a metric by the annotation's type, not by the sheet.

Read off processors/nlp_processor.py of the official repository at 420b8eb. For other modalities there is no evaluator
that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from echelon.scorer.general_bench import mapping
from echelon.scorer.general_bench.annotations import Document
from echelon.scorer.general_bench.catalogue import Entry
from echelon.scorer.general_bench.items import Form
from echelon.scorer.general_bench.measures import alike
from echelon.scorer.general_bench.naming import key
from echelon.scorer.suites.suite import Modality

UNAVAILABLE = "official: there is no official evaluator of this task that runs"


class Chosen(NamedTuple):
    """A metric as the official evaluator writes it, and ours that computes the same."""

    spelling: str
    metric: str


_ACC = Chosen("ACC", "accuracy_official")
_F1 = Chosen("F1", "token_f1_official")
_MICRO = Chosen("Micro-F1", "micro_f1_official")
_ROUGE = Chosen("ROUGE-1", "rouge1")
_BLEU = Chosen("BLEU-1", "bleu1_official")
_CODE = Chosen("CodeBLEU", "codebleu")
_LABEL_SETS = frozenset(
    map(key, ("multi label classification", "ner", "extraction", "relation extraction", "event detection", "parsing"))
)
_LABELS = frozenset(map(key, ("classification", "multiple choice")))
_BY_TYPE: Mapping[str, Chosen] = MappingProxyType(
    {
        key(type_): chosen
        for chosen, types in (
            (_ACC, ("MultipleChoiceQA", "Code Defect Detection", "Text to SQL", "Mathematical Word Problem Solving")),
            (_ROUGE, ("Summarization", "Translation")),
            (_CODE, ("Code Generation", "Code Repair")),
            (
                _BLEU,
                (
                    "Story Generation",
                    "Dialogue",
                    "Paraphrase Generation",
                    "Grammar Correction",
                    "Text Style Transfer",
                    "Table-to-Text Generation",
                    "Code Explanation",
                    "Proof",
                ),
            ),
            (Chosen("MAE", "mae"), ("Time Series",)),
            (_MICRO, (*_LABELS, *_LABEL_SETS)),
        )
        for type_ in types
    }
)


def chosen(document: Document) -> Chosen:
    """The metric that the official evaluator takes for a document; whatever it does not know is a question."""
    return _BY_TYPE.get(key(document.said("type")), _F1)


def form_of(form: Form, document: Document) -> Form:
    """A form whose references are those that the official evaluator compares."""
    return replace(form, answers=lambda item: [_reference_text(each, document) for each in form.answers(item)])


def reading_of(entry: Entry, document: Document) -> mapping.Reading:
    """How the official evaluator measures a document's task."""
    if entry.modality is not Modality.LANGUAGE:
        return replace(mapping.reading_of(entry), problem=UNAVAILABLE)
    return mapping.reading_of(entry, name=chosen(document).metric)


def conversion_fault(entry: Entry, document: Document) -> str:
    """That the official evaluator computes another metric than the sheet asks for, empty where it does not."""
    if entry.modality is not Modality.LANGUAGE:
        return ""
    spelling = chosen(document).spelling
    if alike(spelling, entry.metric):
        return ""
    return (
        f"{entry.task}: the official evaluator computes {spelling} for annotations of type {document.said('type')!r}, "
        f"the sheet asks for {entry.metric}; officially the row stays empty"
    )


def _reference_text(answer: Any, document: Document) -> str:
    """A reference as the official evaluator compares it; labels are in lower case, and sets separated by `<p>`."""
    type_ = key(document.said("type"))
    if type_ in _LABEL_SETS:
        return "<p>".join(answer.lower().split(", ")) if isinstance(answer, str) else ""
    return str(answer).lower() if type_ in _LABELS else str(answer)
