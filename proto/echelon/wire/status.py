"""The one table between our errors and what travels: reason, gRPC code, and back."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from echelon.adapters import Usage, errors
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.reach import in_words
from echelon.wire.usages import usage_from_proto, usage_to_proto

DOMAIN = "echelon"

CODES: dict[type[errors.EchelonError], grpc.StatusCode] = {
    errors.EchelonError: grpc.StatusCode.INTERNAL,
    errors.InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnsupportedError: grpc.StatusCode.UNIMPLEMENTED,
    errors.LimitExceededError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.OutOfMemoryError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ModelNotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.ContentNotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.ServerBusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ModelNotReadyError: grpc.StatusCode.UNAVAILABLE,
    errors.IdentityChangedError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.BackendError: grpc.StatusCode.UNAVAILABLE,
    errors.AdapterCrashedError: grpc.StatusCode.UNAVAILABLE,
    errors.AdapterFailedError: grpc.StatusCode.INTERNAL,
    errors.OutputInvalidError: grpc.StatusCode.INTERNAL,
    errors.BudgetExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.AuthMissingError: grpc.StatusCode.UNAUTHENTICATED,
    errors.AuthDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    errors.UnreachableError: grpc.StatusCode.UNAVAILABLE,
    errors.ConfigurationError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AdapterNotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.AdapterLoadError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SettingsError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.MissingExtraError: grpc.StatusCode.FAILED_PRECONDITION,
}
"""The code of every public error; a subclass that is not here takes its nearest known parent's."""

# A Status without our ErrorInfo was made by gRPC itself, on either side of the wire.
_BY_CODE: dict[int, type[errors.EchelonError]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: errors.BudgetExceededError,
    grpc.StatusCode.UNAVAILABLE.value[0]: errors.UnreachableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: errors.LimitExceededError,
    grpc.StatusCode.UNIMPLEMENTED.value[0]: errors.UnsupportedError,
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: errors.InvalidInputError,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: errors.AuthMissingError,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: errors.AuthDeniedError,
    # A server that stops cancels what outlives its grace; a caller that cancels never gets to see a Status.
    grpc.StatusCode.CANCELLED.value[0]: errors.UnreachableError,
}
# A unary call's Status travels in trailers, of which clients take about 8 KiB after encoding it twice.
_TEXT_BYTES = 1024
_VIOLATIONS = 8
_VIOLATION_BYTES = 128


def code(error: errors.EchelonError) -> grpc.StatusCode:
    """The gRPC code of `error`."""
    return CODES[errors.public_kind(error)]


def to_status(error: errors.EchelonError) -> status_pb2.Status:
    """The Status for `error`, with exactly one ErrorInfo."""
    kind = errors.public_kind(error)
    status = status_pb2.Status(code=CODES[kind].value[0], message=_cut(str(error), _TEXT_BYTES))
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=kind.reason, domain=DOMAIN))
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMicroseconds(int(error.retry_after_s * 1e6))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, errors.InvalidInputError) and error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(field, _VIOLATION_BYTES), description=_cut(what, _VIOLATION_BYTES)
            )
            for field, what in error.violations[:_VIOLATIONS]
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    usage = usage_to_proto(error.usage)
    if usage is not None:
        status.details.add().Pack(usage)
    return status


def _cut(text: str, size_bytes: int) -> str:
    data = text.encode("utf-8", "replace")
    return data.decode() if len(data) <= size_bytes else data[: size_bytes - 3].decode("utf-8", "ignore") + "..."


def from_status(status: status_pb2.Status) -> errors.EchelonError:
    """The error that `status` stands for."""
    reason, retry_after_s, violations, usage = _details(status)
    kind = errors.BY_REASON.get(reason) or _BY_CODE.get(status.code, errors.EchelonError)
    return errors.rebuilt(kind, status.message, retry_after_s=retry_after_s, violations=violations, usage=usage)


def _details(status: status_pb2.Status) -> tuple[str, float | None, tuple[tuple[str, str], ...], Usage | None]:
    reason, retry_after_s, usage = "", None, None
    violations: tuple[tuple[str, str], ...] = ()
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    spent = pb.Usage()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
            reason = info.reason
        elif detail.Is(retry.DESCRIPTOR) and detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToMicroseconds() / 1e6
        elif detail.Is(bad.DESCRIPTOR) and detail.Unpack(bad):
            violations = tuple((item.field, item.description) for item in bad.field_violations)
        elif detail.Is(spent.DESCRIPTOR) and detail.Unpack(spent):
            usage = usage_from_proto(spent)
    return reason, retry_after_s, violations, usage


def from_rpc_error(error: grpc.RpcError) -> errors.EchelonError:
    """The error behind what a gRPC client raised."""
    found: Any = error
    for key, value in found.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return from_status(status_pb2.Status.FromString(value))
    said = in_words(found.details() or found.code().name)
    return from_status(status_pb2.Status(code=found.code().value[0], message=said))
