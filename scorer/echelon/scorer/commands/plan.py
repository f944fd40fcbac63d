"""`echelon plan`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from echelon.scorer.commands.options import instruments_option, json_option, read_instruments, store_option
from echelon.scorer.printing import aligned, printable

if TYPE_CHECKING:
    from echelon.scorer.verdict.plan import Balance, Plan, Step

_HEAD = ("task", "paradigm", "state", "lead", "samples to decide", "S2", "S3", "S4", "S5")


@click.command()
@click.argument("run", default="last")
@click.option("--most", type=click.IntRange(1), default=10, show_default=True, help="Tasks to show of each edition.")
@instruments_option
@json_option
@store_option
def plan(run: str, most: int, instruments_file: Path | None, as_json: bool, folder: Path) -> None:
    """Show what is nearest to the next level of RUN: the beginning of its id, or "last".

    Of each task that is not won: its lead over the sota, the samples that would decide if that lead is what it looks
    like, and what winning it would add to the certified scores.
    """
    from echelon.scorer.store import Store
    from echelon.scorer.stored import stored_result
    from echelon.scorer.verdict.plan import plans

    with Store(folder) as store:
        result = stored_result(store, store.run(run), viewed=0, instruments=read_instruments(instruments_file))
    found = list(plans(result))
    if as_json:
        click.echo(json.dumps({"run": result.run_id, "plans": [_plain(each) for each in found]}, indent=2))
        return
    click.echo("\n\n".join("\n".join(_lines(each, result.levels[0].scope, most)) for each in found))


def _plain(plan: Plan) -> dict[str, object]:
    shown = asdict(plan)
    for balance, plain in zip(plan.balances, shown["balances"], strict=True):
        plain["held_back_by"] = balance.held_back_by or None
    return shown


def _lines(plan: Plan, scope: str, most: int) -> Iterator[str]:
    now = f"level {plan.level}" if plan.level else "no level"
    goal = f"on the way to level {plan.next_level}" if plan.next_level else "there is no higher level"
    yield f"{scope}, edition {plan.edition}: {now} is certified, {goal}"
    if plan.steps:
        yield aligned([_HEAD, *map(_row, plan.steps[:most])])
    else:
        yield "no task with a sota is left to be won"
    if len(plan.steps) > most:
        yield f"and {len(plan.steps) - most} more; --most shows them"
    yield from map(_balance, plan.balances)


def _row(step: Step) -> tuple[str, ...]:
    from echelon.scorer.report.wording import signed

    needed = "not on this suite" if step.needed_n is None else f"about {step.needed_n:,}"
    return (
        printable(step.task),
        step.paradigm.value,
        step.state.value if step.state else "no result",
        "–" if step.lead is None else signed(step.lead),
        needed,
        *(f"+{step.adds[name]:.2f}" for name in ("s2", "s3", "s4", "s5")),
    )


def _balance(balance: Balance) -> str:
    sides = f"{balance.scope}: comprehension {balance.comprehension:.1f}, generation {balance.generation:.1f}"
    if not balance.comprehension or not balance.generation:
        values = {"comprehension": balance.comprehension, "generation": balance.generation}
        missing = " or ".join(name for name, value in values.items() if not value)
        return f"{sides}: S4 is 0 while no task of {missing} reaches its sota"
    if not balance.held_back_by:
        return f"{sides}: neither side holds S4 back"
    return (
        f"{sides}: {balance.held_back_by} holds S4 back; a point more of comprehension adds "
        f"{balance.per_point_of_comprehension:.2f}, of generation {balance.per_point_of_generation:.2f}"
    )
