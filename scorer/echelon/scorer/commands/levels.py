"""`echelon levels`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from echelon.scorer.commands.options import json_option

if TYPE_CHECKING:
    from echelon.scorer.general_bench.ranking import Ranked

BENCHMARK = "General-Bench"
EDITIONS = ("2024", "2025", "official-2025-07")
COMPOSITIONS = ("unverified", "single", "ensemble", "dispatcher", "agent")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE...")
@click.option(
    "--sota",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Tasks and sotas to hold the scores against. Default: a file's own, else General-Bench's of July 2025.",
)
@click.option(
    "--edition", "editions", multiple=True, type=click.Choice(EDITIONS), help="Repeat for more. Default: 2024 and 2025."
)
@click.option(
    "--scope", "part", default="A", show_default=True, help="A, B:image, B:image+video, C:image-generation, ..."
)
@click.option("--composition", type=click.Choice(COMPOSITIONS), default="unverified", show_default=True)
@click.option(
    "--ms-ssim",
    type=click.Choice(["50", "0"]),
    default="50",
    show_default=True,
    help="What an MS-SSIM of 0 counts in edition 2025; the published tables have 50.",
)
@click.option(
    "--units",
    type=click.Choice(["detect", "percent"]),
    default="detect",
    show_default=True,
    help="Whether columns of fractions are found and taken times 100.",
)
@json_option
def levels(
    files: tuple[Path, ...],
    sota: Path | None,
    editions: tuple[str, ...],
    part: str,
    composition: str,
    ms_ssim: str,
    units: str,
    as_json: bool,
) -> None:
    """Tell the levels that scores amount to, without any model.

    FILE is an official workbook (.xlsx), or a CSV or JSON table; every column of scores is a model. Rows are matched by
    sheet, task and metric. Whatever cannot be read is reported, and the rest is read; a file of which nothing can be
    read makes the exit code 1.
    """
    from echelon.adapters import Composition
    from echelon.scorer.general_bench import tables
    from echelon.scorer.general_bench.ranking import Rules, ranked, stated
    from echelon.scorer.general_bench.workbooks import UnreadableFileError
    from echelon.scorer.scopes import WHOLE, scope

    rules = Rules(
        editions=editions or EDITIONS[:2],
        scope=scope(part),
        composition=Composition(composition),
        ms_ssim_of_0=float(ms_ssim),
        detect_fractions=units == "detect",
    )
    if rules.scope != WHOLE and EDITIONS[-1] in rules.editions:
        raise click.UsageError(f"edition {EDITIONS[-1]} knows the whole benchmark only; leave out --scope")
    held_against, findings = stated(sota, rules) if sota else (None, ())
    found: list[Ranked] = []
    failed = False
    for file in files:
        try:
            models, own_findings = ranked(file, held_against, rules)
        except UnreadableFileError as error:
            click.echo(f"error: {error}", err=True)
            failed = True
        else:
            found += models
            findings += own_findings
    if found:
        compare = rules.scope == WHOLE and all(each.submission.catalogue.name == BENCHMARK for each in found)
        if as_json:
            click.echo(json.dumps(tables.as_json(found, findings, compare=compare), indent=2, ensure_ascii=False))
        else:
            click.echo(tables.as_text(found, findings, compare=compare))
    if failed:
        raise SystemExit(1)
