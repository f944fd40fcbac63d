"""Who may call: TLS for the listener, bearer tokens for the calls."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from echelon.adapters.errors import AuthDeniedError, AuthMissingError, ConfigurationError
from echelon.rpc.config import TlsConfig


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """Credentials that follow the files: a rotated certificate serves the next connection."""
    initial = _configuration(config)
    _expect_pair(config)
    stamps = [_stamps(config)]

    def fetch() -> Any:
        stamp = _stamps(config)
        if stamp == stamps[-1]:
            return None
        stamps[:] = [stamp]
        return _configuration(config)

    return grpc.dynamic_ssl_server_credentials(
        initial, fetch, require_client_authentication=config.client_ca is not None
    )


def _expect_pair(config: TlsConfig) -> None:
    """ConfigurationError unless certificate and key fit, of which gRPC would only say that it cannot listen."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.certificate, config.key, password="")
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"the TLS certificate {config.certificate} and the key {config.key} do not fit: {error.reason or error}"
        ) from error


def _stamps(config: TlsConfig) -> list[tuple[int, int, int]]:
    return [_stamp(path) for path in (config.certificate, config.key, config.client_ca) if path is not None]


def _configuration(config: TlsConfig) -> grpc.ServerCertificateConfiguration:
    try:
        pair = (config.key.read_bytes(), config.certificate.read_bytes())
        root = config.client_ca.read_bytes() if config.client_ca is not None else None
    except OSError as error:
        raise ConfigurationError(f"cannot read the TLS file {error.filename}: {error.strerror}") from error
    return grpc.ssl_server_certificate_configuration([pair], root)


class Tokens:
    """The bearer tokens in a file, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._stamp = _stamp(path)
            self._tokens = _read(path)
        except OSError as error:
            raise ConfigurationError(f"cannot read the token file {path}: {error.strerror}") from error
        if not self._tokens:
            raise ConfigurationError(f"the token file {path} holds no token; write one a line")

    def check(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Raise AuthMissingError or AuthDeniedError unless the call carries a known token."""
        self._follow()
        metadata: Any = context.invocation_metadata()
        given = next((value for key, value in metadata or () if key == "authorization"), None)
        if given is None:
            raise AuthMissingError("this server wants a bearer token; none came")
        scheme, _, token = str(given).partition(" ")
        # Every token is compared, so that the time tells nothing.
        known = [hmac.compare_digest(token.encode(), each) for each in self._tokens]
        if scheme.lower() != "bearer" or not any(known):
            raise AuthDeniedError("the bearer token is not known here")

    def first(self) -> str:
        """The first token, which a client sends; nothing while a file that has been emptied is rewritten."""
        self._follow()
        return self._tokens[0].decode() if self._tokens else ""

    def _follow(self) -> None:
        # While the file is away, being rotated, the last tokens count.
        with suppress(OSError):
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._tokens = _read(self._path)
                self._stamp = stamp


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Who calls: the certificate's name where there is one, else the host, and the digest of a token that came.

    Ports change with every reconnection.
    """
    identities: Any = context.peer_identities()
    if identities:
        return b",".join(identities).decode("utf-8", "replace")
    metadata: Any = context.invocation_metadata()
    token = next((str(value) for key, value in metadata or () if key == "authorization"), "")
    digest = hashlib.sha256(token.encode()).hexdigest() if token else ""
    return f"{context.peer().rpartition(':')[0]} {digest}"


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> tuple[bytes, ...]:
    return tuple(line.strip() for line in path.read_bytes().splitlines() if line.strip())
