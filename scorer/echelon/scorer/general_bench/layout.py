"""Finds the tasks in a tree of General-Bench, in all the ways in which such trees are laid out.

Expected is `{image,video,audio,3d}/{comprehension,generation}/<task>` and `nlp/<task>`, in any case; levels may be
doubled, or have a `json` level between them, and a task may be a folder, an archive or a lone JSON file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.general_bench import archives
from echelon.scorer.general_bench.naming import key
from echelon.scorer.suites.suite import Modality, Paradigm

MODALITIES: Mapping[str, Modality] = MappingProxyType(
    {
        "image": Modality.IMAGE,
        "video": Modality.VIDEO,
        "audio": Modality.AUDIO,
        "3d": Modality.THREE_D,
        "nlp": Modality.LANGUAGE,
    }
)
"""What the top folders are called, in lower case."""
PARADIGMS: Mapping[str, Paradigm] = MappingProxyType(
    {"comprehension": Paradigm.COMPREHENSION, "generation": Paradigm.GENERATION}
)
TRANSPARENT = frozenset({"json"})
"""Folders that say nothing."""
WHOLE = frozenset({"open", "closed", "close", "data"})
"""Archives that hold what else would lie beside them."""
PREDICTION = "prediction.json"
_ANNOTATION = "annotation.json"

Unpack = Callable[[Path], Path]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the benchmark a folder is, as far as its path tells."""

    modality: Modality | None = None
    paradigm: Paradigm | None = None

    @property
    def holds_tasks(self) -> bool:
        """Whether what lies here are tasks."""
        return self.paradigm is not None

    def includes(self, modality: Modality, paradigm: Paradigm) -> bool:
        """Whether tasks of that sort lie in this place."""
        return self.modality in (None, modality) and self.paradigm in (None, paradigm)

    def below(self, name: str) -> Place | None:
        """The place of the folder called `name` in this one; None if the name is that of no level."""
        said = name.casefold()
        if self.modality is None and said in MODALITIES:
            modality = MODALITIES[said]
            return Place(modality, Paradigm.LANGUAGE if modality is Modality.LANGUAGE else None)
        if said in TRANSPARENT or self._is_doubled(said):
            return self
        if self.modality is not None and self.paradigm is None and said in PARADIGMS:
            return replace(self, paradigm=PARADIGMS[said])
        return None

    def _is_doubled(self, said: str) -> bool:
        return said in PARADIGMS and self.paradigm is PARADIGMS[said]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is there, and why nothing is made of it."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """A task as it lies on disk; its media are looked for in all of `roots`, in that order.

    A lone JSON file has no roots: what lies beside it are other tasks.
    """

    place: Place
    name: str
    annotation: Path
    roots: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """What a tree holds."""

    tasks: tuple[TaskFolder, ...]
    gaps: tuple[Gap, ...]


@dataclass(slots=True)
class _Pieces:
    """All that goes by a task's name at one place."""

    name: str
    place: Place
    folders: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def is_tree(folder: Path) -> bool:
    """Whether `folder` looks like the benchmark, or like a part of it."""
    if place_of(folder) != Place():
        return True
    return any(child.is_dir() and child.name.casefold() in MODALITIES for child in folder.iterdir())


def place_of(folder: Path) -> Place:
    """The place that a folder's own path tells: `.../audio` and `.../video/comprehension` are parts of the whole."""
    *_, above, name = ("", "", *folder.resolve().parts)
    inside = Place().below(above)
    return (inside and inside.below(name)) or Place().below(name) or Place()


def read_tree(folder: Path, unpack: Unpack) -> Tree:
    """The tasks under `folder`; `unpack` gives the folder of an archive's files."""
    search = _Search(unpack)
    search.visit(folder, place_of(folder))
    tasks = [task for pieces in search.found.values() for task in search.task_of(pieces)]
    return Tree(tuple(tasks), tuple(search.gaps))


def read_media(folder: Path, unpack: Unpack) -> Mapping[tuple[Place, str], tuple[Path, ...]]:
    """The folders of every task under `folder`, annotated or not, by its place and the key of its name."""
    search = _Search(unpack)
    search.visit(folder, place_of(folder))
    return {where: tuple(search.roots(pieces)) for where, pieces in search.found.items()}


class _Search:
    """One walk over a tree."""

    def __init__(self, unpack: Unpack) -> None:
        self.found: dict[tuple[Place, str], _Pieces] = {}
        self.gaps: list[Gap] = []
        self._unpack = unpack

    def visit(self, folder: Path, place: Place) -> None:
        for child in self._children(folder):
            if child.is_symlink() and child.is_dir():
                self.gaps.append(Gap(str(child), "is a link; put the folder itself there"))
            elif child.is_dir():
                self._visit_folder(child, place)
            elif (stem := archives.stem(child.name)) is not None:
                self._visit_archive(child, stem, place)
            elif place.holds_tasks and child.suffix == ".json":
                self._piece(child.stem, place).files.append(child)

    def _children(self, folder: Path) -> list[Path]:
        try:
            return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
        except OSError as error:
            self.gaps.append(Gap(str(folder), f"cannot be read: {error.strerror}"))
            return []

    def _visit_folder(self, folder: Path, place: Place) -> None:
        below = place.below(folder.name)
        if below is not None:
            self.visit(folder, below)
        elif place.holds_tasks:
            self._piece(folder.name, place).folders.append(folder)
        else:
            self.gaps.append(Gap(str(folder), f"is not one of {', '.join(_expected(place))}"))

    def _visit_archive(self, archive: Path, stem: str, place: Place) -> None:
        below = place if stem.casefold() in WHOLE else place.below(stem)
        if below is not None:
            inside = self._unpacked(archive)
            if inside is not None:
                self.visit(_without_wrapping(inside, to_tasks=True), below)
        elif place.holds_tasks:
            self._piece(stem, place).archives.append(archive)
        else:
            self.gaps.append(Gap(str(archive), f"is not one of {', '.join(_expected(place))}"))

    def _unpacked(self, archive: Path) -> Path | None:
        try:
            return self._unpack(archive)
        except InvalidSuiteError as error:
            self.gaps.append(Gap(str(archive), str(error)))
            return None

    def _piece(self, name: str, place: Place) -> _Pieces:
        return self.found.setdefault((place, key(name)), _Pieces(name, place))

    def task_of(self, pieces: _Pieces) -> Iterator[TaskFolder]:
        """The task, if it can be told which file annotates it."""
        where = str((pieces.folders + pieces.archives + pieces.files)[0])
        if len(pieces.folders) > 1:
            others = ", ".join(map(str, pieces.folders[1:]))
            self.gaps.append(Gap(where, f"is there a second time, as {others}; take one of them away"))
            return
        roots = list(self.roots(pieces))
        annotation, reason = _annotation(pieces, roots)
        if annotation is None:
            self.gaps.append(Gap(where, reason))
            return
        if reason:
            self.gaps.append(Gap(str(annotation), reason))
        yield TaskFolder(pieces.place, pieces.name, annotation, tuple(roots))

    def roots(self, pieces: _Pieces) -> Iterator[Path]:
        """The folders that hold the task's files, archives unpacked."""
        yield from pieces.folders
        inner = [child for folder in pieces.folders for child in self._children(folder)]
        for archive in pieces.archives + [child for child in inner if archives.stem(child.name) is not None]:
            inside = self._unpacked(archive)
            if inside is not None:
                yield _without_wrapping(inside, to_tasks=False)


def _expected(place: Place) -> list[str]:
    return list(MODALITIES if place.modality is None else PARADIGMS)


def _without_wrapping(folder: Path, *, to_tasks: bool) -> Path:
    """The innermost folder that holds all there is: that of tasks, or a task's own; media folders wrap nothing."""
    children = [child for child in folder.iterdir() if not child.name.startswith(".")]
    if len(children) != 1 or not children[0].is_dir() or children[0].name.casefold() in MEDIA_FOLDERS:
        return folder
    is_task = to_tasks and any(children[0].glob("*.json"))
    return folder if is_task else _without_wrapping(children[0], to_tasks=to_tasks)


MEDIA_FOLDERS = (
    "images", "image", "videos", "video", "audios", "audio", "pointclouds", "pointcloud", "masks", "depth",
)  # fmt: skip
"""Folders of a task in which media are looked for when their path does not say it."""


def _annotation(pieces: _Pieces, roots: list[Path]) -> tuple[Path | None, str]:
    """The task's annotation, and a remark on it; or None and why."""
    for folder in (folder for root in roots for folder in (root, *(root / name for name in sorted(TRANSPARENT)))):
        documents = [file for file in sorted(folder.glob("*.json")) if not _is_prediction(file)]
        named = [file for file in documents if file.name.casefold() == _ANNOTATION]
        named += [file for file in documents if key(file.stem) == key(pieces.name)]
        if named or len(documents) == 1:
            return (named or documents)[0], ""
        if documents and pieces.place.modality is Modality.AUDIO:
            return documents[0], f"is the first of {len(documents)} JSON files, and taken as official code takes it"
        if documents:
            return None, f"has {len(documents)} JSON files; call the right one {_ANNOTATION}"
    if pieces.files:
        return pieces.files[0], ""
    return None, f"has no {_ANNOTATION}"


def _is_prediction(file: Path) -> bool:
    return file.name.casefold().startswith("prediction")
