"""An answer as a stream of slices, and the digests that make it whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.slices import take_payload

SLICE_BYTES = 256 * 1024


class Slices:
    """Numbers the events of one stream."""

    def __init__(self) -> None:
        self._sequence = count()
        self._parts = count()

    def part(self, part: content_pb2.Part) -> Iterator[pb.StreamGenerateResponse]:
        """The events of the next part."""
        index = next(self._parts)
        header = content_pb2.Part()
        header.CopyFrom(part)
        payload = take_payload(header)
        yield self._event(part_start=pb.PartStart(index=index, part=header))
        for offset in range(0, len(payload), SLICE_BYTES):
            data = payload[offset : offset + SLICE_BYTES]
            yield self._event(part_delta=pb.PartDelta(index=index, offset_bytes=offset, data=data))
        digest = hashlib.sha256(payload).digest()
        yield self._event(part_end=pb.PartEnd(index=index, size_bytes=len(payload), sha256=digest))

    def end(self, outcome: pb.Outcome) -> pb.StreamGenerateResponse:
        """The last event: everything of `outcome` but its parts."""
        end = pb.StreamEnd(part_count=next(self._parts), usage=outcome.usage)
        if outcome.WhichOneof("result") == "refusal":
            end.refusal.CopyFrom(outcome.refusal)
        else:
            end.finish_reason = outcome.answer.finish_reason
        return self._event(end=end)

    def _event(
        self,
        part_start: pb.PartStart | None = None,
        part_delta: pb.PartDelta | None = None,
        part_end: pb.PartEnd | None = None,
        end: pb.StreamEnd | None = None,
    ) -> pb.StreamGenerateResponse:
        return pb.StreamGenerateResponse(
            sequence=next(self._sequence), part_start=part_start, part_delta=part_delta, part_end=part_end, end=end
        )


def events(outcome: pb.Outcome) -> Iterator[pb.StreamGenerateResponse]:
    """The events of a whole outcome."""
    slices = Slices()
    for part in outcome.answer.parts:
        yield from slices.part(part)
    yield slices.end(outcome)
