"""An answer as a stream of slices, and the digests that make it whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.slices import take_payload

SLICE_BYTES = 256 * 1024


def events(outcome: pb.Outcome) -> Iterator[pb.StreamGenerateResponse]:
    """The events of a whole outcome, numbered from 0."""
    for sequence, event in enumerate(_events(outcome)):
        event.sequence = sequence
        yield event


def _events(outcome: pb.Outcome) -> Iterator[pb.StreamGenerateResponse]:
    parts = outcome.answer.parts
    for index, part in enumerate(parts):
        yield from _part(index, part)
    end = pb.StreamEnd(part_count=len(parts), usage=outcome.usage)
    if outcome.WhichOneof("result") == "refusal":
        end.refusal.CopyFrom(outcome.refusal)
    else:
        end.finish_reason = outcome.answer.finish_reason
    yield pb.StreamGenerateResponse(end=end)


def _part(index: int, part: content_pb2.Part) -> Iterator[pb.StreamGenerateResponse]:
    header = content_pb2.Part()
    header.CopyFrom(part)
    payload = take_payload(header)
    yield pb.StreamGenerateResponse(part_start=pb.PartStart(index=index, part=header))
    for offset in range(0, len(payload), SLICE_BYTES):
        data = payload[offset : offset + SLICE_BYTES]
        yield pb.StreamGenerateResponse(part_delta=pb.PartDelta(index=index, offset_bytes=offset, data=data))
    digest = hashlib.sha256(payload).digest()
    yield pb.StreamGenerateResponse(part_end=pb.PartEnd(index=index, size_bytes=len(payload), sha256=digest))
