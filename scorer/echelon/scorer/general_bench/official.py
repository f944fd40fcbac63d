"""What the official evaluators do: that of language chooses a metric by the annotation's type, not by the sheet.

Read off processors/nlp_processor.py and the video predictors of the official repository at 420b8eb. The latter ask a
model and measure in one go; of them the measuring alone is here. For other tasks there is no evaluator that runs.
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
_OF_VIDEOS: Mapping[str, Chosen] = MappingProxyType(
    {
        "ACC": _ACC,
        "AUC": Chosen("J&F", "j_and_f_official"),
        "Acc": Chosen("Acc", "accuracy_contains_official"),
        "BLEU-1": Chosen("BLEU-1", "bleu1"),
        "EPE": Chosen("EPE", "epe_official"),
        "PSNR": Chosen("PSNR", "psnr_video_official"),
        "Structure measure": Chosen("Structure measure", "s_measure_official"),
        "absRel": Chosen("absRel", "abs_rel_official"),
        "mIoU": Chosen("mIoU", "miou_video_official"),
        "m_vIoU": Chosen("m_vIoU", "m_viou"),
    }
)
"""By the sheet's spelling: which task is measured how is told by lists of names, which come to the same."""


def chosen(entry: Entry, document: Document) -> Chosen | None:
    """The metric that the official evaluator takes, None where there is none that runs.

    In language, whatever it does not know is a question.
    """
    if entry.modality is Modality.VIDEO:
        return _OF_VIDEOS.get(entry.metric)
    return _BY_TYPE.get(key(document.said("type")), _F1) if entry.modality is Modality.LANGUAGE else None


def form_of(form: Form, entry: Entry, document: Document) -> Form:
    """A form whose references are those that the official evaluator compares."""
    if entry.modality is not Modality.LANGUAGE:
        return form
    return replace(form, answers=lambda item: [_reference_text(each, document) for each in form.answers(item)])


def reading_of(entry: Entry, document: Document) -> mapping.Reading:
    """How the official evaluator measures a document's task."""
    found = chosen(entry, document)
    if found is None:
        return replace(mapping.reading_of(entry), problem=UNAVAILABLE)
    return mapping.reading_of(entry, name=found.metric)


def conversion_fault(entry: Entry, document: Document) -> str:
    """That the official evaluator computes another metric than the sheet asks for, empty where it does not."""
    found = chosen(entry, document)
    if found is None or alike(found.spelling, entry.metric):
        return ""
    return (
        f"{entry.task}: the official evaluator computes {found.spelling} for annotations of type "
        f"{document.said('type')!r}, the sheet asks for {entry.metric}; officially the row stays empty"
    )


def _reference_text(answer: Any, document: Document) -> str:
    """A reference as the official evaluator compares it; labels are in lower case, and sets separated by `<p>`."""
    type_ = key(document.said("type"))
    if type_ in _LABEL_SETS:
        return "<p>".join(answer.lower().split(", ")) if isinstance(answer, str) else ""
    return str(answer).lower() if type_ in _LABELS else str(answer)
