"""`echelon models` and `echelon health`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from echelon.clients.options import Options

F = TypeVar("F", bound=Callable[..., Any])


def connection_options(command: F) -> F:
    """Add --tls-root, --tls-certificate, --tls-key, --tls-name and --token-file to a command."""
    path = click.Path(path_type=Path, exists=True, dir_okay=False)
    for option in (
        click.option("--token-file", type=path, help="File whose first line is the bearer token."),
        click.option("--tls-name", default="", help="Name in the server's certificate, where it is not the address."),
        click.option("--tls-key", type=path, help="Our key for mutual TLS."),
        click.option("--tls-certificate", type=path, help="Our certificate for mutual TLS."),
        click.option("--tls-root", type=path, help="Authority of the server's certificate; turns TLS on."),
    ):
        command = option(command)
    return command


def connection(
    tls_root: Path | None, tls_certificate: Path | None, tls_key: Path | None, tls_name: str, token_file: Path | None
) -> Options:
    """The options that `connection_options` collected."""
    from echelon.clients.options import Options, Tls

    tls = Tls(tls_root, tls_certificate, tls_key, tls_name) if tls_root or tls_certificate else None
    token = token_file.read_text().partition("\n")[0].strip() if token_file else ""
    return Options(tls=tls, token=token)


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
        click.echo(json.dumps([{"state": info.state, **asdict(info.card)} for info in found], indent=2))
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
