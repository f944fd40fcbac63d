"""`echelon serve`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click


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
@click.option("--trust", is_flag=True, help="Let third-party adapters run inside this process.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def serve(models: tuple[str, ...], config: Path | None, listen: str | None, trust: bool, log_level: str) -> None:
    """Serve models over gRPC.

    Every model gets a name and an adapter: `--model digits=onnx:digits.yaml`. Logs go to stderr as JSON; one line on
    stdout says when everything is ready. SIGTERM drains and stops.
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

    from echelon.rpc import log
    from echelon.rpc.loop import run
    from echelon.server.app import Server
    from echelon.server.app import serve as serve_until_stopped

    log.configure(level=log_level)

    def ready(address: str, failed: dict[str, BaseException]) -> None:
        names = [model.name for model in settings.models if model.name not in failed]
        click.echo(f"serving {', '.join(names) or 'no model'} on {address}")
        for name, error in failed.items():
            click.echo(f"model {name} failed to load: {error}", err=True)

    async def main() -> None:
        await serve_until_stopped(Server(settings, registry, trust=trust), ready)

    run(main)


def _stop(number: int, frame: object) -> None:
    sys.exit(0)
