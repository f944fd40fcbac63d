"""`echelon score`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from echelon.scorer.commands.options import exit_code, instruments_option, json_option, read_instruments
from echelon.scorer.printing import printable

if TYPE_CHECKING:
    from echelon.scorer.general_bench.predictions import Finding

_NOTHING_SCORED = 1
_TOLD = 20
"""Findings that are printed as text; JSON has them all."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the prediction.json files lie; default: beside the annotations.",
)
@click.option("--name", default="", metavar="MODEL", help="The model's name; default: that of the predictions' folder.")
@click.option(
    "--profile",
    type=click.Choice(["strict", "official"]),
    default="strict",
    show_default=True,
    help="Measure right, or as the official evaluators do, their faults included.",
)
@click.option(
    "--sota",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A JSON file of figures to hold against, in the place of the published ones.",
)
@click.option("--workbook", type=click.Path(path_type=Path, dir_okay=False), help="Write an official workbook, too.")
@instruments_option
@json_option
def score(
    folder: Path,
    predictions: Path | None,
    name: str,
    profile: str,
    sota: Path | None,
    workbook: Path | None,
    instruments_file: Path | None,
    as_json: bool,
) -> None:
    """Score prediction.json files against General-Bench's open set in FOLDER, without any model.

    A sample without a prediction counts as wholly wrong. Exit code 0: all is predicted; 3: some predictions are missing
    or cannot be read; 1: nothing could be scored.
    """
    from echelon.scorer.general_bench.export import write_workbook
    from echelon.scorer.general_bench.loader import GeneralBench
    from echelon.scorer.general_bench.scoring import score as score_predictions
    from echelon.scorer.report import as_json as to_json
    from echelon.scorer.report import text
    from echelon.scorer.sota import from_file

    suite = GeneralBench(folder, official=profile == "official")
    scored = score_predictions(
        suite,
        predictions or folder,
        model=name or (predictions or folder).resolve().name,
        sota=from_file(sota, suite) if sota else None,
        instruments=read_instruments(instruments_file),
    )
    if workbook:
        write_workbook(workbook, scored.result)
    if as_json:
        told = {"profile": profile, "findings": [_plain(each) for each in scored.findings], "gaps": list(suite.gaps)}
        click.echo(json.dumps({**to_json(scored.result), **told}, indent=2))
    else:
        click.echo(text(scored.result))
        for line in [*suite.gaps, *map(str, scored.findings[:_TOLD])]:
            click.echo(printable(line))
        if len(scored.findings) > _TOLD:
            click.echo(f"and {len(scored.findings) - _TOLD} more findings; --json has them all")
    predicted = any(task.supported and task.sample_count for task in scored.result.tasks)
    sys.exit(exit_code(scored.result) if predicted else _NOTHING_SCORED)


def _plain(finding: Finding) -> dict[str, str]:
    return {"file": finding.file, "task": finding.task, "sample": finding.sample, "message": finding.message}
