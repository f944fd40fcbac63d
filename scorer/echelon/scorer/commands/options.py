"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from echelon.adapters.errors import ConfigurationError

if TYPE_CHECKING:
    from echelon.scorer.instruments import Instruments
    from echelon.scorer.results import RunResult, TaskSota
    from echelon.scorer.store import Store
    from echelon.scorer.suites.suite import Suite

F = TypeVar("F", bound=Callable[..., Any])

STORE = Path("echelon-runs")
store_option = click.option(
    "--store",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=STORE,
    show_default=True,
    help="Folder that holds the runs.",
)
instruments_option = click.option(
    "--instruments",
    "instruments_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="ECHELON_INSTRUMENTS",
    show_envvar=True,
    help="YAML file of the embedders, judges and readers that metrics may use.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

COMPLETE, MODEL_FAILED, INCOMPLETE, INTERRUPTED = 0, 3, 4, 130
"""Exit codes of a run, beside 1 for an error and 2 for wrong usage; 130 is what shells expect after Ctrl-C."""


def exit_code(result: RunResult) -> int:
    """How a run ended, for scripts."""
    if not result.complete:
        return INCOMPLETE
    failed = any(state.model_caused for state in result.counts())
    return MODEL_FAILED if failed else COMPLETE


def read_instruments(path: Path | None) -> Instruments | None:
    """The embedders, judges and readers that `--instruments` names."""
    from echelon.scorer.instruments import Instruments

    return Instruments.read(path) if path else None


def find_sota(text: str, store: Store, suite: Suite, instruments: Instruments | None = None) -> Mapping[str, TaskSota]:
    """The sota that `--sota RUN|FILE` names: an existing file is a file, anything else the beginning of a run's id."""
    from echelon.scorer import sota
    from echelon.scorer.stored import stored_result

    if Path(text).is_file():
        return sota.from_file(Path(text), suite)
    if text == "last":
        raise click.UsageError("--sota last would mean another run each time; name the run: `echelon runs list`")
    reference = stored_result(store, store.run(text), viewed=0, instruments=instruments)
    sota.check_comparable(reference, suite)
    return sota.from_run(reference)


def write_report(result: RunResult, path: Path, others: tuple[RunResult, ...] = ()) -> Path:
    """Write the HTML report, whole or not at all."""
    from echelon.scorer.report import html

    page = html(result, others)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write the report to {path}: {error.strerror}; `echelon report {result.run_id[:12]}` writes it anew"
        ) from error
    return path
