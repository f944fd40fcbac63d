"""`echelon compare`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from echelon.scorer.commands.options import instruments_option, json_option, read_instruments, store_option
from echelon.scorer.printing import aligned, printable

if TYPE_CHECKING:
    from echelon.scorer.verdict.comparison import Comparison

_HEAD = ("task", "first", "second", "difference", "95 % interval", "p", "detectable", "")


@click.command()
@click.argument("first")
@click.argument("second")
@instruments_option
@json_option
@store_option
def compare(first: str, second: str, instruments_file: Path | None, as_json: bool, folder: Path) -> None:
    """Compare two runs of one suite, FIRST and SECOND, sample by sample.

    Differences are above 0 where FIRST is better. p is two-sided and adjusted for all tasks; a difference as large as
    "detectable" would be found four times in five. A task's margin, if it has one, must be exceeded to be better.
    """
    from echelon.scorer.report import wording
    from echelon.scorer.sota import check_comparable, from_run
    from echelon.scorer.store import Store
    from echelon.scorer.stored import reopen_suite, stored_result
    from echelon.scorer.verdict.comparison import LEVEL, compared

    instruments = read_instruments(instruments_file)
    with Store(folder) as store:
        one, other = store.run(first), store.run(second)
        reference = stored_result(store, other, viewed=0, instruments=instruments)
        check_comparable(reference, reopen_suite(one))
        sota = from_run(reference)
        result = stored_result(store, one, sota=sota, viewed=0, instruments=instruments, alpha=LEVEL / 2)
    tasks = list(compared(result))
    missing = [task.task.id for task in result.tasks if task.task.id not in {each.task for each in tasks}]
    names = {"first": wording.model_name(result), "second": wording.model_name(reference)}
    if as_json:
        runs = {
            "first": {"run": one.run, "model": names["first"]},
            "second": {"run": other.run, "model": names["second"]},
        }
        shown = {
            "suite": result.suite.label,
            **runs,
            "tasks": [asdict(task) for task in tasks],
            "not_compared": missing,
        }
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"first: {printable(names['first'])}, run {one.run[:12]}")
    click.echo(f"second: {printable(names['second'])}, run {other.run[:12]}, on {result.suite.label}\n")
    for line in _lines(tasks, missing):
        click.echo(line)


def _lines(tasks: Sequence[Comparison], missing: Sequence[str]) -> Iterator[str]:
    if tasks:
        yield aligned([_HEAD, *map(_row, tasks)])
        counts = Counter(task.word for task in tasks)
        yield "\n" + ", ".join(f"{count} {word}" for word, count in counts.most_common())
    if missing:
        yield f"not compared, for one of the runs has no score: {', '.join(missing)}"


def _row(task: Comparison) -> tuple[str, ...]:
    from echelon.scorer.report.wording import number, p, signed

    ends = (task.difference.lower, task.difference.upper)
    low, high = ("…" if end is None else signed(end) for end in ends)
    return (
        printable(task.task),
        number(task.first),
        number(task.second),
        signed(task.difference.value),
        f"{low} to {high}",
        p(task.p),
        number(task.detectable),
        task.word,
    )
