"""Clients of Triton, and what its errors mean to our callers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from echelon.adapters.errors import (
    BackendError,
    BudgetExceededError,
    EchelonError,
    InvalidInputError,
    LimitExceededError,
    MissingExtraError,
    ModelNotReadyError,
    ServerBusyError,
    SettingsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from echelon.adapters.triton.settings import Tls, TritonSettings

CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A Triton that comes back is found soon; gRPC's own pauses grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def import_client() -> Any:
    """tritonclient.grpc; MissingExtraError without it."""
    try:
        import tritonclient.grpc
        import tritonclient.grpc.aio
    except ImportError as error:
        raise MissingExtraError("tritonclient", "triton") from error
    return tritonclient.grpc


def options(settings: TritonSettings) -> dict[str, Any]:
    """What both of Triton's clients are built with."""
    said: dict[str, Any] = {"url": settings.url, "channel_args": CHANNEL}
    if settings.tls is not None:
        said["creds"] = _credentials(settings.tls)
    return said


def headers(settings: TritonSettings) -> dict[str, str]:
    """The headers of every call; SettingsError for a file that cannot be read."""
    return {
        name.lower(): _read(path, f"header_files.{name}").decode().strip()
        for name, path in settings.header_files.items()
    }


def _credentials(tls: Tls) -> Any:
    import grpc

    def pem(key: str) -> bytes | None:
        path = getattr(tls, key)
        return None if path is None else _read(path, f"tls.{key}")

    return grpc.ssl_channel_credentials(pem("root_certificates"), pem("private_key"), pem("certificate_chain"))


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {path}, which {key!r} names: {error.strerror}") from error


def code(error: Exception) -> str:
    """The gRPC code of an error of Triton's client, `UNAVAILABLE` say; empty for any other."""
    import grpc
    from tritonclient.utils import InferenceServerException

    if isinstance(error, InferenceServerException):
        return str(error.status() or "").removeprefix("StatusCode.")
    return str(error.code().name) if isinstance(error, grpc.aio.AioRpcError) else ""


def text(error: Exception) -> str:
    """What Triton said."""
    import grpc

    said = error.details() if isinstance(error, grpc.aio.AioRpcError) else getattr(error, "message", lambda: "")()
    return str(said or "")


def shown(error: Exception, model: str, url: str) -> Exception:
    """The error for our caller; Triton's own words are its operator's, and stay in the cause.

    Where a model itself failed, it is the error as it came: then the server logs it and tells no more than its number.
    """
    made = _SHOWN.get(code(error))
    answer = made(model, url, text(error)) if made is not None else None
    if answer is None:
        return error
    answer.__cause__ = error
    return answer


def _unavailable(model: str, url: str, said: str) -> EchelonError:
    if "maximum queue size" in said.lower():
        return ServerBusyError(f"Triton's queue for model {model!r} is full", retry_after_s=1.0)
    if "timeout expired" in said.lower():
        return BudgetExceededError(f"Triton did not get to model {model!r} within the call's deadline")
    if "model" in said.lower() and "connect" not in said.lower():
        return _not_there(model, url, said)
    return BackendError(f"Triton at {url} is away", retry_after_s=1.0)


def _not_there(model: str, url: str, said: str) -> EchelonError:
    return ModelNotReadyError(f"Triton at {url} does not serve model {model!r} now", retry_after_s=1.0)


_SHOWN: Mapping[str, Callable[[str, str, str], EchelonError]] = {
    "UNAVAILABLE": _unavailable,
    "NOT_FOUND": _not_there,
    "CANCELLED": lambda model, url, said: BackendError(f"Triton at {url} gave up a call to model {model!r}"),
    "DEADLINE_EXCEEDED": lambda model, url, said: BudgetExceededError(
        f"Triton's model {model!r} did not answer within the call's deadline"
    ),
    "RESOURCE_EXHAUSTED": lambda model, url, said: LimitExceededError(
        f"the call is larger than Triton takes for model {model!r}"
    ),
    "INVALID_ARGUMENT": lambda model, url, said: InvalidInputError(f"Triton refuses the inputs of model {model!r}"),
    "UNAUTHENTICATED": lambda model, url, said: BackendError(f"Triton at {url} wants other credentials"),
    "PERMISSION_DENIED": lambda model, url, said: BackendError(f"Triton at {url} lets us not use model {model!r}"),
}
