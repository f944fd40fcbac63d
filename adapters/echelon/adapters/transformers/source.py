"""Where the files of a checkpoint come from: a folder, or the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echelon.adapters.errors import SettingsError
from echelon.adapters.networks.files import Folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.transformers.settings import TransformersSettings

WEIGHTS = "*.safetensors"
KEPT = (WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model", "*.spm", "*.tiktoken", "*.codes")
"""The files of a hub's repository that a checkpoint is made of; what its tokenizers are called has many endings."""
LEFT = ("*/*", "consolidated*")
"""Of those: folders hold the same in other formats, and Mistral's checkpoints hold their weights twice."""


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint's files."""

    path: Path
    version: str
    """For the card: what the settings call it, and the commit that came from the hub."""
    digest: str
    """SHA-256, in hex, of the names and contents of the files."""


def located(settings: TransformersSettings) -> Source:
    """The files that the settings name, fetched first where that is needed; SettingsError where they cannot be had."""
    if settings.folder is None:
        return _from_hub(settings)
    path = settings.folder.resolve()
    return Source(path, settings.version or path.name, Folder(path).digest())


def _from_hub(settings: TransformersSettings) -> Source:
    from huggingface_hub.utils import filter_repo_objects

    kept = (*KEPT, "*.py") if settings.trust_remote_code else KEPT
    path = _fetched(settings, kept)
    # The cache keeps each file once, and links to it from every revision.
    files = Folder(path, within=path.parent.parent, shipped=True)
    # Others that share the cache may have fetched more.
    names = list(filter_repo_objects(files.names(), allow_patterns=list(kept), ignore_patterns=list(LEFT)))
    if not any(Path(name).match(WEIGHTS) for name in names):
        raise SettingsError(
            f"{settings.hub!r} at {settings.revision!r} has no weights as safetensors, and others are not fetched, "
            "because they may run code when they are read; convert it, and serve the folder"
        )
    version = f"{settings.version}+{path.name}" if settings.version else path.name
    return Source(path, version, files.digest(names))


def _fetched(settings: TransformersSettings, kept: Sequence[str]) -> Path:
    from huggingface_hub import constants, errors, snapshot_download

    what = f"{settings.hub!r} at {settings.revision!r}"
    token = "'hf auth login' or HF_TOKEN tells the hub who asks"  # noqa: S105  (it is a sentence)
    try:
        return Path(
            snapshot_download(
                settings.hub,
                revision=settings.revision,
                allow_patterns=list(kept),
                ignore_patterns=list(LEFT),
                local_files_only=constants.HF_HUB_OFFLINE,
            )
        )
    except errors.GatedRepoError as error:
        raise SettingsError(f"{what} has terms to accept on the hub first; {token}") from error
    except errors.RevisionNotFoundError as error:
        raise SettingsError(f"{settings.hub!r} has no revision {settings.revision!r} on the hub") from error
    except errors.RepositoryNotFoundError as error:
        raise SettingsError(f"{what} is not on the hub, or private; {token}") from error
    # The network, the hub and the cache each raise their own.
    except Exception as error:
        failed = "cannot be fetched"
        if constants.HF_HUB_OFFLINE:
            failed = "is not whole in the hub's cache, and HF_HUB_OFFLINE keeps it from being fetched"
        raise SettingsError(f"{what} {failed}: {(str(error).splitlines() or [''])[0]}") from error
