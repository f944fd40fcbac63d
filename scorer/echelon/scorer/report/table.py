"""A run's result as plain text, for terminals and logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from echelon.scorer.printing import aligned
from echelon.scorer.report import identity, usage, wording
from echelon.scorer.report.prose import line
from echelon.scorer.results import LevelResult, RunResult, TaskResult
from echelon.scorer.verdict.figures import LevelVerdict


def text(result: RunResult) -> str:
    """The verdicts, the levels and the tasks."""
    blocks = [
        _verdicts(result),
        aligned([_LEVEL_HEAD, *(row for pair in _judged(result) for row in _level(*pair))]),
        _notes(result),
        _tasks(result),
        _usage(result),
        _provenance(result),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _verdicts(result: RunResult) -> str:
    about = [f"{line(wording.model_name(result))}, {result.card.composition}", wording.banner(result)]
    headlines = [
        f"{wording.headline(level, verdict)} ({wording.doubts(level, verdict)})" for level, verdict in _judged(result)
    ]
    return "\n".join(entry for entry in [*headlines, *about, wording.shortfall(result)] if entry)


def _judged(result: RunResult) -> Iterator[tuple[LevelResult, LevelVerdict]]:
    return zip(result.levels, result.verdicts, strict=True)


_ARROWS = {True: "↑", False: "↓", None: ""}
_LEVEL_HEAD = ("edition", "", "level", "S2", "S3", "S4", "S5", "")


def _level(level: LevelResult, verdict: LevelVerdict) -> Iterator[tuple[str, ...]]:
    claim = "" if level.synergy_counts else f"S3 to S5 are {wording.NOT_SYNERGY}"
    edition = level.edition
    for name, figure in wording.figures(level, verdict):
        yield (
            edition,
            name,
            str(figure.level),
            *map(wording.sigma, (figure.s2, figure.s3, figure.s4, figure.s5)),
            claim,
        )
        edition = claim = ""


def _notes(result: RunResult) -> str:
    return "\n".join(
        f"{level.edition}: {line(note, 400)}"
        for level, verdict in _judged(result)
        for note in (*level.notes, *verdict.notes)
    )


def _tasks(result: RunResult) -> str:
    """A row for each task that has samples."""
    here = result.tasks_here
    table = aligned([_task_head(result), *(_task(task, wording.editions(result)) for task in here)])
    without, total = len(result.tasks) - len(here), len(result.tasks)
    return f"{table}\nwithout samples here, 0 in every level: {without} of {total} tasks" if without else table


def _task_head(result: RunResult) -> tuple[str, ...]:
    sigmas = [f"σ {edition}" for edition in wording.editions(result)]
    return ("task", "metric", "score", "chance", "sota", "lead (95 % bounds)", *sigmas, "mark", "samples")


def _task(task: TaskResult, editions: Sequence[str]) -> tuple[str, ...]:
    sota = wording.number(task.sota.score if task.sota else None)
    sigmas = [wording.sigma(task.sigmas.get(edition) if task.score is not None else None) for edition in editions]
    return (
        line(task.task.id, 40),
        f"{line(task.task.metric, 20)} {_ARROWS[task.higher_is_better]}".rstrip(),
        wording.score(task),
        wording.number(task.chance.score),
        sota,
        wording.lead(task.verdict.sota) if task.verdict is not None and task.verdict.sota is not None else "–",
        *sigmas,
        wording.mark(task).word,
        ", ".join(f"{n} {state}" for state, n in wording.states(task)),
    )


def _usage(result: RunResult) -> str:
    """A row for each task, and one for all; empty where nothing is known."""
    if result.total_usage is None:
        return ""
    head = ("took", *(column.name for column in usage.columns(result.total_usage)))
    rows = [(line(row.task or row.title, 40), *(said for _, said in row.cells)) for row in usage.rows(result)]
    return "\n".join([aligned([head, *rows]), *usage.notes(result)])


def _provenance(result: RunResult) -> str:
    suite = result.suite
    about = {"run": result.run_id, "suite": f"{line(suite.name)} {line(suite.version)}, {suite.digest}"}
    about |= {name: value for name, value in identity.rows(result.identity) if name in ("identity", "unverified")}
    about["probes"] = identity.stability(result)
    return "\n".join([*(f"{name} {line(value, 400)}" for name, value in about.items()), *wording.caveats(result)])
