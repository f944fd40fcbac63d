"""Calls and outcomes to protobuf and back."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType

from echelon.adapters.calls import Answer, Call, FinishReason, Outcome, Refusal, Request, Sampling, Usage
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb
from echelon.wire.parts import NO_CONTENTS, kinds_from_proto, kinds_to_proto, part_from_proto, part_to_proto

CALL_KINDS = {
    Call.COMPREHEND: pb.CALL_KIND_COMPREHEND,
    Call.GENERATE: pb.CALL_KIND_GENERATE,
    Call.LANGUAGE: pb.CALL_KIND_LANGUAGE,
}
CALL_OF = {number: call for call, number in CALL_KINDS.items()}
_FINISH = {FinishReason.COMPLETE: pb.FINISH_REASON_COMPLETE, FinishReason.LENGTH: pb.FINISH_REASON_LENGTH}
_FINISH_OF = {number: reason for reason, number in _FINISH.items()}
_UNSET = Sampling()
LONGEST_BUDGET_S = 3600.0
Refs = Mapping[int, content_pb2.ContentRef]
"""What stands for the data of parts, by the parts' places."""
NO_REFS: Refs = MappingProxyType({})


def call_to_proto(model: str, request: Request, refs: Refs = NO_REFS) -> pb.Call:
    """The message for `request`; its deadline becomes the budget that is left of it. `refs` stand for parts' data."""
    message = pb.Call(
        request_id=request.id,
        model=model,
        instruction=request.instruction,
        parts=[part_to_proto(part, refs.get(index)) for index, part in enumerate(request.parts)],
        output_kinds=kinds_to_proto(request.output_kinds),
        labels=request.labels,
        expected_identity=request.expected_identity,
    )
    sampling = request.sampling
    if sampling != _UNSET:
        message.sampling.CopyFrom(
            pb.Sampling(
                seed=sampling.seed,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_token_count=sampling.max_token_count,
                stop=sampling.stop,
            )
        )
    remaining_s = request.remaining_s()
    if remaining_s is not None:
        set_budget(message, remaining_s)
    return message


def set_budget(message: pb.Call, seconds: float) -> None:
    """Let the call take `seconds`, or what of them the contract allows."""
    message.budget.FromMicroseconds(int(min(max(seconds, 1e-6), LONGEST_BUDGET_S) * 1e6))


def call_from_proto(
    call: Call, message: pb.Call, *, deadline: float | None = None, contents: Mapping[bytes, bytes] = NO_CONTENTS
) -> Request:
    """The request in a validated message; its deadline is the sooner of `deadline` and its own budget.

    `contents` are what its content_refs stand for, by SHA-256.
    """
    if message.HasField("budget"):
        own = monotonic() + message.budget.seconds + message.budget.nanos * 1e-9
        deadline = own if deadline is None else min(deadline, own)
    return Request(
        call,
        message.instruction,
        tuple([part_from_proto(part, contents) for part in message.parts]),
        kinds_from_proto(message.output_kinds),
        tuple(message.labels),
        _sampling(message.sampling) if message.HasField("sampling") else _UNSET,
        message.request_id,
        deadline,
        message.expected_identity,
    )


def _sampling(message: pb.Sampling) -> Sampling:
    return Sampling(
        seed=message.seed if message.HasField("seed") else None,
        temperature=message.temperature if message.HasField("temperature") else None,
        top_p=message.top_p if message.HasField("top_p") else None,
        max_token_count=message.max_token_count if message.HasField("max_token_count") else None,
        stop=tuple(message.stop),
    )


def outcome_to_proto(outcome: Outcome, *, queue_us: int = 0, compute_us: int = 0, refs: Refs = NO_REFS) -> pb.Outcome:
    """The message for an answer or a refusal, with the times that the server measured. `refs` stand for parts' data."""
    if isinstance(outcome, Refusal):
        message = pb.Outcome(refusal=pb.Refusal(category=outcome.category, text=outcome.text))
    else:
        message = pb.Outcome()
        message.answer.parts.extend([part_to_proto(part, refs.get(index)) for index, part in enumerate(outcome.parts)])
        message.answer.finish_reason = _FINISH[outcome.finish_reason]
    usage, said = message.usage, outcome.usage
    usage.input_token_count, usage.output_token_count = said.input_token_count, said.output_token_count
    usage.cost_nano_usd = said.cost_nano_usd
    usage.queue_us, usage.compute_us = queue_us or said.queue_us, compute_us or said.compute_us
    return message


def outcome_from_proto(message: pb.Outcome, contents: Mapping[bytes, bytes] = NO_CONTENTS) -> Outcome:
    """The answer or refusal in a message; InvalidInputError where a part is broken.

    `contents` are what its content_refs stand for, by SHA-256.
    """
    usage = usage_of(message.usage)
    if message.WhichOneof("result") == "refusal":
        return Refusal(message.refusal.category, message.refusal.text, usage)
    answer = message.answer
    reason = _FINISH_OF.get(answer.finish_reason, FinishReason.COMPLETE)
    return Answer(tuple([part_from_proto(part, contents) for part in answer.parts]), reason, usage)


def usage_of(message: pb.Usage) -> Usage:
    """The usage in a message."""
    return Usage(
        input_token_count=message.input_token_count,
        output_token_count=message.output_token_count,
        cost_nano_usd=message.cost_nano_usd,
        queue_us=message.queue_us,
        compute_us=message.compute_us,
    )
