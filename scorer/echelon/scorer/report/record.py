"""A run's result as plain JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from echelon.adapters import Card
from echelon.scorer.chance.outcome import Chance
from echelon.scorer.report import identity, usage, wording
from echelon.scorer.results import LevelResult, RunResult, Sota, TaskResult
from echelon.scorer.verdict.figures import LevelVerdict


def as_json(result: RunResult) -> dict[str, Any]:
    """The result without its viewed samples; what is missing is null, never 0."""
    return {
        "run": result.run_id,
        "note": wording.banner(result),
        "complete": result.complete,
        "counts": {state.value: n for state, n in result.counts().items()},
        "suite": _suite(result),
        "model": {"name": wording.model_name(result), **_card(result.card)},
        "identity": identity.as_plain(result.identity),
        "stability": identity.stability_as_plain(result),
        "seed": result.seed,
        "settings": dict(sorted(result.settings.items())),
        "usage": usage.as_plain(result.total_usage),
        "untied": [{"run": run, "store_version": version} for run, version in result.untied.items()],
        "levels": [_level(*pair) for pair in zip(result.levels, result.verdicts, strict=True)],
        "tasks": [{**_task(task), "usage": usage.as_plain(result.usage.get(task.task.id))} for task in result.tasks],
    }


def _suite(result: RunResult) -> dict[str, Any]:
    suite = result.suite
    return {
        "name": suite.name,
        "version": suite.version,
        "label": suite.label,
        "digest": suite.digest,
        "title": suite.title,
        "licence": suite.licence,
    }


def _card(card: Card) -> dict[str, Any]:
    return {
        "version": card.version,
        "description": card.description,
        "composition": card.composition.value,
        "deterministic": card.deterministic,
        "engine": card.engine,
        "device": card.device,
        "precision": card.precision,
        "weights_digest": card.weights_digest,
        "frame_sampling": card.frame_sampling,
        "calls": {
            support.call.value: {"inputs": list(support.input_kinds), "outputs": list(support.output_kinds)}
            for support in card.calls
        },
    }


def _level(level: LevelResult, verdict: LevelVerdict) -> dict[str, Any]:
    return {
        "headline": wording.headline(level, verdict),
        "edition": level.edition,
        "scope": level.scope,
        "level": level.level,
        "s2": level.s2,
        "s3": level.s3,
        "s4": level.s4,
        "s5": level.s5,
        "alpha": verdict.alpha,
        "certified": asdict(verdict.certified),
        "possible": asdict(verdict.possible),
        "basis": verdict.basis,
        "p": {str(number): p for number, p in verdict.p.items()},
        "p_at_most": {str(number): part for number, part in verdict.parts.items()},
        "synergy_counts": level.synergy_counts,
        "by_modality": {
            name: dict(zip(("s2", "s3", "s4"), scores, strict=True)) for name, scores in level.by_modality.items()
        },
        "notes": [*level.notes, *verdict.notes],
    }


def _task(task: TaskResult) -> dict[str, Any]:
    return {
        "id": task.task.id,
        "title": task.task.title,
        "modality": task.task.modality.value,
        "paradigm": task.task.paradigm.value,
        "skill": task.task.skill,
        "metric": task.metric_id,
        "unit": task.unit,
        "higher_is_better": task.higher_is_better,
        "score": task.score,
        "chance": task.chance.score,
        "chance_basis": _chance(task.chance),
        "above_chance": task.above_chance,
        "sota": _sota(task.sota),
        "mark": wording.mark(task).word,
        "won": task.won,
        "verdict": None if task.verdict is None else asdict(task.verdict),
        "sigmas": dict(task.sigmas),
        "lift": {edition: wording.lift(task, edition) for edition in task.sigmas},
        "sota_sigmas": dict(task.sota_sigmas),
        "complete": task.complete,
        "coverage": task.coverage,
        "not_computed": task.not_computed or None,
        "sample_count": task.sample_count,
        "counts": {state.value: n for state, n in task.counts.items()},
    }


def _chance(chance: Chance) -> dict[str, Any]:
    """How the chance came about; no candidates are told of a closed suite."""
    return {
        "rule": chance.rule,
        "measured": chance.measured,
        "declared": chance.declared,
        "candidates": list(chance.candidates),
        "reason": chance.reason or None,
    }


def _sota(sota: Sota | None) -> dict[str, Any] | None:
    if sota is None:
        return None
    return {"score": sota.score, "source": sota.source, "n": sota.n, "standard_error": sota.standard_error}
