"""An outcome as a stream of events, and the digests that make it whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Protocol

from echelon.adapters import Answer, Call
from echelon.adapters.errors import OutputInvalidError
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.slices import take_payload, take_text

SLICE_BYTES = 256 * 1024
DELTA_CHARACTERS = 64 * 1024
MOST_CHARACTERS = 1 << 20

Check = Callable[[Any], pb.Outcome]
"""Makes the message for what an adapter returned; OutputInvalidError where that breaks the contract."""


class Events(Protocol):
    """Numbers the events of one stream."""

    def piece(self, piece: Any, check: Check) -> Iterator[Any]:
        """The events of the next piece that an adapter streams; OutputInvalidError where it is none."""

    def end(self, outcome: pb.Outcome) -> Iterator[Any]:
        """What of the outcome was not streamed yet, and the last event.

        OutputInvalidError where the pieces are not those of the outcome.
        """


class PartEvents:
    """An answer part by part, each in slices with its digest."""

    def __init__(self) -> None:
        self._sequence = count()
        self._parts = 0

    def piece(self, piece: Any, check: Check) -> Iterator[pb.StreamGenerateResponse]:
        (part,) = check(Answer((piece,))).answer.parts
        yield from self._part(part)

    def end(self, outcome: pb.Outcome) -> Iterator[pb.StreamGenerateResponse]:
        for part in outcome.answer.parts[self._parts :]:
            yield from self._part(part)
        end = pb.StreamEnd(part_count=self._parts, usage=outcome.usage)
        if outcome.WhichOneof("result") == "refusal":
            end.refusal.CopyFrom(outcome.refusal)
        else:
            end.finish_reason = outcome.answer.finish_reason
        yield self._event(end=end)

    def _part(self, part: content_pb2.Part) -> Iterator[pb.StreamGenerateResponse]:
        index, self._parts = self._parts, self._parts + 1
        header = content_pb2.Part()
        header.CopyFrom(part)
        payload = take_payload(header)
        yield self._event(part_start=pb.PartStart(index=index, part=header))
        for offset in range(0, len(payload), SLICE_BYTES):
            data = payload[offset : offset + SLICE_BYTES]
            yield self._event(part_delta=pb.PartDelta(index=index, offset_bytes=offset, data=data))
        digest = hashlib.sha256(payload).digest()
        yield self._event(part_end=pb.PartEnd(index=index, size_bytes=len(payload), sha256=digest))

    def _event(self, **event: Any) -> pb.StreamGenerateResponse:
        return pb.StreamGenerateResponse(sequence=next(self._sequence), **event)


class TextEvents:
    """Text as it is written, and the outcome that it belongs to."""

    def __init__(self) -> None:
        self._sequence = count()
        self._written: list[str] = []
        self._characters = 0

    def piece(self, piece: Any, check: Check) -> Iterator[pb.StreamLanguageResponse]:
        _expect_unicode(piece)
        self._characters += len(piece)
        if self._characters > MOST_CHARACTERS:
            raise OutputInvalidError(f"the adapter streamed more than {MOST_CHARACTERS} characters")
        self._written.append(piece)
        for start in range(0, len(piece), DELTA_CHARACTERS):
            yield self._event(delta=piece[start : start + DELTA_CHARACTERS])

    def end(self, outcome: pb.Outcome) -> Iterator[pb.StreamLanguageResponse]:
        rest = pb.Outcome()
        rest.CopyFrom(outcome)
        answered, written = take_text(rest), "".join(self._written)
        if not written:
            for start in range(0, len(answered), DELTA_CHARACTERS):
                yield self._event(delta=answered[start : start + DELTA_CHARACTERS])
        elif outcome.WhichOneof("result") == "refusal":
            answered = written
        elif written != answered:
            raise OutputInvalidError("the pieces that the adapter streamed are not the text that it answered")
        data = answered.encode()
        end = pb.TextEnd(outcome=rest, size_bytes=len(data), sha256=hashlib.sha256(data).digest())
        yield self._event(end=end)

    def _event(self, **event: Any) -> pb.StreamLanguageResponse:
        return pb.StreamLanguageResponse(sequence=next(self._sequence), **event)


def _expect_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OutputInvalidError("the adapter streamed half a surrogate pair, which is no text") from None


EVENTS: dict[Call, Callable[[], Events]] = {Call.GENERATE: PartEvents, Call.LANGUAGE: TextEvents}
"""How each call that streams does so."""
