"""`echelon demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from echelon.scorer.commands.options import json_option, store_option, write_report

if TYPE_CHECKING:
    from echelon.scorer.demo import Shown

CHECKED_FROM = 25
"""Samples a task from which on a control's verdict says something; below, luck decides who beats whom."""
BANNER = "A demonstration on procedural data: it says nothing about General-Bench."


@click.command()
@click.option("--samples", type=click.IntRange(2), default=50, show_default=True, help="Samples a task.")
@click.option("--suite-seed", type=int, default=0, show_default=True, help="Seed of the suite.")
@json_option
@store_option
def demo(samples: int, suite_seed: int, as_json: bool, folder: Path) -> None:
    """Serve the built-in models, evaluate them over gRPC and print their levels.

    The specialists run first and set each task's sota. Then three generalists are measured against them, and five
    controls that must each get a known verdict; exit code 1 if one does not, from 25 samples a task up.
    """
    from echelon.rpc.loop import run as run_loop
    from echelon.scorer.demo import Demo
    from echelon.scorer.store import Store
    from echelon.scorer.suites.sources import open_suite

    started = monotonic()
    suite = open_suite("starter", samples=samples, seed=suite_seed)
    if not as_json:
        click.echo(f"{BANNER}\n{suite.info.label}: {len(suite.tasks)} tasks of {samples} samples\n")
        click.echo(_HEAD)
    with Store(folder, write=True) as store:
        shown = run_loop(Demo(suite, store, _quiet if as_json else _print).run)
    main = next(each for each in shown if each.exhibit.name == "both")
    others = tuple(each.result for each in shown if each is not main)
    path = write_report(main.result, folder / "reports" / "demo.html", others)
    wrong = [each for each in shown if not each.as_it_must] if samples >= CHECKED_FROM else []
    if as_json:
        click.echo(json.dumps([_plain(each) for each in shown], indent=2))
    else:
        if samples < CHECKED_FROM:
            click.echo(f"\nWith fewer than {CHECKED_FROM} samples luck decides; no control's verdict is checked.")
        click.echo("\nLevels: certified / by the paper's gate / possible. S2 to S5: by the gate, of edition 2025.")
        click.echo(f"Won: tasks significantly above their specialist. Every run is stored in {folder}.")
        click.echo(f"report: {path}\n{monotonic() - started:.0f} s")
    for each in wrong:
        told = ", ".join(f"{_levels(levels)} in {edition}" for edition, levels in each.levels.items())
        click.echo(f"the control {each.exhibit.name} must get level {each.exhibit.must}, not {told}", err=True)
    sys.exit(1 if wrong else 0)


_ROW = "{:<14} {:>5} {:>5}  {:>6} {:>6} {:>6} {:>6}  {:>3} {:>6}  {}"
_HEAD = _ROW.format("model", "2024", "2025", "S2", "S3", "S4", "S5", "won", "≥ sota", "").rstrip()


def _print(shown: Shown) -> None:
    from echelon.scorer.report import wording

    level = shown.result.levels[-1]
    won = dict(wording.task_states(shown.result)).get("won", 0)
    scores = [f"{value:.2f}" for value in (level.s2, level.s3, level.s4, level.s5)]
    note = shown.exhibit.about if level.synergy_counts else f"{shown.exhibit.about} (not synergy)"
    click.echo(
        _ROW.format(
            shown.exhibit.name,
            *map(_levels, shown.levels.values()),
            *scores,
            won,
            wording.tasks_at_sota(shown.result),
            note,
        )
    )


def _levels(levels: tuple[int, int, int]) -> str:
    return "/".join(str(level) if level else "–" for level in levels)


def _quiet(shown: Shown) -> None:
    """With --json nothing is printed before the end."""


def _plain(shown: Shown) -> dict[str, Any]:
    from echelon.scorer.report import as_json

    return {"must": shown.exhibit.must, "as_it_must": shown.as_it_must, **as_json(shown.result)}
