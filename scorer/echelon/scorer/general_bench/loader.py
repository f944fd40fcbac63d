"""General-Bench as a suite: its folders as people have them, read where they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from echelon.adapters import Part
from echelon.adapters.file_digests import FileDigest, FileDigests, default_cache
from echelon.adapters.settings import nearest
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.general_bench import archives, official
from echelon.scorer.general_bench.annotations import Document, Item, item_ids, read_document
from echelon.scorer.general_bench.catalogue import Entry, catalogue
from echelon.scorer.general_bench.items import MAX_PARTS, MAX_PROMPT, MAX_TEXT, Form, Question, form_of
from echelon.scorer.general_bench.layout import TaskFolder, is_tree, place_of, read_media, read_tree
from echelon.scorer.general_bench.mapping import Reading, absent_task, labels_of, reading_of, sota_of, task_id, task_of
from echelon.scorer.general_bench.matching import check_name, match
from echelon.scorer.general_bench.naming import key
from echelon.scorer.general_bench.references import reading_lines, reference_lines, shown_lines
from echelon.scorer.general_bench.settings import SETTINGS, read_ids, read_settings
from echelon.scorer.general_bench.task_media import TaskMedia
from echelon.scorer.general_bench.values import Line
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric
from echelon.scorer.results import Sota
from echelon.scorer.suites.digests import cluster_of
from echelon.scorer.suites.instructions import Instruction
from echelon.scorer.suites.lines import JsonLine, TextLine
from echelon.scorer.suites.suite import Sample, SuiteInfo, Task

NAME = "general-bench"
ABSENT = "absent: not in the folder"
UNREADABLE = "unreadable"
CLOSED = "closed: no references"
_TOLD = 3
"""Faults of one task that are told in full."""


def is_general_bench(folder: Path) -> bool:
    """Whether `folder` holds General-Bench, or a part of it."""
    return (folder / SETTINGS).is_file() or is_tree(folder)


@dataclass(frozen=True, slots=True)
class _Present:
    """A task that is here, matched with the catalogue."""

    entry: Entry
    folder: TaskFolder
    media: tuple[Path, ...]
    """Where its media are looked for."""


@dataclass(frozen=True, slots=True)
class _Scanned:
    """A task that can be asked."""

    task: Task
    form: Form
    reading: Reading
    ids: tuple[str, ...] = ()

    def question(self, item: Item, media: TaskMedia) -> Question:
        """What an item asks; one without a prompt asks for the task by its name."""
        asked = self.form.ask(item, media)
        question = replace(asked, fields={"prompt": self.task.title, **asked.fields})
        texts = [line.value for line in question.parts if isinstance(line, TextLine)]
        if len(question.fields["prompt"]) > MAX_PROMPT or max(map(len, texts), default=0) > MAX_TEXT:
            raise InvalidSuiteError(f"a prompt has at most {MAX_PROMPT} characters, any other text {MAX_TEXT}")
        if len(question.parts) > MAX_PARTS:
            raise InvalidSuiteError(f"the item asks with {len(question.parts)} parts, at most {MAX_PARTS} are taken")
        return question

    def references(self, item: Item, media: TaskMedia) -> tuple[Line, ...]:
        """What the metric compares answers with; none in a closed set."""
        answers = self.form.answers(item)
        if self.reading.compares_prompts:
            return shown_lines(answers, self.question(item, media).fields["prompt"], media)
        if self.reading.read_as is not None:
            return reading_lines(answers, self.reading.read_as, self.task, media)
        return reference_lines(answers, self.task, media) if answers else ()


class GeneralBench:
    """A tree of General-Bench as a suite: all tasks of the catalogue, those that are missing without samples.

    Annotations are read when the suite is opened and again when their samples are asked for; media only then.
    """

    def __init__(self, path: Path, cache: Path | None = None, *, official: bool = False) -> None:
        """Open the tree at `path`; `official` measures as the official evaluators do, faults included."""
        self.path = path
        self.official = official
        self._settings = read_settings(path)
        self._root = self._settings.annotations or path
        self._cache = cache or default_cache()
        self._gaps: list[str] = []
        self._place = place_of(self._root)
        self._entries = [e for e in catalogue().entries if self._place.includes(e.modality, e.paradigm)]
        self._present = self._matched()
        self._chosen = self._chosen_ids()
        self._scanned: dict[str, _Scanned] = {}
        self._problems: dict[str, str] = {}
        for present in self._present.values():
            self._scan(present)
        if not self._present:
            raise InvalidSuiteError(
                f"{path} has no task of General-Bench" + "".join(f"; {gap}" for gap in self._gaps[:_TOLD])
            )

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the catalogue in its order; `not_computed` says why some have no samples, or no score."""
        here = {task_id(present.entry) for present in self._present.values()}
        meant = [entry for entry in self._entries if not self._settings.is_part or task_id(entry) in here]
        return tuple(self._task(entry) for entry in meant)

    def _task(self, entry: Entry) -> Task:
        scanned = self._scanned.get(task_id(entry))
        return scanned.task if scanned else absent_task(entry, self._problems.get(task_id(entry), ABSENT))

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is in the folder and not in the suite, and why."""
        return tuple(self._gaps)

    @cached_property
    def sota(self) -> Mapping[str, Sota]:
        """The published figures, by task."""
        return {task_id(entry): sota for entry in self._entries if (sota := sota_of(entry)) is not None}

    @cached_property
    def info(self) -> SuiteInfo:
        """Who the suite is; the digest does not depend on how the tree is laid out or packed."""
        parts = [each for each in (self._place.modality, self._place.paradigm) if each]
        names = [NAME, *dict.fromkeys(part.value for part in parts), *(["quick"] if self._settings.is_part else [])]
        asked = [scanned.task for scanned in self._scanned.values()]
        return SuiteInfo(
            name="-".join(names),
            version="2025",
            digest=self._digest(),
            title="General-Bench",
            description=f"{len(asked)} of {len(self.tasks)} tasks can be asked here.",
            closed=bool(asked) and all(task.not_computed == CLOSED for task in asked),
        )

    def entry(self, task: Task) -> Entry:
        """The entry of the catalogue that a task stands for."""
        return self._by_id[task.id]

    @cached_property
    def _by_id(self) -> Mapping[str, Entry]:
        return {task_id(entry): entry for entry in self._entries}

    def document(self, task: Task) -> Document | None:
        """The annotation of a task, None where it is missing."""
        present = self._present.get(task.id)
        return read_document(present.folder.annotation) if present else None

    def folder(self, task: Task) -> TaskFolder | None:
        """Where a task lies, None where it is missing."""
        present = self._present.get(task.id)
        return present.folder if present else None

    def sample_ids(self, task: Task) -> tuple[str, ...]:
        """The ids of all samples, in the order of the annotation; none for a task that cannot be asked."""
        if task.id not in self._by_id:
            raise UnknownNameError(f"{NAME} has no task {task.id!r}{nearest(task.id, self._by_id)}")
        scanned = self._scanned.get(task.id)
        return scanned.ids if scanned else ()

    def samples(self, task: Task, skip: AbstractSet[str] = frozenset()) -> Iterator[Sample]:
        """The task's samples in the order of the annotation, each with its media; of those in `skip` none is read."""
        for each in self.attempts(task, skip):
            if isinstance(each, InvalidSuiteError):
                raise each
            yield each

    def attempts(self, task: Task, skip: AbstractSet[str] = frozenset()) -> Iterator[Sample | InvalidSuiteError]:
        """As `samples`, but what cannot be read is told in its place."""
        wanted = [sample for sample in self.sample_ids(task) if sample not in skip]
        if not wanted:
            return
        present, scanned = self._present[task.id], self._scanned[task.id]
        document = read_document(present.folder.annotation)
        media = TaskMedia(present.media, present.folder.name)
        items = dict(zip(item_ids(present.folder.annotation, document.items), document.items, strict=True))
        instruction = Instruction(task.instruction)
        for sample in wanted:
            try:
                yield _sample(sample, items[sample], scanned, instruction, media)
            except InvalidSuiteError as error:
                yield InvalidSuiteError(f"{present.folder.annotation}, item {sample}: {error}")

    def _matched(self) -> dict[str, _Present]:
        tree = read_tree(self._root, self._unpack)
        matched = match(tree.tasks, self._entries, self._settings.names)
        self._gaps += [*(f"{gap.where} {gap.reason}" for gap in tree.gaps), *matched.gaps]
        beside = read_media(self._settings.media, self._unpack) if self._settings.media else {}
        return {
            task: _Present(entry, folder, (*folder.roots, *beside.get((folder.place, key(folder.name)), ())))
            for task, (entry, folder) in matched.folders.items()
        }

    def _unpack(self, archive: Path) -> Path:
        return archives.unpacked(archive, self._cache / NAME)

    def _chosen_ids(self) -> Mapping[str, frozenset[str]] | None:
        """The samples that are meant, by task; None for all."""
        if self._settings.ids is None:
            return None
        chosen: dict[str, frozenset[str]] = {}
        for name, ids in read_ids(self._settings.ids).items():
            known = [
                p
                for p in self._present.values()
                if key(name) in (key(p.folder.name), key(p.entry.task), key(task_id(p.entry)))
            ]
            if len(known) != 1:
                told = "names more than one task" if known else "is no task that is here"
                raise InvalidSuiteError(f"{self._settings.ids}: {name!r} {told}")
            chosen[task_id(known[0].entry)] = ids
        self._present = {task: present for task, present in self._present.items() if task in chosen}
        return chosen

    def _scan(self, present: _Present) -> None:
        """Read a task's annotation and find its media; what cannot be read leaves the task without samples."""
        task = task_id(present.entry)
        try:
            self._scanned[task] = self._scan_items(present)
        except InvalidSuiteError as error:
            self._problems[task] = f"{UNREADABLE}: {error}"

    def _scan_items(self, present: _Present) -> _Scanned:
        path, entry = present.folder.annotation, present.entry
        document = read_document(path)
        if present.folder.name not in self._settings.names:
            check_name(entry, present.folder, document.said("task"), self._entries)
        ids = item_ids(path, document.items)
        items = self._meant(path, task_id(entry), dict(zip(ids, document.items, strict=True)))
        media = TaskMedia(present.media, present.folder.name)
        scanned = self._asked(present, document, items)
        if self.official:
            items = official.compared(items, scanned.form)
        faults = _faults(items, lambda item: scanned.question(item, media))
        if faults:
            raise InvalidSuiteError(f"{path}: {faults}")
        unscored = scanned.task.not_computed or _unscored(scanned, items, media)
        return replace(scanned, task=replace(scanned.task, not_computed=unscored), ids=tuple(items))

    def _asked(self, present: _Present, document: Document, items: Mapping[str, Item]) -> _Scanned:
        """How the items of a task are asked and measured."""
        entry = present.entry
        form = form_of(entry.task, document)
        labels = labels_of(entry, form, items.values(), self._settings.labels.get(present.folder.name, ()))
        reading = reading_of(entry, labels)
        if self.official:
            form, reading = official.form_of(form, entry, document), official.reading_of(entry, document)
        return _Scanned(task_of(entry, form, reading, labels), form, reading)

    def _meant(self, path: Path, task: str, items: dict[str, Item]) -> dict[str, Item]:
        if not items:
            raise InvalidSuiteError(f"{path} has no items")
        if self._chosen is None:
            return items
        unknown = sorted(self._chosen[task] - items.keys())
        if unknown:
            raise InvalidSuiteError(f"{self._settings.ids}: {path} has no item {', '.join(unknown[:_TOLD])}")
        return {sample: item for sample, item in items.items() if sample in self._chosen[task]}

    def _digest(self) -> str:
        with FileDigests(self._cache / NAME / "digests.sqlite") as digests:
            lines = [line for task in self._scanned for line in self._digest_lines(task, digests)]
        return hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()

    def _digest_lines(self, task: str, digests: FileDigests) -> Iterator[str]:
        present, scanned = self._present[task], self._scanned[task]
        asked = {
            "instruction": scanned.task.instruction,
            "version": scanned.task.instruction_version,
            "output": [kind.value for kind in scanned.task.output],
            "labels": scanned.task.labels,
            "samples": hashlib.sha256("\n".join(scanned.ids).encode()).hexdigest(),
        }
        yield f"{task} asks {json.dumps(asked)}\n"
        yield _digest_line(f"{task}/annotation.json", digests.of(present.folder.annotation))
        media = TaskMedia(present.media, present.folder.name)
        for name in media.files:
            if _can_change_a_score(name):
                yield _digest_line(f"{task}/{name}", digests.of(media.path(name)))


def _unscored(scanned: _Scanned, items: Mapping[str, Item], media: TaskMedia) -> str:
    """Why a task has no score, empty where it has one."""
    if scanned.reading.compares_prompts:
        return _faults(items, lambda item: scanned.references(item, media))
    faults = _faults(items, scanned.form.answers)
    if faults:
        return faults
    without = sum(not scanned.form.answers(item) for item in items.values())
    if without == len(items):
        return CLOSED
    if without:
        return f"{without} of {len(items)} items have no reference"
    return _faults(items, lambda item: _check_references(scanned, item, media))


def _check_references(scanned: _Scanned, item: Item, media: TaskMedia) -> None:
    lines = scanned.references(item, media)
    if not all(isinstance(line, JsonLine) for line in lines):
        return
    # JSON may hold anything: whether the metric can take it, it has to say itself.
    parts = tuple(line.read(media) for line in lines)
    measured = metric(scanned.task.metric, scanned.task.worst, scanned.task.labels)
    for part in parts:
        try:
            measured.sample(part, parts)
        except InvalidAnswer as error:
            raise InvalidSuiteError(str(error)) from error


def _faults(items: Mapping[str, Item], read: Callable[[Item], object]) -> str:
    """What `read` has against the items, empty for nothing."""
    faults = []
    for sample, item in items.items():
        try:
            read(item)
        except InvalidSuiteError as error:
            faults.append(f"item {sample}: {error}")
    if not faults:
        return ""
    more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    return f"{len(faults)} of {len(items)} items cannot be read: {'; '.join(faults[:_TOLD])}{more}"


def _sample(sample: str, item: Item, scanned: _Scanned, instruction: Instruction, media: TaskMedia) -> Sample:
    question = scanned.question(item, media)
    parts: tuple[Part, ...] = tuple(line.read(media) for line in question.parts)
    lines = () if scanned.task.not_computed else scanned.references(item, media)
    return Sample(
        id=sample,
        instruction=instruction.fill(question.fields),
        parts=parts,
        references=tuple(line.read(media) for line in lines),
        cluster=cluster_of(parts, sample),
    )


def _can_change_a_score(name: str) -> bool:
    """All files of a task but hidden ones, other documents than the annotation, and archives, whose files count."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and not name.lower().endswith(".json") and archives.stem(name) is None


def _digest_line(name: str, digest: FileDigest) -> str:
    return f"{name} {digest.size} {digest.sha256}\n"
