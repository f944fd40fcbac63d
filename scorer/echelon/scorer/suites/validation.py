"""Everything that is wrong with a suite folder, found without a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from echelon.adapters import Audio, Boxes, Choice, Mask, Part, Video, decode
from echelon.adapters.errors import EchelonError, MissingExtraError
from echelon.scorer.errors import InvalidSuiteError, NotComputedError
from echelon.scorer.extract import extract, extractor
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.readings import Read
from echelon.scorer.metrics.registry import metric
from echelon.scorer.suites.digests import file_names
from echelon.scorer.suites.folder import decode_line, numbered_lines
from echelon.scorer.suites.instructions import Instruction
from echelon.scorer.suites.lines import SampleLine, decoded_reference
from echelon.scorer.suites.manifest import MANIFEST, Manifest, TaskEntry, read_manifest
from echelon.scorer.suites.media import MediaFolder
from echelon.scorer.suites.suite import Task

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with a suite, and what is good to know of one that is in order; one line each."""

    faults: list[str]
    notes: list[str]


def opaque_type(part: Part) -> str:
    """The media type of a sound or clip that is carried and not decoded here; empty for other parts."""
    return part.media_type if isinstance(part, Audio | Video) and not decode.decodes(part) else ""


def opaque_notes(task: Task, types: Iterable[str]) -> list[str]:
    """What to say of a task's media of these types, one for each medium."""
    return [
        f"task {task.id!r}: {name} is carried and not decoded here; the model has to decode it (media: {count})"
        for name, count in sorted(Counter(types).items())
    ]


def validate(folder: Path) -> Validation:
    """Everything about the suite in `folder`; no faults for a good one.

    References are extracted and scored as if a model had answered them: what does not score is a fault.
    """
    try:
        manifest = read_manifest(folder)
    except InvalidSuiteError as error:
        return Validation([str(error)], [])
    inspection = _Inspection(folder, manifest)
    return Validation(inspection.faults, inspection.notes)


class _UsedMedia(MediaFolder):
    """Remembers which files were asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.used = {Path(MANIFEST)}

    def path(self, name: str) -> Path:
        self.used.add(Path(name))
        return super().path(name)


class _Inspection:
    """One walk over a suite; `faults` and `notes` fill up on the way."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.faults: list[str] = []
        self.notes: list[str] = []
        self._media = _UsedMedia(folder)
        self._all_read = True
        for entry in manifest.tasks:
            self._inspect_task(entry, f"{MANIFEST}: task {entry.id!r}")
        # What an unreadable line uses is unknown.
        if self._all_read:
            self._attempt("", self._inspect_files)

    def _attempt(self, where: str, act: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T | None:
        try:
            return act(*args, **keywords)
        except EchelonError as error:
            self.faults.append(f"{where}: {error}" if where else str(error))
            return None

    def _inspect_task(self, entry: TaskEntry, where: str) -> None:
        task = entry.task()
        scored = self._attempt(where, metric, task.metric, task.worst, task.labels)
        taken = self._attempt(where, extractor, task.extractor)
        if scored and not scored.range[0] <= task.chance <= scored.range[1]:
            self.faults.append(f"{where}: 'chance' is {task.chance:g}, {task.metric} goes from {_span(scored)}")
        if scored and taken and not scored.takes(taken.kind):
            self.faults.append(
                f"{where}: extractor {task.extractor!r} gives {taken.kind}, metric {task.metric!r} takes {scored.kind}"
            )
            scored = None
        measurable = scored is not None and (scored.references_are_answers or isinstance(scored, Read))
        checked = scored if taken and measurable else None
        self._attempt("", self._inspect_samples, entry.samples, task, checked)

    def _inspect_samples(self, file: str, task: Task, scored: Metric | None) -> None:
        decoder = msgspec.json.Decoder(SampleLine)
        instruction = Instruction(task.instruction)
        first_use: dict[str, str] = {}
        opaque: list[str] = []
        where = ""
        for where, raw in numbered_lines(self._media, file):
            line = self._attempt("", decode_line, decoder, raw, where)
            if line is None:
                self._all_read = False
                continue
            if first_use.setdefault(line.id, where) != where:
                self.faults.append(f"{where}: the id {line.id!r} is that of {first_use[line.id]}; give each its own")
            self._attempt(where, instruction.fill, line.fields)
            opaque += self._inspect_parts(where, line, task, scored)
        self.notes += opaque_notes(task, opaque)
        if not where:
            self.faults.append(f"{file}: task {task.id!r} has no samples")

    def _inspect_parts(self, where: str, line: SampleLine, task: Task, scored: Metric | None) -> list[str]:
        """The types of what is not decoded."""
        parts = [self._attempt(where, self._decoded, part.read, self._media) for part in line.parts]
        references = [
            self._attempt(where, self._decoded, decoded_reference, part, self._media) for part in line.references
        ]
        whole = tuple(part for part in references if part is not None)
        for reference in whole:
            self._inspect_labels(where, reference, task)
        if scored and len(whole) == len(references):
            self._attempt(f"{where}: the reference does not score", _score, scored, whole, task)
        return [name for part in parts if part is not None and (name := opaque_type(part))]

    def _decoded(self, read: Callable[P, Part], *args: P.args, **keywords: P.kwargs) -> Part:
        part = read(*args, **keywords)
        if hasattr(part, "array") and not opaque_type(part):
            values = part.array()
            if isinstance(part, Mask) and part.labels and values.max(initial=0) >= len(part.labels):
                raise InvalidSuiteError(f"the mask has the value {values.max()} and only {len(part.labels)} labels")
        return part

    def _inspect_labels(self, where: str, reference: Part, task: Task) -> None:
        unknown = sorted(_labels(reference) - set(task.labels)) if task.labels else []
        if unknown:
            self.faults.append(f"{where}: the task does not list the reference's {', '.join(map(repr, unknown))}")

    def _inspect_files(self) -> None:
        for name in sorted(file_names(self._media.root)):
            if Path(name) not in self._media.used:
                self.faults.append(f"{name}: no sample uses it; the digest counts it, so take it out")


def _score(scored: Metric, references: tuple[Part, ...], task: Task) -> None:
    for reference in references:
        if isinstance(scored, Read):
            scored.check_reference(reference)
            continue
        # Whether there is an embedder, a judge or a reader is not the suite's business.
        with suppress(NotComputedError, MissingExtraError):
            scored.sample(extract(task.extractor, (reference,), task), references)


def _labels(part: Part) -> set[str]:
    match part:
        case Choice():
            return {scored.label for scored in part.labels}
        case Boxes():
            return {box.label for box in part.boxes if box.label}
        case Mask():
            return set(part.labels)
    return set()


def _span(scored: Metric) -> str:
    low, high = scored.range
    return f"{low:g} to {high:g}"
