"""From files of scores to standings: each file against the sota that was named, its own, or General-Bench's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from echelon.adapters import Composition
from echelon.adapters.settings import nearest
from echelon.scorer.editions import Graded
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.general_bench.catalogue import Catalogue, catalogue
from echelon.scorer.general_bench.findings import Finding
from echelon.scorer.general_bench.official_ranker import EDITION as OFFICIAL
from echelon.scorer.general_bench.official_ranker import official_standing
from echelon.scorer.general_bench.standings import MS_SSIM_OF_0, Standing, standing
from echelon.scorer.general_bench.submissions import Submission, stated_catalogue, submissions
from echelon.scorer.general_bench.workbooks import Book, UnreadableFileError, read
from echelon.scorer.scopes import WHOLE, Scope
from echelon.scorer.sigmas import EDITIONS


@dataclass(frozen=True, slots=True)
class Rules:
    """How scores are to be read and ranked."""

    editions: Sequence[str] = EDITIONS
    scope: Scope = WHOLE
    composition: Composition = Composition.UNVERIFIED
    ms_ssim_of_0: float = MS_SSIM_OF_0
    detect_fractions: bool = True


@dataclass(frozen=True, slots=True)
class Ranked:
    """A submission with what it amounts to, edition by edition."""

    submission: Submission
    standings: tuple[Standing, ...]


def stated(path: Path, rules: Rules) -> tuple[Catalogue, tuple[Finding, ...]]:
    """The tasks and sotas of a file; UnreadableFileError if it has none."""
    return stated_catalogue(read(path), detect_fractions=rules.detect_fractions)


def ranked(path: Path, held_against: Catalogue | None, rules: Rules) -> tuple[list[Ranked], tuple[Finding, ...]]:
    """Every model of a file, and what is to be said of the file's own sotas.

    UnreadableFileError if there is no model in it.
    """
    book = read(path)
    if not book.models:
        raise UnreadableFileError(f"{path} has no column of scores; give it one that is headed by the model's name")
    findings: tuple[Finding, ...] = ()
    if held_against is None and book.has_sota:
        held_against, findings = stated_catalogue(book, detect_fractions=rules.detect_fractions)
    held_against = held_against or catalogue()
    _check_scope(rules.scope, held_against)
    found = submissions(book, held_against, detect_fractions=rules.detect_fractions)
    return [
        Ranked(each, tuple(_standing(each, book, edition, rules) for edition in rules.editions)) for each in found
    ], findings


def _check_scope(scope: Scope, held_against: Catalogue) -> None:
    """A scope without a task would score 0, and look like a bad model."""
    if any(scope.covers(Graded(aim.modality, aim.paradigm, aim.skill, 0.0, 0.0)) for aim in held_against.aims):
        return
    skills = {
        aim.skill for aim in held_against.aims if (aim.modality, aim.paradigm) == (*scope.modalities, scope.paradigm)
    }
    hint = nearest(scope.skill, skills) if skills else ""
    raise UnknownNameError(f"there is no task in {scope.of(held_against.label)}{hint}")


def _standing(submission: Submission, book: Book, edition: str, rules: Rules) -> Standing:
    if edition == OFFICIAL:
        return official_standing(submission, book)
    return standing(submission, edition, rules.scope, composition=rules.composition, ms_ssim_of_0=rules.ms_ssim_of_0)
