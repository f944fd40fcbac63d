"""Every kind of part over the wire and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
    Call,
    CallSupport,
    Card,
    Choice,
    Composition,
    FinishReason,
    Image,
    InvalidInputError,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Refusal,
    Request,
    Role,
    Sampling,
    ScoredLabel,
    Tensor,
    Text,
    Usage,
    Video,
    VideoFrame,
)
from echelon.v1 import content_pb2, model_service_pb2
from echelon.wire.calls import call_from_proto, call_to_proto, outcome_from_proto, outcome_to_proto
from echelon.wire.cards import card_from_proto, card_to_proto
from echelon.wire.contents import REFERABLE, payload_of, reference
from echelon.wire.parts import DATA_TYPES, ITEM_BYTES, part_from_proto, part_to_proto
from echelon.wire.rules import check

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
scores = st.none() | finite
common = {"role": st.sampled_from(Role), "name": words}
images = st.builds(
    Image,
    st.binary(max_size=40),
    st.sampled_from(["image/png", "image/webp"]),
    st.integers(0, 99),
    st.integers(0, 99),
    **common,
)
frames = st.builds(VideoFrame, st.builds(Image, st.binary(min_size=1, max_size=9)), st.integers(0, 10**9))
corners = st.tuples(finite, finite).map(sorted)


def boxes_of_points(xs: list[float], ys: list[float], label: str, score: float | None, track: int, frame: int) -> Box:
    return Box(xs[0], ys[0], xs[1], ys[1], label, score, track, frame)


sizes = st.tuples(*[st.floats(0, 1e9)] * 3)
planes = st.builds(boxes_of_points, corners, corners, words, scores, st.integers(0, 99), st.integers(0, 99))
rotations = st.just(()) | st.tuples(*[finite] * 4)
solids = st.builds(
    Box3D, st.tuples(*[finite] * 3), sizes, rotations, words, scores, st.integers(0, 99), st.integers(0, 99)
)


def points_of(count: int, extra: list[str], value: float) -> PointCloud:
    channels = ("x", "y", "z", *extra)
    return PointCloud.from_array(np.full((count, len(channels)), value, np.float32), channels=channels)


def mesh_of(vertices: int, faces: int) -> Mesh:
    return Mesh.from_array(np.ones((vertices, 3), np.float32), np.zeros((faces, 3), np.int32))


def mask_of(height: int, width: int, split: float, labels: list[str]) -> Mask:
    zeros = int(height * width * split)
    return Mask(height, width, run_lengths=(zeros, height * width - zeros), labels=tuple(labels))


def tensor_of(data_type: str, shape: tuple[int, ...], fill: bytes) -> Tensor:
    size = int(np.prod(shape, dtype=int)) * ITEM_BYTES[data_type]
    return Tensor(fill * size, data_type, shape)


BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.builds(Text, words, words, **common),
    Kind.NUMBER: st.builds(Number, finite, words, **common),
    Kind.CHOICE: st.builds(
        Choice, st.lists(st.builds(ScoredLabel, names, scores), min_size=1, max_size=4).map(tuple), **common
    ),
    Kind.IMAGE: images,
    Kind.AUDIO: st.builds(Audio, st.binary(max_size=40), st.just("audio/wav"), st.integers(0, 9), st.integers(0, 9)),
    Kind.VIDEO: st.builds(Video, st.binary(min_size=1, max_size=40), st.just("image/gif"), **common)
    | st.builds(Video, frames=st.lists(frames, min_size=1, max_size=3).map(tuple), **common),
    Kind.POINT_CLOUD: st.builds(points_of, st.integers(0, 5), st.lists(names, max_size=2), st.floats(width=32)),
    Kind.MESH: st.builds(mesh_of, st.integers(0, 5), st.integers(0, 5)),
    Kind.MASK: st.builds(mask_of, st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.lists(words, max_size=3))
    | st.builds(Mask, st.integers(1, 9), st.integers(1, 9), st.binary(min_size=1, max_size=40), **common),
    Kind.BOXES: st.builds(Boxes, st.lists(planes | solids, max_size=3).map(tuple), st.sampled_from(BoxSpace), **common),
    Kind.TENSOR: st.builds(
        tensor_of,
        st.sampled_from(sorted(DATA_TYPES)),
        st.lists(st.integers(0, 4), max_size=4).map(tuple),
        st.binary(min_size=1, max_size=1),
    ),
    Kind.JSON: st.builds(Json, names, **common),
}


def test_every_kind_has_a_strategy_here() -> None:
    assert set(BY_KIND) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_a_part_comes_back_as_it_went(kind: Kind) -> None:
    @given(BY_KIND[kind])
    def there_and_back(part: Part) -> None:
        message = part_to_proto(part)
        check(message)
        assert part_from_proto(type(message).FromString(message.SerializeToString())) == part

    there_and_back()


@pytest.mark.parametrize("kind", REFERABLE)
def test_data_may_travel_by_itself(kind: str) -> None:
    @given(BY_KIND[Kind(kind)].filter(lambda part: payload_of(part) != b""))
    def there_and_back(part: Part) -> None:
        data = payload_of(part)
        ref = reference(data)
        message = part_to_proto(part, ref)
        check(message)
        assert not getattr(message, kind).data
        assert part_from_proto(message, {ref.sha256: data}) == part

    there_and_back()


@given(st.lists(st.one_of(*BY_KIND.values()), max_size=3).map(tuple), words, st.lists(names, max_size=3).map(tuple))
def test_a_call_comes_back_as_it_went(parts: tuple[Part, ...], words: str, labels: tuple[str, ...]) -> None:
    request = Request(
        Call.GENERATE,
        words,
        parts,
        (Kind.IMAGE, Kind.TEXT),
        labels,
        Sampling(0, 0.0, 0.5, 1, ("stop",)),
        "an id",
        deadline=None,
    )
    message = call_to_proto("model", request)
    check(message)
    assert call_from_proto(Call.GENERATE, message) == request


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(seed=0),
        Sampling(temperature=0.0),
        Sampling(top_p=0.5),
        Sampling(max_token_count=7),
        Sampling(stop=("\n", "END")),
    ],
)
def test_what_is_not_set_of_the_sampling_stays_unset(sampling: Sampling) -> None:
    message = call_to_proto("model", Request(Call.LANGUAGE, sampling=sampling))
    assert call_from_proto(Call.LANGUAGE, message).sampling == sampling


@pytest.mark.parametrize(
    "outcome",
    [
        Answer((Text("yes"),), FinishReason.LENGTH, Usage(1, 2, 3, 4, 5)),
        Refusal("safety", "I will not", Usage(1)),
        Refusal(),
    ],
)
def test_an_outcome_comes_back_as_it_went(outcome: Answer | Refusal) -> None:
    assert outcome_from_proto(outcome_to_proto(outcome)) == outcome


def test_a_card_comes_back_as_it_went() -> None:
    card = Card(
        version="2",
        calls=(CallSupport(Call.COMPREHEND, (Kind.IMAGE, Kind.TEXT), (Kind.CHOICE,)),),
        description="One sentence.",
        deterministic=True,
        weights_digest="sha256:" + "0" * 64,
        engine="engine 1",
        precision="float32",
        device="cpu",
        frame_sampling="uniform 8",
        composition=Composition.ENSEMBLE,
        name="model",
        max_batch_size=8,
    )
    assert card_from_proto(card_to_proto(card)) == card


CONTRADICTIONS = {
    "tensor bytes": Tensor(b"123", "float32", (1,)),
    "tensor of negative length": Tensor(b"", "uint8", (-1, 0)),
    "tensor type": Tensor(b"", "object", (0,)),
    "point cloud": PointCloud(b"1234", 1),
    "mesh vertices": Mesh(b"", 1, b"", 0),
    "mesh faces": Mesh(b"", 0, b"1", 0),
    "run lengths": Mask(2, 2, run_lengths=(1, 2)),
    "negative run lengths": Mask(2, 2, run_lengths=(-1, 5)),
    "mask without pixels": Mask(2, 2),
    "video of both forms": Video(b"GIF", "image/gif", (VideoFrame(Image(b"x"), 0),)),
    "video of neither form": Video(),
    "box from right to left": Boxes((Box(1, 0, 0, 1),)),
    "box from low to high": Boxes((Box(0, 1, 1, 0),)),
}


@pytest.mark.parametrize("part", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_part_that_contradicts_itself_does_not_leave(part: Part) -> None:
    with pytest.raises(InvalidInputError):
        check(part_to_proto(part))


pb = content_pb2
MINUS_1_AND_5 = pb.RunLengths.FromString(b"\x0a\x0b" + b"\xff" * 9 + b"\x01\x05")
"""As only a hostile peer can write it: run lengths have no sign."""
REF = pb.ContentRef(sha256=bytes(32), size_bytes=1)
HOSTILE = {
    "tensor bytes": pb.Part(tensor=pb.Tensor(data_type=pb.DATA_TYPE_FLOAT32, shape=[2, 2], data=b"1234")),
    "tensor without type": pb.Part(tensor=pb.Tensor(shape=[0])),
    "tensor of unknown type": pb.Part(tensor=pb.Tensor(data_type=77, shape=[0])),  # type: ignore[arg-type]  # a newer peer's
    "tensor of 2^64 elements": pb.Part(
        tensor=pb.Tensor(data_type=pb.DATA_TYPE_UINT8, shape=[1 << 26, 1 << 26, 1 << 12], data=b"1")
    ),
    "tensor with an axis of 2^62": pb.Part(tensor=pb.Tensor(data_type=pb.DATA_TYPE_UINT8, shape=[1 << 62])),
    "tensor of nine axes": pb.Part(tensor=pb.Tensor(data_type=pb.DATA_TYPE_UINT8, shape=[1] * 9, data=b"1")),
    "point cloud": pb.Part(point_cloud=pb.PointCloud(point_count=1 << 22, channels=["x", "y", "z"])),
    "mesh": pb.Part(mesh=pb.Mesh(vertex_count=2, vertices=b"1" * 12)),
    "mesh faces": pb.Part(mesh=pb.Mesh(face_count=2, faces=b"1" * 12)),
    "run lengths": pb.Part(mask=pb.Mask(height=2, width=2, run_lengths=pb.RunLengths(counts=[5]))),
    "negative run lengths": pb.Part(mask=pb.Mask(height=2, width=2, run_lengths=MINUS_1_AND_5)),
    "mask of an empty file": pb.Part(mask=pb.Mask(height=2, width=2, png=b"")),
    "mask without pixels": pb.Part(mask=pb.Mask(height=2, width=2)),
    "video of neither form": pb.Part(video=pb.Video()),
    "video of both forms": pb.Part(video=pb.Video(data=b"1", frames=[pb.VideoFrame(image=pb.Image())])),
    "frame without image": pb.Part(video=pb.Video(frames=[pb.VideoFrame()])),
    "box the wrong way round": pb.Part(
        boxes=pb.Boxes(space=pb.BOX_SPACE_UNIT, boxes=[pb.Box(plane=pb.Box2D(x_min=1))])
    ),
    "box without shape": pb.Part(boxes=pb.Boxes(space=pb.BOX_SPACE_UNIT, boxes=[pb.Box()])),
    "cuboid without centre": pb.Part(boxes=pb.Boxes(space=pb.BOX_SPACE_METRE, boxes=[pb.Box(solid=pb.Box3D())])),
    "cuboid with half a rotation": pb.Part(
        boxes=pb.Boxes(
            space=pb.BOX_SPACE_METRE,
            boxes=[pb.Box(solid=pb.Box3D(center=[0, 0, 0], size=[1, 1, 1], rotation=[1, 0]))],
        )
    ),
    "not a number": pb.Part(number=pb.Number(value=float("nan"))),
    "choice of nothing": pb.Part(choice=pb.Choice()),
    "nothing at all": pb.Part(),
    "reference with half a digest": pb.Part(image=pb.Image(), content_ref=pb.ContentRef(sha256=b"1", size_bytes=1)),
    "reference beside data": pb.Part(image=pb.Image(data=b"1"), content_ref=REF),
    "reference that stands for text": pb.Part(text=pb.Text(), content_ref=REF),
    "reference to what is not there": pb.Part(image=pb.Image(), content_ref=REF),
    "reference that stands for nothing": pb.Part(content_ref=REF),
}


def entered(message: content_pb2.Part) -> Part:
    check(message)
    return part_from_proto(message)


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_a_message_that_contradicts_itself_does_not_enter(message: content_pb2.Part) -> None:
    with pytest.raises(InvalidInputError):
        entered(message)


def test_a_violation_names_the_field_and_its_place() -> None:
    call = model_service_pb2.Call(model="m", parts=[pb.Part(text=pb.Text(value="")), pb.Part()])
    with pytest.raises(InvalidInputError, match=r"parts\[1\]\.content: exactly one field is required") as caught:
        check(call)
    assert caught.value.violations[0][0] == "parts[1].content"


def test_of_many_violations_a_few_are_told() -> None:
    with pytest.raises(InvalidInputError, match="and 92 more") as caught:
        check(model_service_pb2.Call(model="m", labels=[""] * 100))
    assert len(caught.value.violations) == 8


def test_a_large_message_full_of_violations_is_refused_at_its_first() -> None:
    tensor = pb.Tensor(data_type=pb.DATA_TYPE_UINT8, shape=[-1] * 100_000)
    with pytest.raises(InvalidInputError) as caught:
        check(pb.Part(tensor=tensor))
    assert len(caught.value.violations) == 1


def test_calls_and_kinds_of_a_newer_peer_are_left_out_of_its_card() -> None:
    support = model_service_pb2.CallSupport(call=1, input_kinds=[1, 99], output_kinds=[98])  # type: ignore[arg-type,list-item]  # a newer peer's
    unknown = model_service_pb2.CallSupport(call=9)  # type: ignore[arg-type]  # a newer peer's
    message = model_service_pb2.Card(name="m", calls=[support, unknown], composition=77)  # type: ignore[arg-type]  # a newer peer's
    card = card_from_proto(message)
    assert card.calls == (CallSupport(Call.COMPREHEND, (Kind.TEXT,), ()),)
    assert card.composition is Composition.UNVERIFIED


def test_an_unknown_reason_to_finish_counts_as_complete() -> None:
    answer = model_service_pb2.Answer(parts=[pb.Part(text=pb.Text(value="yes"))], finish_reason=9)  # type: ignore[arg-type]  # a newer peer's
    message = model_service_pb2.Outcome(answer=answer)
    check(message)
    assert outcome_from_proto(message) == Answer((Text("yes"),), FinishReason.COMPLETE)


def test_an_unknown_kind_of_part_is_refused_by_name() -> None:
    newer = content_pb2.Part.FromString(b"\xfa\x01\x00")
    with pytest.raises(InvalidInputError, match="a kind that this version does not know"):
        part_from_proto(newer)
