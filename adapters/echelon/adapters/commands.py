"""`echelon adapters`: what is installed, what each adapter can be told, and how one begins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from echelon.adapters.registry import Entry

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def adapters() -> None:
    """List, show, begin and check adapters."""


@adapters.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the adapters that are installed, broken ones with the reason."""
    from echelon.adapters.registry import Registry

    entries = Registry.installed().entries()
    if as_json:
        _echo_json([_facts(entry) for entry in entries])
        return
    rows = [(entry.name, entry.distribution, entry.version, entry.value, _state(entry.problem)) for entry in entries]
    _echo_table([("NAME", "DISTRIBUTION", "VERSION", "ENTRY POINT", "STATE"), *rows])


@adapters.command()
@click.argument("name")
@click.option("--trust", is_flag=True, help="Import a third party's code, to show its settings and calls.")
@as_json_option
def show(name: str, trust: bool, as_json: bool) -> None:
    """Show where an adapter comes from, its calls and its settings.

    The last two are known to its code alone, and a third party's is imported only with --trust.
    """
    from echelon.adapters.registry import Registry

    registry = Registry.installed()
    entry = registry.get(name)
    origin = _origin(entry)
    inside = _inside(registry.load(name, trust=trust)) if entry.own or trust else {}
    if as_json:
        _echo_json({**_facts(entry), **origin, **inside})
        return
    _echo_origin(entry, origin)
    if inside:
        _echo_inside(inside)
    else:
        click.echo("\nIts calls and settings are shown with --trust, which imports its code.")


@adapters.command()
@click.argument("name")
@click.option(
    "--call",
    "calls",
    multiple=True,
    type=click.Choice(["comprehend", "generate", "language"]),
    help="A call that the model answers; repeat for more.  [default: comprehend]",
)
@click.option("--async", "asynchronous", is_flag=True, help="For models that batch by themselves, and remote ones.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write; default: a folder NAME, here.")
def new(name: str, calls: tuple[str, ...], asynchronous: bool, folder: Path | None) -> None:
    """Write a package with an adapter called NAME.

    It passes every check as it is.
    """
    from echelon.adapters.calls import Call
    from echelon.adapters.scaffold.package import write_package

    chosen = [Call(call) for call in calls] or [Call.COMPREHEND]
    where = folder or Path(name)
    for path in write_package(name, where, chosen, asynchronous=asynchronous):
        click.echo(f"wrote {path}")
    click.echo(f"\nnext: pip install -e '{where}[dev]'\n      echelon adapters check {name}")


def _state(problem: str) -> str:
    return f"broken: {problem}" if problem else "ok"


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "distribution": entry.distribution,
        "version": entry.version,
        "entry_point": entry.value,
        "problem": entry.problem,
    }


def _origin(entry: Entry) -> dict[str, Any]:
    """What the distribution's own metadata say; nothing of it is imported."""
    from importlib import metadata

    try:
        distribution = metadata.distribution(entry.distribution)
    except metadata.PackageNotFoundError:
        return {"summary": "", "requires": [], "extra": ""}
    needed = [requirement for requirement in distribution.requires or [] if "extra ==" not in requirement]
    # Where an extra is called as the adapter is, it brings what the adapter needs.
    extra = entry.name if entry.name in (distribution.metadata.get_all("Provides-Extra") or ()) else ""
    return {"summary": distribution.metadata.json.get("summary", ""), "requires": needed, "extra": extra}


def _inside(adapter: Any) -> dict[str, Any]:
    """What only the class knows."""
    import inspect

    from echelon.adapters.calls import Call
    from echelon.adapters.settings import describe

    return {
        "about": inspect.cleandoc(adapter.__doc__ or "").partition("\n")[0],
        "calls": [str(call) for call in Call if adapter.overrides(call)],
        "settings": [asdict(setting) for setting in describe(adapter.settings_type)],
    }


def _echo_origin(entry: Entry, origin: dict[str, Any]) -> None:
    facts = {
        "Adapter": entry.name,
        "Distribution": f"{entry.distribution} {entry.version}".strip(),
        "Entry point": entry.value,
        "Summary": origin["summary"],
        "Requires": ", ".join(origin["requires"]),
        "Install": origin["extra"] and f"pip install '{entry.distribution}[{origin['extra']}]'",
    }
    _echo_table([(name, fact) for name, fact in facts.items() if fact])


def _echo_inside(inside: dict[str, Any]) -> None:
    click.echo(f"\n{inside['about']}\nCalls: {', '.join(inside['calls']) or 'none'}\n")
    if not inside["settings"]:
        click.echo("It has no settings.")
        return
    rows = [
        (setting["key"], setting["type"], "required" if setting["required"] else json.dumps(setting["default"]))
        for setting in inside["settings"]
    ]
    _echo_table([("SETTING", "TYPE", "DEFAULT"), *rows])


def _echo_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _echo_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
