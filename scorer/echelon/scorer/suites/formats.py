"""The formats that a suite's folder may have; which one it is, the folder tells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.suites.manifest import MANIFEST
from echelon.scorer.suites.suite import StoredSuite

if TYPE_CHECKING:
    from echelon.scorer.suites.validation import Validation


def open_folder(folder: Path, cache: Path | None = None) -> StoredSuite:
    """The suite in `folder`; InvalidSuiteError where it has none."""
    if (folder / MANIFEST).is_file():
        return FolderSuite(folder)
    from echelon.scorer.general_bench.loader import GeneralBench, is_general_bench

    if is_general_bench(folder):
        return GeneralBench(folder, cache)
    raise InvalidSuiteError(f"{folder} is no suite: it has no {MANIFEST}, and no folder of General-Bench")


def validation_of(folder: Path) -> Validation:
    """Every fault of the suite in `folder`, and what else there is to know."""
    from echelon.scorer.general_bench.loader import is_general_bench
    from echelon.scorer.general_bench.validation import validate as validate_general_bench
    from echelon.scorer.suites.validation import validate

    own_format = (folder / MANIFEST).is_file() or not is_general_bench(folder)
    return validate(folder) if own_format else validate_general_bench(folder)
