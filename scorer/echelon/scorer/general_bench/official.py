"""What the official evaluators do: that of language chooses a metric by the annotation's type, not by the sheet.

Read off processors/nlp_processor.py and the predictors of the official repository at 420b8eb. The predictors of audio
and video ask a model and measure in one go; of them the measuring alone is here. Other tasks have no evaluator that
runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from echelon.adapters import Part, Text
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench import mapping
from echelon.scorer.general_bench.annotations import Document, Item
from echelon.scorer.general_bench.catalogue import Entry
from echelon.scorer.general_bench.items import Form
from echelon.scorer.general_bench.measures import alike
from echelon.scorer.general_bench.official_references import (
    LABEL_SET_TYPES,
    LABEL_TYPES,
    References,
    audio_references,
    text_references,
    video_references,
)
from echelon.scorer.suites.suite import Modality, Paradigm, Task

UNAVAILABLE = "official: there is no official evaluator of this task that runs"


class Chosen(NamedTuple):
    """A metric as the official evaluator writes it, and ours that computes the same."""

    spelling: str
    metric: str


_ACC = Chosen("ACC", "accuracy_official")
_F1 = Chosen("F1", "token_f1_official")
_CODE = Chosen("CodeBLEU", "codebleu_official")
_BY_TYPE: Mapping[str, Chosen] = MappingProxyType(
    {
        type_: chosen
        for chosen, types in (
            (_ACC, ("MultipleChoiceQA", "Code Defect Detection", "Text to SQL", "Mathematical Word Problem Solving")),
            (Chosen("ROUGE-1", "rouge1"), ("Summarization", "Translation")),
            (_CODE, ("Code Generation", "Code Repair")),
            (
                Chosen("BLEU-1", "bleu1_official"),
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
            (Chosen("MAE", "mae_official"), ("Time Series",)),
            (Chosen("Micro-F1", "micro_f1_official"), (*LABEL_TYPES, *LABEL_SET_TYPES)),
        )
        for type_ in types
    }
)
_OF_VIDEOS: Mapping[str, Chosen] = MappingProxyType(
    {
        "ACC": _ACC,
        "AUC": Chosen("J&F", "j_and_f_official"),
        "Acc": Chosen("Acc", "accuracy_contains_official"),
        "BLEU-1": Chosen("BLEU-1", "bleu1_video_official"),
        "EPE": Chosen("EPE", "epe_official"),
        "PSNR": Chosen("PSNR", "psnr_video_official"),
        "Structure measure": Chosen("Structure measure", "s_measure_official"),
        "absRel": Chosen("absRel", "abs_rel_official"),
        "mIoU": Chosen("mIoU", "miou_video_official"),
        "m_vIoU": Chosen("m_vIoU", "m_viou_official"),
    }
)
"""By the sheet's spelling: which task is measured how is told by lists of names, which come to the same."""
_AUDIO_BLEU = Chosen("BLEU-1", "bleu1_nltk_official")
_OF_AUDIO: Mapping[str, Chosen] = MappingProxyType(
    {
        "Environment Sound Recognition": Chosen("ACC", "accuracy_contains_label_official"),
        "Long Audio Captioning": _AUDIO_BLEU,
        "Open-ended Audio Question Answering": _AUDIO_BLEU,
        "Wild Audio Captioning": _AUDIO_BLEU,
    }
)
"""By the task; all others that the script knows are exact matches."""


def chosen(entry: Entry, document: Document) -> Chosen | None:
    """The metric that the official evaluator takes, None where there is none that runs.

    In language, whatever it does not know is a question.
    """
    if entry.modality is Modality.LANGUAGE:
        type_ = document.header.get("type", "")
        return _BY_TYPE.get(type_, _F1) if isinstance(type_, str) else _F1
    if entry.modality is Modality.VIDEO:
        return _OF_VIDEOS.get(entry.metric)
    return _OF_AUDIO.get(entry.task, _ACC) if _references(entry, document) else None


def form_of(form: Form, entry: Entry, document: Document) -> Form:
    """A form whose references are those that the official evaluator compares."""
    references = _references(entry, document)
    return replace(form, answers=references) if references else form


def _references(entry: Entry, document: Document) -> References | None:
    """How the official evaluator reads a task's references, None where it has none that are words."""
    if entry.modality is Modality.LANGUAGE:
        return text_references(document)
    if entry.modality is Modality.VIDEO:
        return video_references(entry.metric)
    return audio_references(entry.task, document) if _is_audio_comprehension(entry) else None


def reading_of(entry: Entry, document: Document) -> mapping.Reading:
    """How the official evaluator measures a document's task."""
    found = chosen(entry, document)
    if found is None:
        return replace(mapping.reading_of(entry), problem=UNAVAILABLE)
    return mapping.reading_of(entry, name=found.metric)


def compared(items: Mapping[str, Item], form: Form) -> dict[str, Item]:
    """The items that have a reference: the official evaluator leaves out the others; all of them where none has any."""
    return {sample: item for sample, item in items.items() if _has_reference(item, form)} or dict(items)


def _has_reference(item: Item, form: Form) -> bool:
    try:
        return bool(form.answers(item))
    except InvalidSuiteError:
        # The task has no official score, and says why where its references are checked.
        return True


def prediction(value: Any, task: Task) -> Part:
    """A prediction of text as the official evaluator reads it: what Python writes of it, whatever it is.

    InvalidSuiteError for a program that is not a text.
    """
    if task.metric == _CODE.metric and not isinstance(value, str):
        raise InvalidSuiteError(f"{value!r} is not a program")
    return Text(str(value))


def conversion_fault(entry: Entry, document: Document) -> str:
    """That the official evaluator computes another metric than the sheet asks for, empty where it does not."""
    found = chosen(entry, document)
    if found is None or alike(found.spelling, entry.metric):
        return ""
    where = f" for annotations of type {document.said('type')!r}" if entry.modality is Modality.LANGUAGE else ""
    return (
        f"{entry.task}: the official evaluator computes {found.spelling}{where}, the sheet asks for {entry.metric}; "
        "officially the row stays empty"
    )


def _is_audio_comprehension(entry: Entry) -> bool:
    return (entry.modality, entry.paradigm) == (Modality.AUDIO, Paradigm.COMPREHENSION)
