"""The error table, complete and in both directions."""

from __future__ import annotations

import inspect
import re
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from echelon.adapters import Usage, errors
from echelon.wire.status import CODES, code, from_status, to_status

PUBLIC = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, errors.EchelonError) and not kind.__name__.startswith("_")
]


def made(kind: type[errors.EchelonError], message: str = "what happened") -> errors.EchelonError:
    return errors.MissingExtraError("torch", "torch") if kind is errors.MissingExtraError else kind(message)


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    infos = [detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(infos) == 1
    info = error_details_pb2.ErrorInfo()
    infos[0].Unpack(info)
    return info


def test_every_public_error_has_a_code_and_every_code_its_error() -> None:
    assert set(CODES) == set(PUBLIC)


def test_reasons_are_unique_and_written_as_the_contract_says() -> None:
    reasons = [kind.reason for kind in PUBLIC]
    assert len(set(reasons)) == len(reasons)
    assert all(re.fullmatch(r"[A-Z][A-Z_]{2,62}", reason) for reason in reasons)


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.reason)
def test_an_error_comes_back_as_it_went(kind: type[errors.EchelonError]) -> None:
    error = made(kind)
    status = to_status(error)
    back = from_status(status_pb2.Status.FromString(status.SerializeToString()))
    assert (type(back), str(back), back.retry_after_s) == (kind, str(error), None)
    assert info_of(status) == error_details_pb2.ErrorInfo(reason=kind.reason, domain="echelon")


def test_the_time_to_come_back_travels() -> None:
    busy = errors.ServerBusyError("busy", retry_after_s=0.25)
    assert from_status(to_status(busy)).retry_after_s == 0.25


def test_violations_travel() -> None:
    invalid = errors.InvalidInputError("broken", violations=(("call.model", "is empty"), ("call.parts[3]", "is odd")))
    back = from_status(to_status(invalid))
    assert isinstance(back, errors.InvalidInputError)
    assert back.violations == invalid.violations


def test_what_a_call_took_travels_with_what_became_of_it() -> None:
    usage = Usage(7, 3, cost_nano_usd=13_000, queue_us=5, compute_us=11)
    assert from_status(to_status(errors.OutputInvalidError("no JSON", usage=usage))).usage == usage


MANY: Any = Usage("many")  # type: ignore[arg-type]  # a vendor may not care


@pytest.mark.parametrize("usage", [None, Usage(), Usage(-1), Usage(1 << 70), MANY, "many", {"input_token_count": 1}])
def test_a_usage_that_says_nothing_or_cannot_be_leaves_the_error_alone(usage: Any) -> None:
    back = from_status(to_status(errors.OutputInvalidError("no JSON", usage=usage)))
    assert (str(back), back.usage) == ("no JSON", None)


def test_an_error_of_a_vendor_travels_as_its_nearest_parent() -> None:
    class OutOfMemoryError(errors.BackendError):
        reason = "MY_OWN_REASON"

    class WorseError(OutOfMemoryError):
        pass

    status = to_status(WorseError("no memory left"))
    assert info_of(status).reason == "BACKEND_UNAVAILABLE"
    assert code(WorseError("")) is grpc.StatusCode.UNAVAILABLE
    assert type(from_status(status)) is errors.BackendError


def test_a_status_fits_into_the_trailers_that_every_client_takes() -> None:
    long = "\N{SNOWMAN}" * 100_000
    error = errors.InvalidInputError(long, violations=((long, long),) * 1000)
    status = to_status(error)
    # The text is sent percent-encoded, three bytes a byte, and the whole in base 64.
    assert 3 * len(status.message.encode()) + 4 / 3 * status.ByteSize() < 8192
    assert status.message.endswith("...")


def test_text_that_is_no_unicode_still_travels() -> None:
    assert str(from_status(to_status(errors.BackendError("bad \ud800 path")))) == "bad ? path"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.BudgetExceededError),
        (grpc.StatusCode.UNAVAILABLE, errors.UnreachableError),
        (grpc.StatusCode.CANCELLED, errors.UnreachableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.LimitExceededError),
        (grpc.StatusCode.UNAUTHENTICATED, errors.AuthMissingError),
        (grpc.StatusCode.PERMISSION_DENIED, errors.AuthDeniedError),
        (grpc.StatusCode.UNIMPLEMENTED, errors.UnsupportedError),
        (grpc.StatusCode.INTERNAL, errors.EchelonError),
    ],
)
def test_a_status_of_grpc_itself_is_read_by_its_code(number: grpc.StatusCode, kind: type[errors.EchelonError]) -> None:
    back = from_status(status_pb2.Status(code=number.value[0], message="said by gRPC"))
    assert (type(back), str(back)) == (kind, "said by gRPC")


def test_a_reason_of_a_newer_peer_is_read_by_its_code() -> None:
    status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="moved")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="MODEL_MOVED", domain="echelon"))
    assert type(from_status(status)) is errors.UnreachableError


def test_another_domains_reason_means_nothing_here() -> None:
    status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="away")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="SERVER_BUSY", domain="elsewhere"))
    assert type(from_status(status)) is errors.UnreachableError


def test_a_detail_of_an_unknown_type_disturbs_nothing() -> None:
    status = to_status(errors.ServerBusyError("busy"))
    status.details.insert(0, any_pb2.Any(type_url="type.googleapis.com/acme.Unknown", value=b"\xff"))
    assert type(from_status(status)) is errors.ServerBusyError
