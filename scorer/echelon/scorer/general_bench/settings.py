"""`general-bench.yaml`: what a folder of General-Bench cannot say by its layout; every key may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load, read_yaml
from echelon.scorer.errors import InvalidSuiteError

SETTINGS = "general-bench.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the parts of the benchmark lie, and what of it is meant; paths are relative to the file."""

    annotations: Path | None = None
    """The tree of annotations; by default the folder of the file."""
    media: Path | None = None
    """The tree in which media are looked for that do not lie beside their annotation."""
    ids: Path | None = None
    """A JSON file, {task: [ids]}: only these samples, and only these tasks, are meant."""
    quick: bool = False
    """Only the tasks that are here are meant; what else the catalogue has is not missing."""
    names: dict[str, str] = field(default_factory=dict)
    """The official name of a task, by the name that its folder has."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the answers of a task are chosen from, or what the values of its masks mean, by the name of its folder."""

    @property
    def is_part(self) -> bool:
        """Whether a part of the benchmark is meant and not all of it."""
        return self.quick or self.ids is not None


def read_settings(folder: Path) -> Settings:
    """The settings in `folder`, the defaults where there are none."""
    path = folder / SETTINGS
    if not path.is_file():
        return Settings()
    try:
        settings = load(Settings, read_yaml(path), folder=folder, where=str(path))
    except SettingsError as error:
        raise InvalidSuiteError(str(error)) from error
    for name, told in (("annotations", settings.annotations), ("media", settings.media)):
        if told is not None and not told.is_dir():
            raise InvalidSuiteError(f"{path}: {name!r} is {told}, which is no folder")
    return settings


def read_ids(path: Path) -> Mapping[str, frozenset[str]]:
    """The chosen ids of each task, by the name that the file gives it."""
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=dict[str, list[str | int]])
    except OSError as error:
        raise InvalidSuiteError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InvalidSuiteError(f'{path} is not of the form {{"task": ["id", ...]}}: {error}') from error
    return {task: frozenset(map(str, ids)) for task, ids in listed.items()}
