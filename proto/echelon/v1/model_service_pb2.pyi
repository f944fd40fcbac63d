import datetime

from echelon.v1 import content_pb2 as _content_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALL_KIND_UNSPECIFIED: _ClassVar[CallKind]
    CALL_KIND_COMPREHEND: _ClassVar[CallKind]
    CALL_KIND_GENERATE: _ClassVar[CallKind]
    CALL_KIND_LANGUAGE: _ClassVar[CallKind]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_COMPLETE: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]
    MODEL_STATE_DRAINING: _ClassVar[ModelState]

class Composition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPOSITION_UNSPECIFIED: _ClassVar[Composition]
    COMPOSITION_SINGLE: _ClassVar[Composition]
    COMPOSITION_ENSEMBLE: _ClassVar[Composition]
    COMPOSITION_DISPATCHER: _ClassVar[Composition]
    COMPOSITION_AGENT: _ClassVar[Composition]
CALL_KIND_UNSPECIFIED: CallKind
CALL_KIND_COMPREHEND: CallKind
CALL_KIND_GENERATE: CallKind
CALL_KIND_LANGUAGE: CallKind
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_COMPLETE: FinishReason
FINISH_REASON_LENGTH: FinishReason
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_FAILED: ModelState
MODEL_STATE_DRAINING: ModelState
COMPOSITION_UNSPECIFIED: Composition
COMPOSITION_SINGLE: Composition
COMPOSITION_ENSEMBLE: Composition
COMPOSITION_DISPATCHER: Composition
COMPOSITION_AGENT: Composition

class Call(_message.Message):
    __slots__ = ("request_id", "model", "instruction", "parts", "output_kinds", "labels", "sampling", "budget", "accepts_content_refs", "expected_identity")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_KINDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_CONTENT_REFS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_IDENTITY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    instruction: str
    parts: _containers.RepeatedCompositeFieldContainer[_content_pb2.Part]
    output_kinds: _containers.RepeatedScalarFieldContainer[_content_pb2.Kind]
    labels: _containers.RepeatedScalarFieldContainer[str]
    sampling: Sampling
    budget: _duration_pb2.Duration
    accepts_content_refs: bool
    expected_identity: str
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., instruction: _Optional[str] = ..., parts: _Optional[_Iterable[_Union[_content_pb2.Part, _Mapping]]] = ..., output_kinds: _Optional[_Iterable[_Union[_content_pb2.Kind, str]]] = ..., labels: _Optional[_Iterable[str]] = ..., sampling: _Optional[_Union[Sampling, _Mapping]] = ..., budget: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., accepts_content_refs: bool = ..., expected_identity: _Optional[str] = ...) -> None: ...

class Sampling(_message.Message):
    __slots__ = ("seed", "temperature", "max_token_count", "stop", "top_p")
    SEED_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    seed: int
    temperature: float
    max_token_count: int
    stop: _containers.RepeatedScalarFieldContainer[str]
    top_p: float
    def __init__(self, seed: _Optional[int] = ..., temperature: _Optional[float] = ..., max_token_count: _Optional[int] = ..., stop: _Optional[_Iterable[str]] = ..., top_p: _Optional[float] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("answer", "refusal", "usage")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    answer: Answer
    refusal: Refusal
    usage: Usage
    def __init__(self, answer: _Optional[_Union[Answer, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("parts", "finish_reason")
    PARTS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[_content_pb2.Part]
    finish_reason: FinishReason
    def __init__(self, parts: _Optional[_Iterable[_Union[_content_pb2.Part, _Mapping]]] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("category", "text")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    category: str
    text: str
    def __init__(self, category: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input_token_count", "output_token_count", "queue_us", "compute_us", "cost_nano_usd")
    INPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_US_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_US_FIELD_NUMBER: _ClassVar[int]
    COST_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    input_token_count: int
    output_token_count: int
    queue_us: int
    compute_us: int
    cost_nano_usd: int
    def __init__(self, input_token_count: _Optional[int] = ..., output_token_count: _Optional[int] = ..., queue_us: _Optional[int] = ..., compute_us: _Optional[int] = ..., cost_nano_usd: _Optional[int] = ...) -> None: ...

class Card(_message.Message):
    __slots__ = ("name", "version", "description", "calls", "deterministic", "weights_digest", "engine", "precision", "device", "frame_sampling", "composition", "max_batch_size")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    DETERMINISTIC_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    FRAME_SAMPLING_FIELD_NUMBER: _ClassVar[int]
    COMPOSITION_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    description: str
    calls: _containers.RepeatedCompositeFieldContainer[CallSupport]
    deterministic: bool
    weights_digest: str
    engine: str
    precision: str
    device: str
    frame_sampling: str
    composition: Composition
    max_batch_size: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., description: _Optional[str] = ..., calls: _Optional[_Iterable[_Union[CallSupport, _Mapping]]] = ..., deterministic: bool = ..., weights_digest: _Optional[str] = ..., engine: _Optional[str] = ..., precision: _Optional[str] = ..., device: _Optional[str] = ..., frame_sampling: _Optional[str] = ..., composition: _Optional[_Union[Composition, str]] = ..., max_batch_size: _Optional[int] = ...) -> None: ...

class CallSupport(_message.Message):
    __slots__ = ("call", "input_kinds", "output_kinds")
    CALL_FIELD_NUMBER: _ClassVar[int]
    INPUT_KINDS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_KINDS_FIELD_NUMBER: _ClassVar[int]
    call: CallKind
    input_kinds: _containers.RepeatedScalarFieldContainer[_content_pb2.Kind]
    output_kinds: _containers.RepeatedScalarFieldContainer[_content_pb2.Kind]
    def __init__(self, call: _Optional[_Union[CallKind, str]] = ..., input_kinds: _Optional[_Iterable[_Union[_content_pb2.Kind, str]]] = ..., output_kinds: _Optional[_Iterable[_Union[_content_pb2.Kind, str]]] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("digest", "distribution", "distribution_version", "adapter", "code_digest", "settings_digest", "files_digest", "card_digest", "engine", "precision", "device_type", "unverified")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    DISTRIBUTION_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    CODE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILES_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CARD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    UNVERIFIED_FIELD_NUMBER: _ClassVar[int]
    digest: str
    distribution: str
    distribution_version: str
    adapter: str
    code_digest: str
    settings_digest: str
    files_digest: str
    card_digest: str
    engine: str
    precision: str
    device_type: str
    unverified: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digest: _Optional[str] = ..., distribution: _Optional[str] = ..., distribution_version: _Optional[str] = ..., adapter: _Optional[str] = ..., code_digest: _Optional[str] = ..., settings_digest: _Optional[str] = ..., files_digest: _Optional[str] = ..., card_digest: _Optional[str] = ..., engine: _Optional[str] = ..., precision: _Optional[str] = ..., device_type: _Optional[str] = ..., unverified: _Optional[_Iterable[str]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("card", "state", "identity")
    CARD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    card: Card
    state: ModelState
    identity: Identity
    def __init__(self, card: _Optional[_Union[Card, _Mapping]] = ..., state: _Optional[_Union[ModelState, str]] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class ComprehendRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: Call
    def __init__(self, call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class ComprehendResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    def __init__(self, outcome: _Optional[_Union[Outcome, _Mapping]] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: Call
    def __init__(self, call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    def __init__(self, outcome: _Optional[_Union[Outcome, _Mapping]] = ...) -> None: ...

class LanguageRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: Call
    def __init__(self, call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class LanguageResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    def __init__(self, outcome: _Optional[_Union[Outcome, _Mapping]] = ...) -> None: ...

class StreamGenerateRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: Call
    def __init__(self, call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class StreamGenerateResponse(_message.Message):
    __slots__ = ("sequence", "part_start", "part_delta", "part_end", "end")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PART_START_FIELD_NUMBER: _ClassVar[int]
    PART_DELTA_FIELD_NUMBER: _ClassVar[int]
    PART_END_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    part_start: PartStart
    part_delta: PartDelta
    part_end: PartEnd
    end: StreamEnd
    def __init__(self, sequence: _Optional[int] = ..., part_start: _Optional[_Union[PartStart, _Mapping]] = ..., part_delta: _Optional[_Union[PartDelta, _Mapping]] = ..., part_end: _Optional[_Union[PartEnd, _Mapping]] = ..., end: _Optional[_Union[StreamEnd, _Mapping]] = ...) -> None: ...

class PartStart(_message.Message):
    __slots__ = ("index", "part")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    index: int
    part: _content_pb2.Part
    def __init__(self, index: _Optional[int] = ..., part: _Optional[_Union[_content_pb2.Part, _Mapping]] = ...) -> None: ...

class PartDelta(_message.Message):
    __slots__ = ("index", "offset_bytes", "data")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    index: int
    offset_bytes: int
    data: bytes
    def __init__(self, index: _Optional[int] = ..., offset_bytes: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class PartEnd(_message.Message):
    __slots__ = ("index", "size_bytes", "sha256")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    index: int
    size_bytes: int
    sha256: bytes
    def __init__(self, index: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class StreamEnd(_message.Message):
    __slots__ = ("finish_reason", "refusal", "part_count", "usage")
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    PART_COUNT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    finish_reason: FinishReason
    refusal: Refusal
    part_count: int
    usage: Usage
    def __init__(self, finish_reason: _Optional[_Union[FinishReason, str]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., part_count: _Optional[int] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class StreamLanguageRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: Call
    def __init__(self, call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class StreamLanguageResponse(_message.Message):
    __slots__ = ("sequence", "delta", "end")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    delta: str
    end: TextEnd
    def __init__(self, sequence: _Optional[int] = ..., delta: _Optional[str] = ..., end: _Optional[_Union[TextEnd, _Mapping]] = ...) -> None: ...

class TextEnd(_message.Message):
    __slots__ = ("outcome", "size_bytes", "sha256")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    size_bytes: int
    sha256: bytes
    def __init__(self, outcome: _Optional[_Union[Outcome, _Mapping]] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class PutContentRequest(_message.Message):
    __slots__ = ("start", "chunk")
    START_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    start: _content_pb2.ContentRef
    chunk: _content_pb2.ContentChunk
    def __init__(self, start: _Optional[_Union[_content_pb2.ContentRef, _Mapping]] = ..., chunk: _Optional[_Union[_content_pb2.ContentChunk, _Mapping]] = ...) -> None: ...

class PutContentResponse(_message.Message):
    __slots__ = ("content_ref", "lifetime")
    CONTENT_REF_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    content_ref: _content_pb2.ContentRef
    lifetime: _duration_pb2.Duration
    def __init__(self, content_ref: _Optional[_Union[_content_pb2.ContentRef, _Mapping]] = ..., lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetContentRequest(_message.Message):
    __slots__ = ("content_ref",)
    CONTENT_REF_FIELD_NUMBER: _ClassVar[int]
    content_ref: _content_pb2.ContentRef
    def __init__(self, content_ref: _Optional[_Union[_content_pb2.ContentRef, _Mapping]] = ...) -> None: ...

class GetContentResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: _content_pb2.ContentChunk
    def __init__(self, chunk: _Optional[_Union[_content_pb2.ContentChunk, _Mapping]] = ...) -> None: ...

class PipelineRequest(_message.Message):
    __slots__ = ("calls", "cancel_ids")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_IDS_FIELD_NUMBER: _ClassVar[int]
    calls: _containers.RepeatedCompositeFieldContainer[PipelineCall]
    cancel_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, calls: _Optional[_Iterable[_Union[PipelineCall, _Mapping]]] = ..., cancel_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class PipelineCall(_message.Message):
    __slots__ = ("id", "kind", "call")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    id: int
    kind: CallKind
    call: Call
    def __init__(self, id: _Optional[int] = ..., kind: _Optional[_Union[CallKind, str]] = ..., call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class PipelineResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[PipelineResult]
    def __init__(self, results: _Optional[_Iterable[_Union[PipelineResult, _Mapping]]] = ...) -> None: ...

class PipelineResult(_message.Message):
    __slots__ = ("id", "outcome", "status")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    id: int
    outcome: Outcome
    status: _status_pb2.Status
    def __init__(self, id: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...
