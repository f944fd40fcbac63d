"""What a model's submitted scores amount to in an edition and a scope: scores, level, and what to know of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from echelon.adapters import Composition
from echelon.scorer.editions import (
    HIGHEST_WITHOUT_SYNERGY,
    WITHOUT_SYNERGY,
    Graded,
    gate_won,
    group,
    held_back,
    highest_level,
    out_of_order,
    synergy,
)
from echelon.scorer.general_bench.findings import Finding, Rule
from echelon.scorer.general_bench.submissions import Submission
from echelon.scorer.scopes import WHOLE, Scope
from echelon.scorer.sigmas import sigma
from echelon.scorer.suites.suite import Paradigm

MS_SSIM_OF_0 = 50.0
"""What an MS-SSIM of 0 counts in the published tables of 2025: the value of its map."""

Levels: TypeAlias = Mapping[str, float | None]
"""S2 to S5 by name; None where a scope has no such score."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One model in one edition; scores in 0-100, `synergy_counts` is False for a dispatcher or agent.

    `overall` is over the scope, `by_modality` over each modality with language, `by_group` over each paradigm in a
    modality, and `by_skill` over each skill in that; S4 and S5 are None where there is one paradigm only.
    """

    model: str
    edition: str
    where: str
    level: int
    overall: Levels
    by_modality: Mapping[str, Levels]
    by_group: Mapping[str, Levels]
    by_skill: Mapping[str, Mapping[str, Levels]]
    synergy_counts: bool = True
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def headline(self) -> str:
        """The level with everything it depends on."""
        return f"{f'Level {self.level}' if self.level else 'No level'} on {self.where}, edition {self.edition}"


def standing(
    submission: Submission,
    edition: str,
    scope: Scope = WHOLE,
    *,
    composition: Composition = Composition.UNVERIFIED,
    ms_ssim_of_0: float = MS_SSIM_OF_0,
) -> Standing:
    """Where a model stands in the edition 2024 or 2025; a task that is missing or unsupported counts 0.

    In 2025 an MS-SSIM of 0, although unsupported, counts `ms_ssim_of_0` in S2, as the published values have it.
    """
    tasks = grades(submission, edition, ms_ssim_of_0)
    able = [task for task, score in zip(tasks, submission.scores, strict=True) if score and scope.covers(task)]
    covered = [task for task in tasks if scope.covers(task)]
    overall, disorder = _overall(edition, covered, scope)
    reached = highest_level(
        (task for task in able if task.sigma > 0), *((overall[k] or 0.0) for k in ("S3", "S4", "S5"))
    )
    synergy_counts = composition not in WITHOUT_SYNERGY
    whole = scope.paradigm is None
    return Standing(
        model=submission.model,
        edition=edition,
        where=scope.of(submission.catalogue.label),
        level=reached if synergy_counts else min(reached, HIGHEST_WITHOUT_SYNERGY),
        overall=overall,
        by_modality=_by_modality(edition, covered) if whole else {},
        by_group={name: _alone(tasks) for name, tasks in _split(covered, group_name)},
        by_skill={
            name: {skill: _alone(few) for skill, few in _split(tasks, lambda task: task.skill)}
            for name, tasks in _split(covered, group_name)
        },
        synergy_counts=synergy_counts,
        notes=tuple(_notes(edition, reached, composition, synergy=whole)),
        findings=tuple(_findings(submission, edition, ms_ssim_of_0, disorder)),
    )


def grades(submission: Submission, edition: str, ms_ssim_of_0: float = MS_SSIM_OF_0) -> list[Graded]:
    """Every task of the catalogue as the formulas see it; the gate compares raw scores."""
    found: list[Graded] = []
    for aim, score in zip(submission.catalogue.aims, submission.scores, strict=True):
        modality, paradigm, skill, metric, per, higher_is_better, sota = aim
        if score:
            value = sigma(metric, score / per, edition)
            won = sota is not None and gate_won(score, sota, higher_is_better)
            found.append(Graded(modality, paradigm, skill, value, value if won else 0.0))
        else:
            counts = ms_ssim_of_0 if score is not None and _is_ms_ssim(metric, edition) else 0.0
            found.append(Graded(modality, paradigm, skill, counts, 0.0))
    return found


def group_name(task: Graded) -> str:
    """The paradigm of a modality, as in `image-generation`; language has one only."""
    return task.modality.value if task.paradigm is Paradigm.LANGUAGE else f"{task.modality}-{task.paradigm}"


def named(scores: Sequence[float | None]) -> Levels:
    """S2 to S5 by their names."""
    return dict(zip(("S2", "S3", "S4", "S5"), scores, strict=True))


def _is_ms_ssim(metric: str, edition: str) -> bool:
    return metric == "ms_ssim" and edition == "2025"


def _overall(edition: str, tasks: Sequence[Graded], scope: Scope) -> tuple[Levels, str]:
    if scope.paradigm is not None:
        return _alone(tasks), ""
    scores = synergy(edition, tasks)
    return named(scores[:4]), out_of_order(edition, scores)


def _by_modality(edition: str, tasks: Sequence[Graded]) -> dict[str, Levels]:
    language = [task for task in tasks if task.paradigm is Paradigm.LANGUAGE]
    others = (task for task in tasks if task.paradigm is not Paradigm.LANGUAGE)
    return {
        modality: named(synergy(edition, [*own, *language])[:4])
        for modality, own in _split(others, lambda task: task.modality.value)
    }


def _alone(tasks: Iterable[Graded]) -> Levels:
    return named((*group(tasks), None, None))


def _split(tasks: Iterable[Graded], key: Callable[[Graded], str]) -> Iterable[tuple[str, list[Graded]]]:
    found: dict[str, list[Graded]] = {}
    for task in tasks:
        found.setdefault(key(task), []).append(task)
    return found.items()


def _notes(edition: str, reached: int, composition: Composition, *, synergy: bool) -> Iterator[str]:
    if composition in WITHOUT_SYNERGY:
        yield f"composition {composition}: its gated scores are not synergy and do not count above level 2"
    if not synergy:
        yield "one paradigm only: levels end at 3"
    elif reached < 5:
        yield held_back(edition, reached)


def _findings(submission: Submission, edition: str, ms_ssim_of_0: float, disorder: str) -> Iterator[Finding]:
    if ms_ssim_of_0:
        entries = submission.catalogue.entries
        for entry, aim, score in zip(entries, submission.catalogue.aims, submission.scores, strict=True):
            if score == 0 and _is_ms_ssim(aim.metric, edition):
                reason = f"{entry.task}: MS-SSIM 0 is unsupported, but counts {ms_ssim_of_0:g} in S2, as in the paper"
                yield Finding(Rule.PAPER, reason, submission.path.name, entry.sheet, model=submission.model)
    if disorder:
        yield Finding(Rule.ORDER, disorder, submission.path.name, model=submission.model)
