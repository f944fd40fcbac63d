"""`echelon export`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from echelon.scorer.commands.options import (
    INCOMPLETE,
    exit_code,
    instruments_option,
    read_instruments,
    store_option,
)
from echelon.scorer.printing import printable

if TYPE_CHECKING:
    from echelon.scorer.general_bench.prediction_export import Exported

_NAMED = 10
"""Samples that are named, of those that a form cannot hold."""


@click.command()
@click.argument("run", default="last")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for prediction.json files, one a task, as they are submitted.",
)
@click.option(
    "--form",
    type=click.Choice(["echelon", "documented", "list"]),
    default="echelon",
    show_default=True,
    help="How prediction files are written: with all that a score depends on, as the benchmark documents them, or as "
    "the bare list that its own evaluator of language reads.",
)
@click.option("--workbook", type=click.Path(path_type=Path, dir_okay=False), help="File for the official workbook.")
@click.option("--name", default="", metavar="MODEL", help="The model's name; default: its card's.")
@instruments_option
@store_option
def export(
    run: str,
    predictions: Path | None,
    form: str,
    workbook: Path | None,
    name: str,
    instruments_file: Path | None,
    folder: Path,
) -> None:
    """Write a stored RUN on General-Bench in the benchmark's own forms; RUN is the beginning of its id, or "last".

    Exit code 4: some tasks are incomplete, and left out.
    """
    from echelon.scorer.errors import InvalidSuiteError
    from echelon.scorer.general_bench.export import write_workbook
    from echelon.scorer.general_bench.loader import GeneralBench
    from echelon.scorer.general_bench.prediction_export import PredictionForm, write_predictions
    from echelon.scorer.store import Store
    from echelon.scorer.stored import reopen_suite, result_of

    if predictions is None and workbook is None:
        raise click.UsageError("say what to write: --predictions FOLDER, --workbook FILE, or both")
    with Store(folder) as store:
        record = store.run(run)
        suite = reopen_suite(record)
        if not isinstance(suite, GeneralBench):
            raise InvalidSuiteError(f"run {record.run[:12]} is of {suite.info.label}, which is not General-Bench")
        result = result_of(suite, record, store, viewed=0, instruments=read_instruments(instruments_file))
        if workbook:
            write_workbook(workbook, replace(result, card=replace(result.card, name=name or result.card.name)))
            click.echo(workbook)
        left_out = False
        if predictions:
            tasks = tuple(each.task for each in result.tasks)
            for each in write_predictions(suite, record.run, store, tasks, predictions, PredictionForm(form)):
                left_out |= each.file is None
                click.echo(printable(_line(each)))
    sys.exit(INCOMPLETE if left_out or exit_code(result) == INCOMPLETE else 0)


def _line(exported: Exported) -> str:
    """What is told of one task."""
    if exported.problem:
        return f"{exported.task}: {exported.problem}"
    line = f"{exported.file}: {exported.samples} predictions, {exported.empty} of them empty"
    if not exported.changed:
        return line
    named = ", ".join(exported.changed[:_NAMED]) + (", ..." if len(exported.changed) > _NAMED else "")
    return f"{line}; {len(exported.changed)} read otherwise from this form, so that a score may differ: {named}"
