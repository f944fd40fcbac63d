"""A suite in a folder; docs/suites.md describes the format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from echelon.adapters.settings import nearest
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.suites.digests import cluster_of, folder_digest
from echelon.scorer.suites.instructions import Instruction
from echelon.scorer.suites.lines import IdLine, SampleLine, decoded_reference
from echelon.scorer.suites.manifest import read_manifest
from echelon.scorer.suites.media import MediaFolder
from echelon.scorer.suites.suite import Sample, SuiteInfo, Task

if TYPE_CHECKING:
    from echelon.scorer.results import Sota

MAX_LINE_BYTES = 16 * 2**20

LineT = TypeVar("LineT", IdLine, SampleLine)


class FolderSuite:
    """A suite that is read from its folder as it is used; only the manifest is held in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._manifest = read_manifest(path)
        self._files = {entry.id: entry.samples for entry in self._manifest.tasks}
        self._media = MediaFolder(path)
        self.sota: Mapping[str, Sota] = {}
        self.gaps: tuple[str, ...] = ()
        self.tasks: tuple[Task, ...] = tuple(entry.task() for entry in self._manifest.tasks)

    @cached_property
    def info(self) -> SuiteInfo:
        """Who the suite is; the digest is taken once, on first use."""
        manifest = self._manifest
        return SuiteInfo(
            name=manifest.name,
            version=manifest.version,
            digest=folder_digest(self.path),
            title=manifest.title,
            description=manifest.description,
            licence=manifest.licence,
            closed=manifest.closed,
        )

    def samples(self, task: Task, skip: AbstractSet[str] = frozenset()) -> Iterator[Sample]:
        """The task's samples in the order of the file, each with its media; of those in `skip` none is read."""
        instruction = Instruction(task.instruction)
        for where, line in self._lines(task, SampleLine):
            if line.id in skip:
                continue
            try:
                sample = read_sample(line, instruction, self._media)
            except InvalidSuiteError as error:
                raise InvalidSuiteError(f"{where}: {error}") from error
            yield sample

    def sample_ids(self, task: Task) -> tuple[str, ...]:
        """The ids of all samples, in the same order; media are not looked at."""
        return tuple(line.id for _, line in self._lines(task, IdLine))

    def _lines(self, task: Task, line_type: type[LineT]) -> Iterator[tuple[str, LineT]]:
        file = self._file(task)
        decoder = msgspec.json.Decoder(line_type)
        seen: set[str] = set()
        for where, raw in numbered_lines(self._media, file):
            line = decode_line(decoder, raw, where)
            if line.id in seen:
                raise InvalidSuiteError(f"{where}: the id {line.id!r} is used before; give each sample its own")
            seen.add(line.id)
            yield where, line

    def _file(self, task: Task) -> str:
        if task.id not in self._files:
            raise UnknownNameError(f"{self._manifest.name} has no task {task.id!r}{nearest(task.id, self._files)}")
        return self._files[task.id]


def read_sample(line: SampleLine, instruction: Instruction, media: MediaFolder) -> Sample:
    """The sample of a line, its media read."""
    parts = tuple(part.read(media) for part in line.parts)
    return Sample(
        id=line.id,
        instruction=instruction.fill(line.fields),
        parts=parts,
        references=tuple(decoded_reference(part, media) for part in line.references),
        cluster=line.cluster if isinstance(line.cluster, str) else cluster_of(parts, line.id),
    )


def numbered_lines(media: MediaFolder, file: str) -> Iterator[tuple[str, bytes]]:
    """The lines of `file` that say something, each with its place: `file:number`, counted from 1."""
    with media.path(file).open("rb") as opened:
        for number in count(1):
            raw = opened.readline(MAX_LINE_BYTES + 1)
            if not raw:
                return
            if len(raw) > MAX_LINE_BYTES:
                raise InvalidSuiteError(f"{file}:{number}: the line is longer than {MAX_LINE_BYTES} bytes")
            if not raw.isspace():
                yield f"{file}:{number}", raw


def decode_line(decoder: msgspec.json.Decoder[LineT], raw: bytes, where: str) -> LineT:
    """One line of JSON, its form checked."""
    try:
        return decoder.decode(raw)
    # A line of brackets alone exhausts the decoder's recursion.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSuiteError(f"{where}: {error}") from error
