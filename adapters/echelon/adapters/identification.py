"""Computes the identity of an open adapter: digests of its code, its settings and the files that these name."""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echelon.adapters.file_digests import FileDigests, default_cache
from echelon.adapters.identity import Identity, digest_of, with_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from echelon.adapters.card import Card
    from echelon.adapters.registry import Entry

MOST_FILES = 10_000
"""Files of one folder that are read."""
_PASSED_OVER = frozenset(("__pycache__", ".git", ".cache", ".DS_Store"))
"""Folders and files that appear by themselves and change no answer."""
_SECRET = re.compile(
    r"(?i:(?:^|[_-])(?:(?:access|api|auth|bearer|hf|refresh|session)[_-]?token|(?:access|api|private)[_-]?key|"
    r"secret(?:[_-]?key)?|pass(?:word|phrase|wd)|credentials?|authorization|cookie)$|^token$)|_TOKEN$"
)
"""Names of settings, headers and variables that are secret although nobody marked them.

Of names that end in "token" only some: `image_token` and `pad_token` change answers. In a variable it is a secret.
"""
_DEVICE_NUMBER = re.compile(r":\d+$")


class _UncoveredError(Exception):
    """A path whose content no digest covers; the text says why."""


class Identification:
    """What is known of an adapter before it is open, to be compared and completed once it is."""

    def __init__(
        self, adapter_class: type[Any], entry: Entry | None, settings: Any, environment: Mapping[str, str]
    ) -> None:
        self._class = adapter_class
        self._entry = entry
        self._settings = settings
        self._environment = environment
        self._before = self._survey()

    def identity(self, card: Card, unverified: tuple[str, ...]) -> Identity:
        """The identity, sealed; `unverified` is what the adapter itself says that nothing covers."""
        survey, entry = self._survey(), self._entry
        code_digest, files_digest = survey.code_digest, survey.files_digest
        # The model may have opened what was there before, after, or some of each: it is neither of the two.
        if files_digest != self._before.files_digest:
            files_digest = digest_of([self._before.files_digest, files_digest])
            survey.unverified.append("files that the settings name changed while the model was opened")
        if code_digest != self._before.code_digest:
            code_digest = digest_of([self._before.code_digest, code_digest])
            survey.unverified.append("code: it changed while the model was opened")
        if not (survey.names_files or card.weights_digest or unverified or (entry is not None and entry.own)):
            survey.unverified.append("weights: no setting names a file, and the card has no weights_digest")
        if not card.engine:
            survey.unverified.append("engine: the card names none")
        known = Identity(
            distribution=entry.distribution if entry is not None else "",
            distribution_version=entry.version if entry is not None else "",
            adapter=entry.name if entry is not None else self._class.__name__,
            code_digest=code_digest,
            settings_digest=digest_of(survey.settings),
            files_digest=files_digest,
            unverified=(*unverified, *dict.fromkeys(survey.unverified)),
        )
        return with_card(known, card)

    def _survey(self) -> _Survey:
        with FileDigests(_cache()) as digests:
            return _Survey(digests, self._class, self._entry, self._settings, self._environment)


def _cache() -> Path | None:
    try:
        return default_cache() / "file-digests.sqlite"
    except RuntimeError:
        # A container's user may have no home.
        return None


class _Survey:
    """The digests of one moment."""

    def __init__(
        self,
        digests: FileDigests,
        adapter_class: type[Any],
        entry: Entry | None,
        settings: Any,
        environment: Mapping[str, str],
    ) -> None:
        self._digests = digests
        self.unverified: list[str] = []
        self.files: dict[str, list[str]] = {}
        """Of each path in the settings, by its key: what its content is."""
        self.names_files = False
        self.code_digest = self._code(adapter_class, entry)
        self.settings = [self._plain(settings, ""), self._of_mapping(environment, "")]

    @property
    def files_digest(self) -> str:
        return digest_of(self.files) if self.files else ""

    def _plain(self, value: Any, at: str) -> Any:
        """`value` as JSON, without secrets; a path is replaced by what it leads to."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            named = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
            return {
                field.name: self._field(field.metadata, each, f"{at}.{field.name}".lstrip("."))
                for field, each in named
                if field.metadata.get("identity", True) and not _SECRET.search(field.name)
            }
        if isinstance(value, Path):
            return self._path(value, at)
        if isinstance(value, dict):
            return self._of_mapping(value, at)
        if isinstance(value, list | tuple):
            return [self._plain(each, f"{at}[{index}]") for index, each in enumerate(value)]
        if isinstance(value, enum.Enum):
            return value.value
        if at == "device" and isinstance(value, str):
            return _DEVICE_NUMBER.sub("", value)
        if isinstance(value, str) and _names_a_file(value):
            self.unverified.append(f"{at}: a file that the setting names as text; as a Path it would be covered")
        return value if isinstance(value, str | int | float | bool | None) else repr(value)

    def _field(self, marks: Mapping[Any, Any], value: Any, at: str) -> Any:
        if marks.get("secret"):
            return sorted(map(str, value)) if isinstance(value, dict) else None
        return self._plain(value, at)

    def _of_mapping(self, values: Mapping[Any, Any], at: str) -> dict[str, Any]:
        return {
            str(key): self._plain(each, f"{at}.{key}") for key, each in values.items() if not _SECRET.search(str(key))
        }

    def _path(self, path: Path, at: str) -> Any:
        if not path.exists():
            return ["missing", str(path)]
        self.names_files = True
        try:
            self.files[at] = self._content(path)
        except _UncoveredError as error:
            self.unverified.append(f"{at}: {error}")
            return ["uncovered", str(path)]
        return ["covered"]

    def _content(self, path: Path) -> list[str]:
        if not path.is_dir():
            return [f"{path.name} {self._digest(path)}"]
        return [f"{name} {self._digest(file)}" for name, file in tree(path)]

    def _digest(self, path: Path) -> str:
        if not path.is_file():
            raise _UncoveredError(f"{path.name} is not a regular file")
        try:
            found = self._digests.of(path)
        except OSError as error:
            raise _UncoveredError(f"{path.name} cannot be read: {error.strerror}") from error
        return f"{found.size} {found.sha256}"

    def _code(self, adapter_class: type[Any], entry: Entry | None) -> str:
        try:
            files = code_files(adapter_class, entry)
            if not files:
                raise _UncoveredError(f"{adapter_class.__module__} is not in a file")
            if entry is not None and not entry.own and _is_editable(entry.distribution):
                self.unverified.append("code: of an editable installation only the adapter's own package is covered")
            return digest_of({name: self._digest(path) for name, path in files.items()})
        except _UncoveredError as error:
            self.unverified.append(f"code: {error}")
            return ""


def _names_a_file(text: str) -> bool:
    try:
        # Relative to what another one is, only the adapter knows.
        return Path(text).is_absolute() and Path(text).exists()
    except (OSError, ValueError):
        # Some other text, too long for a path or with a NUL in it.
        return False


def tree(folder: Path) -> list[tuple[str, Path]]:
    """Every file under `folder`, links followed, by relative name and sorted."""
    found: list[tuple[str, Path]] = []
    entered: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = () if real in entered else sorted(set(folders) - _PASSED_OVER)
        if real in entered:
            continue
        entered.add(real)
        paths = [Path(parent, name) for name in files if name not in _PASSED_OVER and not name.endswith(".pyc")]
        found += [(path.relative_to(folder).as_posix(), path) for path in paths]
        if len(found) > MOST_FILES:
            raise _UncoveredError(f"the folder has more than {MOST_FILES} files")
    return sorted(found)


def code_files(adapter_class: type[Any], entry: Entry | None) -> dict[str, Path]:
    """The files of an adapter's code, by name: its package, and whatever else its distribution installed."""
    found = dict(_package_files(adapter_class.__module__))
    if entry is not None and not entry.own:
        found |= _installed_files(entry.distribution)
    return found


def _package_files(module: str) -> Iterator[tuple[str, Path]]:
    """The files of the outermost package around `module` that is no namespace, or the module's own file."""
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        file = getattr(sys.modules.get(".".join(names[:depth])), "__file__", None)
        if file is not None:
            path = Path(file)
            if path.stem == "__init__":
                yield from ((f"{path.parent.name}/{name}", each) for name, each in tree(path.parent))
            else:
                yield path.name, path
            return


def _installed_files(distribution: str) -> dict[str, Path]:
    """What an installer recorded; of an editable distribution that is nothing but pointers to its source."""
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return {}
    return {
        file.as_posix(): path
        for file in found.files or ()
        if not _is_of_the_installer(file) and (path := Path(str(found.locate_file(file)))).is_file()
    }


def _is_editable(distribution: str) -> bool:
    try:
        text = metadata.distribution(distribution).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return False
    return bool(json.loads(text or "{}").get("dir_info", {}).get("editable"))


def _is_of_the_installer(file: metadata.PackagePath) -> bool:
    first = file.parts[0]
    return first == ".." or first.endswith((".dist-info", ".egg-info")) or file.suffix in (".pyc", ".pth")
