"""The contract's rules in plain Python; written by `make proto`, not to be edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from echelon.v1 import content_pb2, model_service_pb2

LARGEST_BYTES = 65536
"""What is vouched for is at most as large."""


def _call(m: Any) -> Any:
    return (
        len(m.request_id) <= 64
        and m.model
        and len(m.model) <= 64
        and (not (xs := m.parts) or len(xs) <= 256 and all([_part(x) for x in xs]))
        and (not (xs := m.output_kinds) or len(xs) <= 16 and all([x in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) for x in xs]))
        and (not (xs := m.labels) or len(xs) <= 4096 and all([x and len(x) <= 256 for x in xs]))
        and (not m.HasField("sampling") or _sampling(m.sampling))
        and not m.HasField("budget")
        and len(m.expected_identity) <= 128
    )


def _part(m: Any) -> Any:
    return (
        m.role in (0, 1, 2, 3)
        and len(m.name) <= 64
        and (not m.HasField("content_ref") or _content_ref(m.content_ref))
        and (kind := m.WhichOneof("content")) and _OF_PART[kind](getattr(m, kind))
    )


def _content_ref(m: Any) -> Any:
    return (
        len(m.sha256) == 32
        and 1 <= m.size_bytes <= 1073741824
    )


def _text(m: Any) -> Any:
    return (
        len(m.language) <= 35
    )


def _number(m: Any) -> Any:
    return (
        isfinite(m.value)
        and len(m.unit) <= 32
    )


def _choice(m: Any) -> Any:
    return (
        (xs := m.labels)
        and len(xs) <= 4096
        and all([_scored_label(x) for x in xs])
    )


def _scored_label(m: Any) -> Any:
    return (
        m.label
        and len(m.label) <= 256
        and (not m.HasField("score") or isfinite(m.score))
    )


def _image(m: Any) -> Any:
    return (
        len(m.media_type) <= 64
        and 0 <= m.width <= 32768
        and 0 <= m.height <= 32768
    )


def _audio(m: Any) -> Any:
    return (
        len(m.media_type) <= 64
        and 0 <= m.sample_rate_hz <= 384000
        and 0 <= m.channel_count <= 64
    )


def _video(m: Any) -> Any:
    return (
        len(m.media_type) <= 64
        and (not (xs := m.frames) or len(xs) <= 1024 and all([_video_frame(x) for x in xs]))
    )


def _video_frame(m: Any) -> Any:
    return (
        m.HasField("image")
        and _image(m.image)
        and 0 <= m.time_us <= 86400000000
    )


def _point_cloud(m: Any) -> Any:
    return (
        0 <= m.point_count <= 4194304
        and (xs := m.channels)
        and len(xs) >= 3
        and len(xs) <= 16
        and all([x and len(x) <= 32 for x in xs])
    )


def _mesh(m: Any) -> Any:
    return (
        0 <= m.vertex_count <= 2097152
        and 0 <= m.face_count <= 2097152
    )


def _mask(m: Any) -> Any:
    return (
        1 <= m.height <= 32768
        and 1 <= m.width <= 32768
        and (not (xs := m.labels) or len(xs) <= 256 and all([len(x) <= 256 for x in xs]))
        and (kind := m.WhichOneof("encoding")) and _OF_MASK[kind](getattr(m, kind))
    )


def _run_lengths(m: Any) -> Any:
    return (
        (xs := m.counts)
    )


def _boxes(m: Any) -> Any:
    return (
        (not (xs := m.boxes) or len(xs) <= 16384 and all([_box(x) for x in xs]))
        and m.space in (1, 2, 3)
    )


def _box(m: Any) -> Any:
    return (
        len(m.label) <= 256
        and (not m.HasField("score") or isfinite(m.score))
        and 0 <= m.track_id
        and 0 <= m.frame_index <= 1048576
        and (kind := m.WhichOneof("shape")) and _OF_BOX[kind](getattr(m, kind))
    )


def _box2_d(m: Any) -> Any:
    return (
        isfinite(m.x_min)
        and isfinite(m.y_min)
        and isfinite(m.x_max)
        and isfinite(m.y_max)
    )


def _box3_d(m: Any) -> Any:
    return (
        (xs := m.center)
        and len(xs) == 3
        and all([isfinite(x) for x in xs])
        and (xs := m.size)
        and len(xs) == 3
        and all([0.0 <= x and isfinite(x) for x in xs])
        and (not (xs := m.rotation) or len(xs) <= 4 and all([isfinite(x) for x in xs]))
    )


def _tensor(m: Any) -> Any:
    return (
        m.data_type in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
        and (not (xs := m.shape) or len(xs) <= 8 and all([0 <= x <= 67108864 for x in xs]))
    )


def _json(m: Any) -> Any:
    return (
        m.value
    )


def _sampling(m: Any) -> Any:
    return (
        (not m.HasField("seed") or 0 <= m.seed)
        and (not m.HasField("temperature") or 0.0 <= m.temperature <= 10.0)
        and (not m.HasField("max_token_count") or 1 <= m.max_token_count <= 1048576)
        and (not (xs := m.stop) or len(xs) <= 16 and all([x and len(x) <= 256 for x in xs]))
        and (not m.HasField("top_p") or 0.0 < m.top_p <= 1.0)
    )


def _outcome(m: Any) -> Any:
    return (
        (not m.HasField("usage") or _usage(m.usage))
        and (kind := m.WhichOneof("result")) and _OF_OUTCOME[kind](getattr(m, kind))
    )


def _usage(m: Any) -> Any:
    return (
        0 <= m.input_token_count
        and 0 <= m.output_token_count
        and 0 <= m.queue_us
        and 0 <= m.compute_us
        and 0 <= m.cost_nano_usd
    )


def _answer(m: Any) -> Any:
    return (
        (xs := m.parts)
        and len(xs) <= 256
        and all([_part(x) for x in xs])
    )


def _refusal(m: Any) -> Any:
    return (
        len(m.category) <= 64
    )


_OF_MASK: Mapping[str | None, Callable[[Any], Any]] = {
    "run_lengths": _run_lengths,
    "png": lambda x: True,
}

_OF_BOX: Mapping[str | None, Callable[[Any], Any]] = {
    "plane": _box2_d,
    "solid": _box3_d,
}

_OF_PART: Mapping[str | None, Callable[[Any], Any]] = {
    "text": _text,
    "number": _number,
    "choice": _choice,
    "image": _image,
    "audio": _audio,
    "video": _video,
    "point_cloud": _point_cloud,
    "mesh": _mesh,
    "mask": _mask,
    "boxes": _boxes,
    "tensor": _tensor,
    "json": _json,
}

_OF_OUTCOME: Mapping[str | None, Callable[[Any], Any]] = {
    "answer": _answer,
    "refusal": _refusal,
}

VOUCH: Mapping[type[Any], Callable[[Any], Any]] = {
    model_service_pb2.Call: _call,
    model_service_pb2.Outcome: _outcome,
}
"""Whether a message of at most LARGEST_BYTES surely keeps its rules; one that is not vouched for may keep them too."""
