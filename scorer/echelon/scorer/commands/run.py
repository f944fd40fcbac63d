"""`echelon run`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from echelon.connection import connection, connection_options
from echelon.scorer.commands.options import (
    INTERRUPTED,
    exit_code,
    find_sota,
    instruments_option,
    json_option,
    read_instruments,
    store_option,
    write_report,
)
from echelon.scorer.printing import printable

if TYPE_CHECKING:
    from echelon.scorer.assessment import Assignment
    from echelon.scorer.progress import Silence
    from echelon.scorer.store import RunRecord, Store


@click.command()
@click.argument("suite")
@click.option("--model", "target", required=True, metavar="ADDRESS/MODEL", help="The model, as 127.0.0.1:50051/NAME.")
@click.option("--sota", metavar="RUN|FILE", help="A stored run of specialists, or a JSON file of published figures.")
@click.option("--samples", type=click.IntRange(1), help="Samples a task, for suites that are built on demand.")
@click.option("--suite-seed", type=int, default=0, show_default=True, help="Seed of a suite that is built on demand.")
@click.option("--task", "tasks", multiple=True, metavar="ID", help="Only this task; repeat for more.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed given to the model.")
@click.option("--new", is_flag=True, help="Begin another run instead of resuming the latest.")
@click.option(
    "--probes",
    type=click.IntRange(0, 20),
    default=3,
    show_default=True,
    help="Samples asked three times more, at most, to see whether the model repeats itself.",
)
@click.option("--timeout", "timeout_s", type=float, default=120.0, show_default=True, help="Seconds for one call.")
@click.option(
    "--patience",
    "patience_s",
    type=float,
    default=600.0,
    show_default=True,
    help="Seconds to wait for a server that is away.",
)
@click.option("--max-calls", type=click.IntRange(1), default=256, show_default=True, help="Calls under way at most.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the HTML report; default: in the store.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@instruments_option
@json_option
@store_option
@connection_options
def run(
    suite: str,
    target: str,
    sota: str | None,
    samples: int | None,
    suite_seed: int,
    tasks: tuple[str, ...],
    seed: int,
    new: bool,
    probes: int,
    timeout_s: float,
    patience_s: float,
    max_calls: int,
    report: Path | None,
    quiet: bool,
    instruments_file: Path | None,
    as_json: bool,
    folder: Path,
    **tls: Any,
) -> None:
    """Evaluate a model on SUITE, a folder or the name of a built-in suite.

    The same command resumes a run that was interrupted. Exit code 0: complete; 3: complete, with samples that the
    model failed; 4: incomplete, run it again; 130: interrupted by Ctrl-C, run it again.
    """
    from echelon.clients import parse_target
    from echelon.scorer.asking import Pace
    from echelon.scorer.assessment import Assignment
    from echelon.scorer.progress import watcher
    from echelon.scorer.report import as_json as to_json
    from echelon.scorer.report import text
    from echelon.scorer.store import Store
    from echelon.scorer.stored import result_of
    from echelon.scorer.suites.sources import open_suite

    instruments = read_instruments(instruments_file)
    opened = open_suite(suite, samples=samples, seed=suite_seed)
    goal = parse_target(target)
    with Store(folder, write=True) as store:
        assignment = Assignment(
            suite=opened,
            target=goal,
            options=connection(**tls),
            only=tasks,
            seed=seed,
            new=new,
            sota=find_sota(sota, store, opened, instruments) if sota else opened.sota or None,
            probes=probes,
            pace=Pace(timeout_s=timeout_s, patience_s=patience_s, most_calls=max_calls),
        )
        record, reason = _carry_out(assignment, store, watcher(sys.stderr, goal.model, quiet=quiet))
        result = result_of(opened, record, store, instruments=instruments)
    click.echo(json.dumps(to_json(result), indent=2) if as_json else text(result))
    path = write_report(result, report or folder / "reports" / f"{result.run_id[:12]}.html")
    if not as_json:
        click.echo(f"report: {path}")
    if reason:
        click.echo(printable(reason), err=True)
    sys.exit(exit_code(result))


def _carry_out(assignment: Assignment, store: Store, progress: Silence) -> tuple[RunRecord, str]:
    from echelon.rpc.loop import run as run_loop
    from echelon.scorer.assessment import carry_out

    try:
        return run_loop(lambda: carry_out(assignment, store, progress))  # type: ignore[no-any-return]  # loop's result
    except KeyboardInterrupt:
        progress.close()
        click.echo(f"interrupted; what was answered is stored, and {assignment.resuming} resumes it", err=True)
        sys.exit(INTERRUPTED)
    finally:
        progress.close()
