"""How commands are told to connect; apart from `echelon.clients`, which needs gRPC to be imported at all."""

from __future__ import annotations

from collections.abc import Callable
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
        click.option("--tls-name", default="", help="Name in the server's certificate, if not the address."),
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

    given = tls_root or tls_certificate or tls_key or tls_name
    tls = Tls(tls_root, tls_certificate, tls_key, tls_name) if given else None
    return Options(tls=tls, token=_token(token_file) if token_file else "")


def _token(path: Path) -> str:
    from echelon.adapters.errors import ConfigurationError

    try:
        token = path.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the token file {path}: {error}") from error
    if not token:
        raise ConfigurationError(f"the token file {path} has no token in its first line")
    return token
