"""Streamed answers, put together again and checked against their digests."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from echelon.adapters import Part
from echelon.adapters.errors import EchelonError, LimitExceededError, OutputInvalidError, UnreachableError
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.parts import NO_CONTENTS, part_from_proto
from echelon.wire.rules import check
from echelon.wire.slices import put_payload, put_text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PartSlice:
    """A slice of the payload of part `index`; it counts only if the whole stream arrives."""

    index: int
    offset_bytes: int
    data: bytes


class Reassembly(ABC):
    """Collects the events of one stream, `max_bytes` of them at most, and yields what of an answer they hold."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._sequence = 0
        self._outcome: pb.Outcome | None = None

    def add(self, event: Any) -> Iterator[Any]:
        """Take one event, yield the piece in it; OutputInvalidError where the stream contradicts itself."""
        _expect(event.sequence == self._sequence and self._outcome is None, "an event is missing or out of place")
        self._sequence += 1
        self._size += event.ByteSize()
        if self._size > self._max_bytes:
            raise LimitExceededError(f"the streamed answer has more than {self._max_bytes} bytes")
        yield from self._take(event)

    def outcome(self) -> pb.Outcome:
        """The whole outcome, unchecked; UnreachableError where the stream broke off before its end."""
        if self._outcome is None:
            raise UnreachableError("the stream broke off before its final event; nothing of it counts")
        return self._outcome

    @abstractmethod
    def _take(self, event: Any) -> Iterator[Any]:
        """What `add` does with an event that is in its place."""


class TextReassembly(Reassembly):
    """Text as it is written."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._deltas: list[str] = []

    def _take(self, event: pb.StreamLanguageResponse) -> Iterator[str]:
        match event.WhichOneof("event"):
            case "delta":
                self._deltas.append(event.delta)
                yield event.delta
            case "end":
                self._end(event.end)
            case _:
                _expect(False, "an event is of no known kind")

    def _end(self, end: pb.TextEnd) -> None:
        text = "".join(self._deltas)
        data = text.encode()
        whole = end.size_bytes == len(data) and end.sha256 == hashlib.sha256(data).digest()
        _expect(whole, "the text's size or digest does not fit what came")
        _expect(put_text(end.outcome, text), "the text has no place in the outcome")
        self._outcome = end.outcome


class PartReassembly(Reassembly):
    """Parts in slices."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._parts: list[content_pb2.Part] = []
        self._payload = bytearray()
        self._open = False

    def _take(self, event: pb.StreamGenerateResponse) -> Iterator[PartSlice | Part]:
        match event.WhichOneof("event"):
            case "part_start":
                self._start(event.part_start)
            case "part_delta":
                yield self._delta(event.part_delta)
            case "part_end":
                self._end_part(event.part_end)
            case "end":
                self._end(event.end)
            case _:
                _expect(False, "an event is of no known kind")

    def _start(self, start: pb.PartStart) -> None:
        _expect(not self._open and start.index == len(self._parts), "a part begins out of place")
        part = content_pb2.Part()
        part.CopyFrom(start.part)
        self._parts.append(part)
        self._payload.clear()
        self._open = True

    def _delta(self, delta: pb.PartDelta) -> PartSlice:
        in_place = self._open and delta.index == len(self._parts) - 1 and delta.offset_bytes == len(self._payload)
        _expect(in_place, "a slice is missing or out of place")
        self._payload += delta.data
        return PartSlice(delta.index, delta.offset_bytes, delta.data)

    def _end_part(self, end: pb.PartEnd) -> None:
        payload = bytes(self._payload)
        whole = self._open and end.size_bytes == len(payload) and end.sha256 == hashlib.sha256(payload).digest()
        _expect(whole, "a part's size or digest does not fit what came")
        _expect(put_payload(self._parts[-1], payload), "a part's payload is no text, or has no place in it")
        self._open = False

    def _end(self, end: pb.StreamEnd) -> None:
        _expect(not self._open and end.part_count == len(self._parts), "the number of parts does not fit")
        outcome = pb.Outcome(usage=end.usage)
        if end.WhichOneof("result") == "refusal":
            outcome.refusal.CopyFrom(end.refusal)
        else:
            outcome.answer.parts.extend(self._parts)
            outcome.answer.finish_reason = end.finish_reason
        self._outcome = outcome


class WholePartReassembly(PartReassembly):
    """Parts that are yielded once they are whole, instead of their slices."""

    def _take(self, event: pb.StreamGenerateResponse) -> Iterator[PartSlice | Part]:
        for _ in super()._take(event):
            pass
        if event.HasField("part_end"):
            yield believed(self._parts[-1], lambda part: part_from_proto(part, NO_CONTENTS))


def believed(message: Any, convert: Callable[[Any], T]) -> T:
    """What `message` holds, from a server that need not be ours; OutputInvalidError where it breaks the contract."""
    try:
        check(message)
        return convert(message)
    except EchelonError as error:
        raise OutputInvalidError(f"the answer breaks the contract: {error}") from error


def _expect(right: bool, what: str) -> None:
    if not right:
        raise OutputInvalidError(f"the stream contradicts itself: {what}")
