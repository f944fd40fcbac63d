"""The `echelon` command: a group whose commands come from entry points, each loaded when it is called."""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

GROUP = "echelon.commands"
INTERRUPTED = 130
"""The exit code after Ctrl-C, as a shell gives it to whom a signal ends."""


class Commands(click.Group):
    """Commands by entry point; a broken one says so when it is called and stops no other.

    `group.name` is a command of the group `group`, which another part of Echelon may bring.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        """Every declared command, by name."""
        return sorted(self._points(""))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command called `name`; None where there is none."""
        points = self._points("").get(name)
        if points is None:
            return None
        command = _only(name, points)
        if isinstance(command, click.Group):
            for below, its_points in self._points(f"{name}.").items():
                command.add_command(_only(below, its_points), below)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with one line each; ours are known without loading anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES.get(name, "from another package")) for name in self._points("")])

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for a typo."""
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            from echelon.adapters.settings import nearest

            raise click.UsageError(f"no command {args[0]!r}{nearest(args[0], self._points(''))}", context) from error

    def invoke(self, context: click.Context) -> Any:
        """As click does; a missing module of ours is told with the extra that brings it, and Ctrl-C in a word."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except ModuleNotFoundError as error:
            told = _missing(context.invoked_subcommand or "", error)
            if not told:
                raise
            click.echo(f"error: {told}", err=True)
            sys.exit(1)

    def _points(self, prefix: str) -> dict[str, list[EntryPoint]]:
        """The entry points below `prefix`, "" or "group.", by the rest of their names."""
        found: dict[str, list[EntryPoint]] = {}
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            name = point.name.removeprefix(prefix)
            if point.name.startswith(prefix) and "." not in name:
                found.setdefault(name, []).append(point)
        return found


_SUMMARIES = {
    "adapters": "List, show, begin and check adapters.",
    "compare": "Compare two runs of one suite, sample by sample.",
    "demo": "Serve the built-in models, evaluate them and print their levels.",
    "export": "Write a run in General-Bench's own forms.",
    "health": "Tell whether a server, or one of its models, can answer.",
    "levels": "Tell the levels that tables of scores amount to.",
    "models": "List the models of a server.",
    "plan": "Show what is nearest to a run's next level.",
    "report": "Write a run's report, or print it.",
    "run": "Evaluate a model on a suite.",
    "runs": "List the stored runs, or show one.",
    "score": "Score existing predictions against General-Bench.",
    "serve": "Serve models over gRPC.",
    "suites": "List, show, build and validate suites.",
}


def _only(name: str, points: list[EntryPoint]) -> click.Command:
    if len(points) == 1:
        return _load(name, points[0])
    from echelon.adapters.registry import owners

    return _broken(name, f"declared more than once, by {owners(points)}; uninstall all but one")


def _load(name: str, point: EntryPoint) -> click.Command:
    try:
        loaded: Any = point.load()
    except ModuleNotFoundError as error:
        return _broken(name, _missing(name, error) or f"{point.value} failed to import: {error}")
    # Another package's code runs here.
    except Exception as error:  # noqa: BLE001  (see above)
        return _broken(name, f"{point.value} failed to import: {error}")
    if not isinstance(loaded, click.Command):
        return _broken(name, f"{point.value} is no click command")
    return loaded


def _broken(name: str, reason: str) -> click.Command:
    @click.command(name, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1)
    def refuse(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(f"the command {name!r} cannot be used: {reason}")

    return refuse


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="echelon")
def echelon() -> None:
    """Tells which level a multimodal model has reached."""


def main() -> None:
    """Run the command line; errors of ours become one line on stderr and exit code 1."""
    try:
        _main()
    # While the command is still looked for.
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _main() -> None:
    from echelon.adapters.errors import EchelonError

    # What gRPC says of itself is neither a line for people nor one of our logs; what matters comes as an error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        echelon()
    except EchelonError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _missing(command: str, error: ModuleNotFoundError) -> str:
    """Which extra brings what a command of ours could not import; empty where that is not what is wrong."""
    module = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(command)
    if extra is None or module in ("", "echelon"):
        return ""
    return f"{module} is not installed; get it with: pip install 'echelon[{extra}]'"


_EXTRAS = {
    "compare": "scorer",
    "demo": "demo",
    "export": "scorer",
    "health": "client",
    "levels": "scorer",
    "models": "client",
    "plan": "scorer",
    "report": "scorer",
    "run": "scorer",
    "runs": "scorer",
    "score": "scorer",
    "serve": "server",
    "suites": "scorer",
}
"""The extra that a command of ours needs; `adapters` needs none, and `adapters check` tells for itself."""


if __name__ == "__main__":
    main()
