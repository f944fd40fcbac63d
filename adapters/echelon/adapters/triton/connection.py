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

PATIENCE_S = 5.0
"""For calls that no model works on."""
CHANNEL = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A Triton that comes back is found soon; gRPC's own pauses grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class Connection:
    """A channel to Triton and the calls it takes, `aio` for the running loop; its errors are gRPC's own.

    Calls are made on tritonclient's messages and stub, and not on its client: building their requests would cost
    as much again as sending them.
    """

    def __init__(self, settings: TritonSettings, *, aio: bool) -> None:
        pb, stubs = import_messages()
        import grpc

        factory = grpc.aio if aio else grpc
        if settings.tls is None:
            self._channel = factory.insecure_channel(settings.url, options=CHANNEL)
        else:
            self._channel = factory.secure_channel(settings.url, _credentials(settings.tls), options=CHANNEL)
        self._stub = stubs.GRPCInferenceServiceStub(self._channel)
        self._headers = tuple(headers(settings).items()) or None
        self.pb = pb

    def call(self, method: str, message: Any, timeout_s: float | None = PATIENCE_S) -> Any:
        """Start a call: what it returns is the response, something to await, or a stream."""
        return getattr(self._stub, method)(message, timeout=timeout_s, metadata=self._headers)

    def close(self) -> Any:
        """Let go of the channel; to be awaited where it is `aio`."""
        return self._channel.close()


def import_messages() -> tuple[Any, Any]:
    """Triton's messages and stubs; MissingExtraError without them."""
    try:
        from tritonclient.grpc import service_pb2, service_pb2_grpc
    except ImportError as error:
        raise MissingExtraError("tritonclient", "triton") from error
    return service_pb2, service_pb2_grpc


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


def text(error: BaseException) -> str:
    """What Triton said; nothing where it was not Triton."""
    import grpc

    return str(error.details() or "") if isinstance(error, grpc.RpcError) else ""


def answered(error: BaseException) -> bool:
    """Whether Triton itself ended the call, and works on it no more."""
    import grpc

    return isinstance(error, grpc.RpcError) and error.code().name not in _GIVEN_UP


_GIVEN_UP = {"CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}


def shown(error: Exception, model: str, url: str) -> Exception:
    """The error for our caller; Triton's own words are its operator's, and stay in the cause.

    Where a model itself failed, it is the error as it came: then the server logs it and tells no more than its number.
    """
    import grpc

    made = _SHOWN.get(error.code().name) if isinstance(error, grpc.RpcError) else None
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
