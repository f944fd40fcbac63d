"""What is spoken between a server and the process of an adapter."""

from __future__ import annotations

import dataclasses
import inspect
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import (
    Answer,
    Call,
    CallSupport,
    Card,
    Composition,
    FinishReason,
    Kind,
    Number,
    Refusal,
    Request,
    Sampling,
    Tensor,
    Text,
    Usage,
    calls,
    card,
    content,
    errors,
    hosting,
)
from echelon.adapters.plain import PARTS
from echelon.adapters.worker.frames import INDEX_BYTES, Connection, FrameError, TooLargeError
from echelon.adapters.worker.values import _READERS, _WRITERS, Foreign, ForeignError, decode, encode

parts = st.sampled_from(sorted(PARTS.values(), key=lambda kind: kind.__name__)).flatmap(st.from_type)


def travelled(value: Any) -> Any:
    """`value` at the other end."""
    buffers: list[bytes] = []
    text = json.dumps(encode(value, buffers))
    return decode(json.loads(text), buffers)


@given(parts)
def test_every_part_arrives_as_it_left(part: content.Part) -> None:
    # As text, where NaN is itself.
    assert repr(travelled(part)) == repr(part)
    assert type(travelled(part)) is type(part)


SAMPLING = Sampling(7, 0.5, 0.9, 100, ("stop", "\ud800 half a character"))
REQUEST = Request(
    Call.GENERATE, "x" * 5000, (Text("a"),), (Kind.IMAGE,), ("yes", "no"), SAMPLING, id="1", deadline=4711.25
)
CARD = Card(
    "1",
    (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),),
    "words",
    True,
    "sha256:" + "0" * 64,
    "engine",
    "fp16",
    "cuda:0",
    "all",
    Composition.AGENT,
    "name",
    8,
)


@pytest.mark.parametrize(
    "value",
    [
        REQUEST,
        Request(Call.COMPREHEND),
        Answer((Text("a"), Number(float("inf"))), FinishReason.LENGTH, Usage(1, 2, 3, 4, 5)),
        Answer([Text("a")]),  # type: ignore[arg-type]  # what a vendor may do
        Refusal("policy", "no", Usage(cost_nano_usd=10**15)),
        CARD,
        hosting.Plan({"a": [1, None, {"b": True}], "c": b"raw"}, "folder", "where"),
        hosting.Opened(CARD, True, (Call.LANGUAGE,), (Request(Call.LANGUAGE, "probe"),)),
        2**70,
        "short",
        "long " * 1000,
        b"",
        [(), [], {}],
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_other_value_arrives_as_it_left(value: Any) -> None:
    assert travelled(value) == value


def test_the_table_knows_every_type_of_the_sdk() -> None:
    modules = (content, calls, card, hosting)
    kinds = [kind for module in modules for kind in vars(module).values() if inspect.isclass(kind)]
    records = [kind for kind in kinds if dataclasses.is_dataclass(kind) and kind is not content.Part]
    assert len(records) > 20
    assert [kind.__name__ for kind in records if kind not in _WRITERS or kind.__name__ not in _READERS] == []


@pytest.mark.parametrize("kind", errors.BY_REASON.values(), ids=lambda kind: kind.reason)
def test_an_error_arrives_as_it_left(kind: type[errors.EchelonError]) -> None:
    violations, usage = (("call.model", "is empty"),), Usage(7, 3)
    error = errors.rebuilt(kind, "what happened", retry_after_s=0.5, violations=violations, usage=usage)
    back = travelled(error)
    assert back.usage == usage
    assert (type(back), str(back), back.retry_after_s) == (kind, "what happened", 0.5)
    assert getattr(back, "violations", None) == getattr(error, "violations", None)


def test_an_error_of_an_older_sdk_tells_no_usage() -> None:
    back = decode(["error", ["OUTPUT_INVALID", "no JSON", None, ["tuple", []]]], [])
    assert (type(back), str(back), back.usage) == (errors.OutputInvalidError, "no JSON", None)


def test_a_vendors_own_error_arrives_as_the_nearest_of_ours() -> None:
    class QuotaError(errors.BackendError):
        reason = "ACME_QUOTA"

    assert type(travelled(QuotaError("no more"))) is errors.BackendError


def test_an_exception_arrives_with_its_story() -> None:
    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    try:
        raise ValueError("what happened")
    except ValueError as error:
        back = travelled(error)
    assert (type(back), str(back)) == (ForeignError, "ValueError: what happened")
    assert "test_an_exception_arrives_with_its_story" in back.__notes__[0]
    assert str(travelled(UnprintableError())) == "UnprintableError"


def test_what_does_not_travel_is_named() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    back = travelled(Answer((Odd(), np.zeros(2))))  # type: ignore[arg-type]  # what a vendor may do
    assert [type(part).__name__ for part in back.parts] == ["Odd", "ndarray"]
    assert all(isinstance(part, Foreign) for part in back.parts)
    assert repr(back.parts[0]).startswith("<Odd instance")


def test_numbers_of_numpy_arrive_as_numbers() -> None:
    answer = Answer((Number(np.float32(0.5)), Number(np.float64(0.1))), usage=Usage(np.int64(3)))  # type: ignore[arg-type]  # what a vendor may do
    assert travelled(answer) == Answer((Number(0.5), Number(0.1)), usage=Usage(3))


def test_fields_of_a_newer_end_are_left_out() -> None:
    buffers: list[bytes] = []
    tag, fields = encode(Usage(3), buffers)
    assert decode([tag, {**fields, "carbon_mg": 7}], buffers) == Usage(3)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Connection]]:
    """A raw end, and the connection at the other."""
    raw, other = socket.socketpair()
    with raw, other:
        yield raw, Connection(other, takes_bytes=1 << 28)


def frame(text: bytes, lengths: tuple[int, ...] = (), rest: int | None = None, body: bytes = b"") -> bytes:
    table = struct.pack(f"<{len(lengths)}Q", *lengths)
    size = len(table) + len(text) + len(body) if rest is None else rest
    return struct.pack("<QIIQ", 1, len(text), len(lengths), size) + table + text + body


HOSTILE = {
    "no JSON": frame(b"{"),
    "no pair": frame(b"[1]"),
    "an unknown tag": frame(b'["done",["os.system",["true"]]]'),
    "a tag that is no text": frame(b'["done",[[],[]]]'),
    "a field that is missing": frame(b'["done",["Text",{}]]'),
    "a buffer that is missing": frame(b'["done",["bytes",0]]'),
    "more than was agreed": frame(b"", rest=(1 << 28) + 1),
    "a wall of numbers": struct.pack("<QIIQ", 1, INDEX_BYTES + 1, 0, INDEX_BYTES + 1),
    "a wall of lengths": struct.pack("<QIIQ", 1, 0, INDEX_BYTES // 8 + 1, INDEX_BYTES + 8),
    "more buffers than bytes": struct.pack("<QIIQ", 1, 0, 0xFFFFFFFF, 1 << 20),
    "a length that lies": frame(b"null", (2,), body=b"1"),
    "lengths beyond all bounds": frame(b"null", (2**63, 2**63)),
    "depth": frame(b"[" * 100_000),
    "a number of a million digits": frame(b'["done",' + b"1" * 500_000 + b"]"),
    "no UTF-8": frame(b'["done","\xff"]'),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_makes_no_sense_is_refused(ends: tuple[socket.socket, Connection], hostile: str) -> None:
    raw, connection = ends
    raw.settimeout(10)
    # More than a socket's buffer waits for its reader.
    threading.Thread(target=_send, args=(raw, HOSTILE[hostile]), daemon=True).start()
    with pytest.raises(FrameError):
        connection.receive()


def _send(raw: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        raw.sendall(data)


@pytest.mark.parametrize("cut", [1, 24, 30])
def test_an_end_in_the_middle_of_a_frame_is_an_end(ends: tuple[socket.socket, Connection], cut: int) -> None:
    raw, connection = ends
    raw.sendall(frame(b'["done",null]')[:cut])
    raw.shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        connection.receive()


@pytest.mark.parametrize("size", [0, 1, 60_000, 70_000, 3_000_000])
def test_buffers_of_every_size_arrive(size: int) -> None:
    one, other = socket.socketpair()
    with one, other:
        sender, receiver = Connection(one), Connection(other)
        tensors = [Tensor(bytes([n]) * size, "uint8", (size,)) for n in range(3)]
        sending = threading.Thread(target=sender.send, args=(7, "run", tensors))
        sending.start()
        assert receiver.receive() == (7, "run", tensors)
        sending.join()


def test_numbers_that_the_other_end_would_not_take_are_not_sent() -> None:
    one, other = socket.socketpair()
    with one, other:
        sender = Connection(one)
        sender.gives_bytes = 1 << 28
        with pytest.raises(TooLargeError, match="bytes of numbers and short texts, 16777216 at most"):
            sender.send(1, "done", [0.125] * (INDEX_BYTES // 5))


def test_a_frame_that_the_other_end_would_not_take_is_not_sent() -> None:
    one, other = socket.socketpair()
    with one, other:
        sender, receiver = Connection(one), Connection(other)
        sender.gives_bytes = 1000
        with pytest.raises(TooLargeError):
            sender.send(1, "done", bytes(1000))
        sender.send(2, "done", bytes(100))
        assert receiver.receive() == (2, "done", bytes(100))
