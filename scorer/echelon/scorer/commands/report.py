"""`echelon report`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from echelon.scorer.commands.options import (
    find_sota,
    instruments_option,
    json_option,
    read_instruments,
    store_option,
    write_report,
)


@click.command()
@click.argument("run", default="last")
@click.option("--sota", metavar="RUN|FILE", help="Another sota than the one the run was evaluated against.")
@click.option("--compare", multiple=True, metavar="RUN", help="A run to show beside it; repeat for more.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the HTML; default: in the store."
)
@click.option("--text", "as_text", is_flag=True, help="Print the tables instead.")
@instruments_option
@json_option
@store_option
def report(
    run: str,
    sota: str | None,
    compare: tuple[str, ...],
    out: Path | None,
    as_text: bool,
    instruments_file: Path | None,
    as_json: bool,
    folder: Path,
) -> None:
    """Write the report of RUN: the beginning of its id, or "last".

    Everything is computed again from the journal and the suite; the model is not asked.
    """
    from echelon.scorer.report import as_json as to_json
    from echelon.scorer.report import text
    from echelon.scorer.store import Store
    from echelon.scorer.stored import reopen_suite, stored_result

    instruments = read_instruments(instruments_file)
    with Store(folder) as store:
        record = store.run(run)
        figures = find_sota(sota, store, reopen_suite(record), instruments) if sota else None
        result = stored_result(store, record, sota=figures, instruments=instruments)
        others = tuple(stored_result(store, store.run(other), viewed=0, instruments=instruments) for other in compare)
    if as_json:
        click.echo(json.dumps(to_json(result), indent=2))
    elif as_text:
        click.echo(text(result))
    else:
        click.echo(write_report(result, out or folder / "reports" / f"{result.run_id[:12]}.html", others))
