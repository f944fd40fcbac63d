"""`echelon models` and `echelon health`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from echelon.connection import connection, connection_options


@click.command()
@click.argument("address", default="127.0.0.1:50051")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@connection_options
def models(address: str, as_json: bool, **tls: Any) -> None:
    """List the models of the server at ADDRESS."""
    from echelon.clients.client import Client

    with Client(address, connection(**tls)) as client:
        found = client.models()
    if as_json:
        shown = [
            {"state": info.state, **asdict(info.card), "identity": asdict(info.identity) if info.identity else None}
            for info in found
        ]
        click.echo(json.dumps(shown, indent=2))
        return
    width = max((len(info.card.name) for info in found), default=0)
    for info in found:
        calls = ", ".join(support.call for support in info.card.calls)
        click.echo(f"{info.card.name:{width}}  {info.state:8}  {calls or '-':32}  {info.card.description}".rstrip())


@click.command()
@click.argument("address", default="127.0.0.1:50051")
@click.argument("model", default="")
@click.option("--timeout", "timeout_s", default=5.0, show_default=True, help="Seconds to wait for the answer.")
@connection_options
def health(address: str, model: str, timeout_s: float, **tls: Any) -> None:
    """Tell whether the server at ADDRESS serves; with MODEL, whether that model can answer.

    Exits with 0 if so and with 1 otherwise, for probes and scripts.
    """
    import asyncio

    from echelon.clients.health import serving

    if not asyncio.run(serving(address, model, connection(**tls), timeout_s=timeout_s)):
        raise click.ClickException(f"{model or address} is not serving")
    click.echo("serving")
