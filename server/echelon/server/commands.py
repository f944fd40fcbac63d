"""`echelon serve`."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from echelon.server.model import ServedModel
    from echelon.server.models import Models


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=ADAPTER[:SETTINGS.yaml]",
    help="A model to serve; repeat for more.",
)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="One YAML file with listener and models."
)
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to listen; default 127.0.0.1:50051, port 0 takes any free one."
)
@click.option(
    "--trust",
    multiple=True,
    metavar="DISTRIBUTION",
    help="Let the adapters of this distribution run inside the server's process; repeat for more.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def serve(
    models: tuple[str, ...], config: Path | None, listen: str | None, trust: tuple[str, ...], log_level: str
) -> None:
    """Serve models over gRPC.

    Every model gets a name and an adapter: `--model digits=onnx:digits.yaml`. Logs go to stderr as JSON; one line on
    stdout says when everything is ready. SIGTERM drains and stops.

    Echelon's own adapters run inside the server, anybody else's in a process of its own, unless trusted.
    """
    # Until the loop has its own handlers: as process 1 of a container, a signal without a handler is lost.
    signal.signal(signal.SIGTERM, _stop)

    from echelon.adapters.registry import Registry
    from echelon.server import config as configs

    base = configs.read(config) if config is not None else configs.ServerConfig()
    settings = configs.from_options(base, listen, models)
    if not settings.models and config is None:
        raise click.UsageError("nothing to serve: give --model NAME=ADAPTER, or --config FILE with models")
    registry = Registry.installed()

    from echelon.server.hosts.choice import check_trust

    check_trust(registry, trust)

    from echelon.rpc import log
    from echelon.rpc.loop import run
    from echelon.server.app import Server
    from echelon.server.app import serve as serve_until_stopped
    from echelon.server.models import told

    log.configure(level=log_level)

    def ready(models: Models, address: str, failed: dict[str, BaseException]) -> None:
        served = [model for model in models.all() if model.name not in failed]
        names = [model.name + _note(model) for model in served]
        click.echo(f"serving {', '.join(names) or 'no model'} on {address}")
        for name, error in failed.items():
            click.echo(f"model {name} failed to load: {told(error)}", err=True)

    async def main() -> None:
        server = Server(settings, registry, trust=trust)
        await serve_until_stopped(server, partial(ready, server.models))

    run(main)


def _note(model: ServedModel) -> str:
    """How a model is isolated, if it is, and its state, if it is not there yet."""
    notes = [str(word) for word, usual in ((model.isolation, "inproc"), (model.state, "ready")) if word != usual]
    return f" ({', '.join(notes)})" if notes else ""


def _stop(number: int, frame: object) -> None:
    sys.exit(0)
