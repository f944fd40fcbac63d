"""`echelon adapters check`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from echelon.connection import connection, connection_options

if TYPE_CHECKING:
    from echelon.conformance.findings import Check

FAILED, NOT_CHECKED = 1, 2
_readable = click.Path(path_type=Path, exists=True, dir_okay=False)
_writable = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command()
@click.argument("target", metavar="NAME|ADDRESS/MODEL")
@click.option("--settings", type=_readable, help="YAML file with the adapter's settings.")
@click.option("--requests", "requests_file", type=_readable, help="JSON lines with requests that the model answers.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="How far numbers may be apart, relative to their size, where calls run together; 0: the same bits.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for one call.",
)
@click.option(
    "--isolation",
    type=click.Choice(["inproc", "subprocess"]),
    help="Where the adapter runs; default: where a server would put it.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; repeat for more.")
@click.option("--skip", multiple=True, metavar="CHECK", help="All but this check; repeat for more.")
@click.option("--junit", "junit_file", type=_writable, help="Where to write a JUnit report.")
@click.option("--json", "json_file", type=_writable, help="Where to write everything as JSON.")
@connection_options
def check(
    target: str,
    settings: Path | None,
    requests_file: Path | None,
    tolerance: float,
    timeout_s: float,
    isolation: Literal["inproc", "subprocess"] | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    junit_file: Path | None,
    json_file: Path | None,
    **tls: Any,
) -> None:
    """Check an adapter, or a model on a server, against the contract.

    An adapter is served by a process of its own, which runs its code. Exit code 0: it conforms; 1: a check failed;
    2: it could not be checked.
    """
    from echelon.adapters.errors import EchelonError
    from echelon.conformance.extras import expect_installed
    from echelon.conformance.given import read_requests
    from echelon.conformance.plan import Conformance

    plan = Conformance(target, settings, tolerance=tolerance, timeout_s=timeout_s, isolation=isolation)
    if ":" in target and not plan.is_served:
        raise click.UsageError(f"{target!r} is an address without a model; write {target}/MODEL")
    if plan.is_served and (settings is not None or isolation is not None):
        raise click.UsageError("--settings and --isolation are an adapter's; a model on a server has its own")
    try:
        expect_installed(plan)
        requests = read_requests(requests_file) if requests_file is not None else ()
        options = connection(**tls) if plan.is_served else None
        plan = replace(plan, requests=requests, options=options)
        sys.exit(_carry_out(plan, only, skip, junit_file, json_file))
    except EchelonError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(NOT_CHECKED)


def _carry_out(
    plan: Any, only: tuple[str, ...], skip: tuple[str, ...], junit_file: Path | None, json_file: Path | None
) -> int:
    from echelon.conformance import output
    from echelon.conformance.kit import Kit

    chosen = _chosen(only, skip)
    # Found out before the checks, which take a while.
    for path in (junit_file, json_file):
        if path is not None:
            _make_folder(path)
    if not plan.is_served:
        # Weights may take minutes.
        click.echo(f"loading {plan.target}", err=True)
    findings = []
    with Kit(plan) as kit:
        card = kit.card
        click.echo(output.headline(plan.target, card))
        for each in chosen:
            findings.append(kit.run(each))
            click.echo(output.line(findings[-1]))
        entry = kit.entry
    click.echo(output.summary(findings))
    if junit_file is not None:
        _write(junit_file, output.as_junit(plan.target, findings))
    if json_file is not None:
        found = output.as_json(plan.target, entry, card, findings)
        _write(json_file, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return 0 if output.conforms(findings) else FAILED


def _chosen(only: tuple[str, ...], skip: tuple[str, ...]) -> list[Check]:
    from echelon.adapters.settings import nearest
    from echelon.conformance.kit import CHECKS

    known = [each.id for each in CHECKS]
    for name in (*only, *skip):
        if name not in known:
            raise click.UsageError(f"there is no check {name!r}{nearest(name, known)}")
    chosen = [each for each in CHECKS if (not only or each.id in only) and each.id not in skip]
    if not chosen:
        raise click.UsageError("--only and --skip leave no check to carry out")
    return chosen


def _make_folder(path: Path) -> None:
    from echelon.adapters.errors import ConfigurationError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder of {path}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    from echelon.adapters.errors import ConfigurationError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
