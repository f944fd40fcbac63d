"""`echelon runs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from echelon.scorer.commands.options import json_option, store_option


@click.group()
def runs() -> None:
    """List the stored runs, or show one."""


@runs.command("list")
@json_option
@store_option
def list_runs(as_json: bool, folder: Path) -> None:
    """List the stored runs, newest first."""
    from echelon.scorer.store import Store

    with Store(folder) as store:
        records = store.runs()
    if as_json:
        click.echo(json.dumps([_summary(record) for record in records], indent=2))
        return
    for record in records:
        suite = f"{record.suite['name']}@{record.suite['digest'][:4]}"
        click.echo(f"{record.run[:12]}  {record.created[:19]}  {suite}  {record.target}")


@runs.command("show")
@click.argument("run", default="last")
@json_option
@store_option
def show_run(run: str, as_json: bool, folder: Path) -> None:
    """Show where and when RUN happened, how long its calls took, and which tries failed.

    None of this changes a score; that is why it stands here and not in the report.
    """
    from echelon.scorer.store import Store

    with Store(folder) as store:
        record = store.run(run)
        attempts = store.attempts(record.run)
        times = store.milliseconds(record.run)
    shown = {
        **_summary(record),
        "settings": dict(record.settings),
        "seed": record.seed,
        "outcomes": len(times),
        "milliseconds": {f"p{q}": round(_quantile(times, q / 100), 1) for q in (50, 90, 99)},
        "failed_attempts": [
            {"task": a.task, "sample": a.sample, "reason": a.reason, "detail": a.detail, "at": a.at} for a in attempts
        ],
    }
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for key, value in shown.items():
        if key != "failed_attempts":
            click.echo(f"{key:16} {value}")
    click.echo(f"{'failed attempts':16} {len(attempts)}")
    for attempt in attempts[-20:]:
        click.echo(f"  {attempt.at}  {attempt.task}/{attempt.sample}  {attempt.reason}: {attempt.detail}")


def _summary(record: Any) -> dict[str, Any]:
    return {
        "run": record.run,
        "created": record.created,
        "suite": f"{record.suite['name']}@{record.suite['digest'][:4]}",
        "target": record.target,
        "model": record.card.name,
    }


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
