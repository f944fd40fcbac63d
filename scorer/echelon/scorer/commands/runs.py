"""`echelon runs`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from echelon.scorer.commands.options import json_option, store_option
from echelon.scorer.printing import printable

if TYPE_CHECKING:
    from echelon.scorer.outcomes import State
    from echelon.scorer.store import Attempt, RunRecord, Store
    from echelon.scorer.usage import TotalUsage

_KINDS = 10
"""Kinds of failure that are shown to people."""


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
        click.echo(printable(f"{record.run[:12]}  {record.created[:19]}  {suite}  {record.target}"))


@runs.command("show")
@click.argument("run", default="last")
@json_option
@store_option
def show_run(run: str, as_json: bool, folder: Path) -> None:
    """Show when RUN happened, what its calls took, and what failed.

    Tokens and costs are among it, where the model tells them. None of this changes a score.
    """
    from echelon.scorer.store import Store
    from echelon.scorer.usage import total

    with Store(folder) as store:
        record = store.run(run)
        used = total(store.usage(record.run).values())
        times = store.milliseconds(record.run)
        shown = _facts(record, store.counts(record.run), store.attempts(record.run), times, used)
        shown |= _identity(record, store)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    attempts = shown.pop("failed_attempts")
    shown["identity"] = f"{shown['identity']['digest']}, {shown['identity']['status']}" if shown["identity"] else None
    for key, value in shown.items():
        click.echo(f"{key:16} {printable(_said(value))}")
    click.echo(f"{'failed attempts':16} {len(attempts) or 'none'}")
    for line in _kinds_of_failure(attempts):
        click.echo(f"  {line}")


@runs.command("verify")
@click.argument("run", default="")
@json_option
@store_option
def verify_runs(run: str, as_json: bool, folder: Path) -> None:
    """Check every stored row and large answer of RUN, or of all runs.

    Exit code 1: something is damaged, moved or missing; each such row is named.
    """
    from echelon.scorer.report import wording
    from echelon.scorer.verification import verify

    found = verify(folder, run)
    if as_json:
        click.echo(json.dumps({"intact": found.intact, **asdict(found)}, indent=2))
    else:
        for each in found.runs:
            state = "DAMAGED" if each.problems else "intact"
            note = "" if each.tied else f" ({wording.untied(each.store_version)})"
            click.echo(f"{printable(each.run[:12])}  {each.outcomes:,} outcomes  {state}{note}")
            for problem in each.problems:
                click.echo(f"  {printable(problem)}")
        for problem in found.problems:
            click.echo(printable(problem))
    sys.exit(0 if found.intact else 1)


def _kinds_of_failure(attempts: list[dict[str, str]]) -> Iterator[str]:
    """Each with its number and where it was first met, the most frequent first."""
    first: dict[tuple[str, str], dict[str, str]] = {}
    kinds = Counter((attempt["reason"], attempt["detail"]) for attempt in attempts)
    for attempt in attempts:
        first.setdefault((attempt["reason"], attempt["detail"]), attempt)
    for (reason, detail), number in kinds.most_common(_KINDS):
        where = "{task}/{sample} at {at}".format(**first[reason, detail])
        yield f"{number} x {reason}: {printable(detail)} (first: {where})"


def _facts(
    record: RunRecord,
    counts: dict[str, Counter[State]],
    attempts: list[Attempt],
    times: list[float],
    used: TotalUsage,
) -> dict[str, Any]:
    from echelon.scorer.report import wording
    from echelon.scorer.report.usage import as_plain

    return {
        **_summary(record),
        "folder": record.suite["folder"],
        "tasks": len(record.suite["tasks"]),
        "seed": record.seed,
        "settings": dict(record.settings),
        "engine": " ".join(filter(None, (record.card.engine, record.card.device, record.card.precision))),
        "store": f"version {record.store_version}" if record.tied else wording.untied(record.store_version),
        **({"attempt": record.suite["attempt"]} if "attempt" in record.suite else {}),
        "sota": ", ".join(sorted({each["source"] for each in (record.sota or {}).values()})),
        "outcomes": {state.value: n for state, n in sum(counts.values(), Counter()).items()},
        "usage": as_plain(used) if used.calls else None,
        "milliseconds": {f"p{q}": round(_quantile(times, q / 100), 1) for q in (50, 90, 99)},
        "failed_attempts": [asdict(attempt) for attempt in attempts],
    }


def _identity(record: RunRecord, store: Store) -> dict[str, Any]:
    from echelon.scorer.identity import identity_from_plain
    from echelon.scorer.report.identity import as_plain, in_words, rows
    from echelon.scorer.stability import stability

    identity = identity_from_plain(record.identity)
    shown = dict(rows(identity))
    return {
        "identity": as_plain(identity),
        "unverified": shown.get("unverified", shown["identity"]),
        "probes": in_words(stability(store.probes(record.run)), deterministic=record.card.deterministic),
    }


def _summary(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.run,
        "created": record.created,
        "suite": f"{record.suite['name']}@{record.suite['digest'][:4]}",
        "target": record.target,
        "model": f"{record.card.name} {record.card.version}".strip(),
    }


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items() if each is not None) or "none"
    return "none" if value is None else str(value) or "none"


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
