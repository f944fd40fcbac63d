"""`echelon suites`: what can be run, and whether it is in order."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from echelon.scorer.printing import aligned, printable

if TYPE_CHECKING:
    from echelon.scorer.suites.suite import StoredSuite, Task

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _which(command: CommandT) -> CommandT:
    seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of a named suite.")
    samples = click.option("--samples", type=click.IntRange(min=1), help="Samples a task of a named suite.")
    return click.argument("suite", metavar="NAME_OR_FOLDER")(samples(seed(command)))


@click.group()
def suites() -> None:
    """List, show, build and validate suites."""


@suites.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the suites that are installed."""
    from echelon.scorer.suites.sources import Sources

    entries = Sources.installed().entries()
    if as_json:
        fields = ("name", "distribution", "version", "value", "problem")
        _echo_json([{field: getattr(entry, field) for field in fields} for entry in entries])
        return
    rows = [(entry.name, entry.distribution, entry.version, entry.problem or "ok") for entry in entries]
    click.echo(aligned([("NAME", "DISTRIBUTION", "VERSION", "STATE"), *rows]))


@suites.command()
@_which
@as_json_option
def show(suite: str, samples: int | None, seed: int, as_json: bool) -> None:
    """Show a suite's identity and tasks."""
    from echelon.scorer.suites.sources import open_suite

    opened = open_suite(suite, samples=samples, seed=seed)
    facts = _facts(opened)
    if as_json:
        _echo_json(facts)
        return
    identity = {
        "Suite": opened.info.label,
        "Title": opened.info.title,
        "Version": opened.info.version,
        "Licence": opened.info.licence or "not told",
        "Digest": opened.info.digest,
        "About": " ".join(opened.info.description.split()),
    }
    click.echo(aligned([(name, fact) for name, fact in identity.items() if fact]))
    click.echo()
    columns = ("id", "modality", "paradigm", "skill", "metric", "chance", "samples")
    rows = [[_said(task[column]) for column in columns] for task in facts["tasks"] if task["samples"]]
    click.echo(aligned([[column.upper() for column in columns], *rows]))
    _echo_gaps(opened)


@suites.command()
@_which
@click.pass_context
def validate(context: click.Context, suite: str, samples: int | None, seed: int) -> None:
    """Check everything in a suite.

    Exit code 1, and every fault in a line, if it has any.
    """
    from echelon.scorer.suites.formats import open_folder, validation_of
    from echelon.scorer.suites.sources import suite_folder

    folder = suite_folder(suite, samples=samples, seed=seed)
    checked = validation_of(folder)
    for found in (*checked.faults, *checked.notes):
        click.echo(found)
    if checked.faults:
        click.echo(f"{suite}: {_counted(len(checked.faults), 'fault')}", err=True)
        context.exit(1)
    opened = open_folder(folder)
    _echo_gaps(opened)
    click.echo(f"{suite} is in order: {_size(opened)}")


@suites.command()
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--samples", type=click.IntRange(min=1), required=True, help="Samples a task.")
@click.option("--seed", type=int, default=0, show_default=True)
def build(name: str, folder: Path, samples: int, seed: int) -> None:
    """Build the suite NAME into FOLDER, which must be new or empty."""
    from echelon.scorer.suites.sources import Sources

    built = Sources.installed().build(name, folder, samples=samples, seed=seed)
    click.echo(f"{built.info.label} is in {folder}: {_size(built)}")


def _facts(suite: StoredSuite) -> dict[str, Any]:
    info = suite.info
    return {
        "name": info.name,
        "version": info.version,
        "title": info.title,
        "description": info.description,
        "licence": info.licence,
        "digest": info.digest,
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "modality": task.modality,
                "paradigm": task.paradigm,
                "skill": task.skill,
                "output": task.output,
                "extractor": task.extractor,
                "metric": task.metric,
                "chance": task.chance,
                "samples": len(suite.sample_ids(task)),
                "not_computed": task.not_computed or None,
            }
            for task in suite.tasks
        ],
        "gaps": list(suite.gaps),
    }


def _size(suite: StoredSuite) -> str:
    counts = [count for task in suite.tasks if (count := len(suite.sample_ids(task)))]
    return f"{_counted(len(counts), 'task')}, {_counted(sum(counts), 'sample')}"


def _echo_gaps(suite: StoredSuite) -> None:
    """What of a suite cannot be asked or scored, and why; tasks with the same reason stand together."""
    by_reason: dict[str, list[Task]] = {}
    for task in suite.tasks:
        if task.not_computed:
            by_reason.setdefault(task.not_computed, []).append(task)
    for gap in suite.gaps:
        click.echo(f"\nnot read: {printable(gap)}")
    for reason, tasks in by_reason.items():
        click.echo(f"\n{_counted(len(tasks), 'task')} not computed, {printable(reason)}")
        click.echo(
            textwrap.fill(", ".join(task.id for task in tasks), 100, initial_indent="  ", subsequent_indent="  ")
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _echo_json(value: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2))
