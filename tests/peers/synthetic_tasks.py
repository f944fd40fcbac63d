"""Synthetic samples for every task of General-Bench's catalogue, in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from echelon.adapters import (
    Audio,
    Box,
    Box3D,
    Boxes,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.scorer.extract import extractor
from echelon.scorer.general_bench.catalogue import Entry
from echelon.scorer.general_bench.mapping import Labels, reading_of, task_id
from echelon.scorer.suites.suite import Sample, SuiteInfo, Task

Array: TypeAlias = NDArray[Any]

CLASSES = ("background", "road", "car")
WORDS = (
    "the",
    "a",
    "of",
    "red",
    "man",
    "dog",
    "runs",
    "on",
    "grass",
    "with",
    "ball",
    "near",
    "tree",
    "blue",
    "sky",
    "two",
    "people",
    "walk",
    "small",
    "house",
    "river",
)
ANSWERS = ("yes", "no", "two", "left", "a red car", "kitchen", "on the table", "green")
TERMS = (
    "person", "place", "date", "law", "court", "event", "number", "group", "work", "time", "money", "title",
)  # fmt: skip
SNIPPETS = (
    "def add(a, b):\n    return a + b\n",
    "def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return result\n",
    "def first(items):\n    if not items:\n        return None\n    return items[0]\n",
)


@dataclass
class SyntheticSuite:
    """A suite in memory."""

    info: SuiteInfo
    tasks: tuple[Task, ...]
    of: Mapping[str, Sequence[Sample]]

    def samples(self, task: Task, skip: AbstractSet[str] = frozenset()) -> Iterator[Sample]:
        return (sample for sample in self.of[task.id] if sample.id not in skip)

    def sample_ids(self, task: Task) -> tuple[str, ...]:
        return tuple(sample.id for sample in self.of[task.id])


def synthetic_suite(entries: Sequence[Entry], seed: int, count: int) -> SyntheticSuite:
    """A suite of these tasks with `count` samples each."""
    tasks, samples = [], {}
    for entry in entries:
        task = synthetic_task(entry)
        tasks.append(task)
        samples[task.id] = synthetic_samples(task, seed, count)
    digest = hashlib.sha256(f"{seed} {count} {len(entries)}".encode()).hexdigest()
    return SyntheticSuite(SuiteInfo("synthetic", "1", digest), tuple(tasks), samples)


def synthetic_task(entry: Entry) -> Task:
    """The task of an entry, as the folder's loader makes it, with labels for metrics of classes."""
    reading = reading_of(entry)
    if reading.problem:
        reading = reading_of(entry, Labels(CLASSES, 1 / len(CLASSES)))
    assert not reading.problem, (entry.task, reading.problem)
    needs_labels = reading.metric in ("miou", "miou_points", "instance_miou", "pq")
    return Task(
        id=task_id(entry),
        title=entry.task,
        modality=entry.modality,
        paradigm=entry.paradigm,
        skill=entry.skill,
        instruction="{prompt}",
        output=(reading.kind,),
        extractor=reading.extractor,
        metric=reading.metric,
        chance=reading.chance,
        labels=CLASSES if needs_labels else (),
        worst=reading.worst,
    )


def synthetic_samples(task: Task, seed: int, count: int) -> list[Sample]:
    """Samples whose references are spread as real ones are: some answers are common, and pictures have a middle."""
    digest = hashlib.sha256(f"{seed} {task.id}".encode()).digest()
    noise = np.random.default_rng(int.from_bytes(digest, "big"))
    make = _maker(task)
    made = [make(noise, number) for number in range(count)]
    return [
        Sample(f"{number:03}", f"Do it, {number}.", parts, references, f"c{number:03}")
        for number, (parts, references) in enumerate(made)
    ]


Made = tuple[tuple[Part, ...], tuple[Part, ...]]
Maker = Callable[[np.random.Generator, int], Made]


def _maker(task: Task) -> Maker:
    kind, name = extractor(task.extractor).kind, task.metric
    if name in _BY_METRIC:
        return _BY_METRIC[name]
    return _BY_KIND[kind]


def _scene(noise: np.random.Generator, height: int = 16, width: int = 16) -> Array:
    """Bright in the middle, with a patch somewhere: what pictures have in common, and what not."""
    rows, columns = np.mgrid[:height, :width]
    base = 160 - 60 * np.hypot(rows / height - 0.5, columns / width - 0.5)
    pixels = np.repeat(base[..., None], 3, axis=2) + noise.normal(0, 12, 3)
    top, left = noise.integers(0, height // 2), noise.integers(0, width // 2)
    pixels[top : top + height // 3, left : left + width // 3] += noise.normal(0, 60, 3)
    return np.asarray(np.clip(pixels, 0, 255), np.uint8)


def _blob(noise: np.random.Generator, height: int = 16, width: int = 16) -> Array:
    rows, columns = np.mgrid[:height, :width]
    y, x = noise.normal(height / 2, height / 6), noise.normal(width / 2, width / 6)
    return np.asarray(np.hypot(rows - y, columns - x) < noise.uniform(2, height / 3))


def _sentence(noise: np.random.Generator) -> str:
    weights = 1 / np.arange(1, len(WORDS) + 1)
    return " ".join(noise.choice(WORDS, int(noise.integers(4, 14)), p=weights / weights.sum()))


def _skewed(noise: np.random.Generator, options: Sequence[str]) -> str:
    weights = 0.6 ** np.arange(len(options))
    return str(noise.choice(options, p=weights / weights.sum()))


def _asked(noise: np.random.Generator) -> tuple[Part, ...]:
    return Text(_sentence(noise), name="prompt"), Image.from_array(_scene(noise))


def _label(noise: np.random.Generator, number: int) -> Made:
    return _asked(noise), (Choice.of(_skewed(noise, TERMS[:5])),)


def _set(noise: np.random.Generator, number: int) -> Made:
    found = dict.fromkeys(_skewed(noise, TERMS) for _ in range(int(noise.integers(1, 5))))
    return _asked(noise), (Choice.of(*found),)


def _text(noise: np.random.Generator, number: int) -> Made:
    return _asked(noise), (Text(_sentence(noise)),)


def _short(noise: np.random.Generator, number: int) -> Made:
    return _asked(noise), (Text(_skewed(noise, ANSWERS)),)


def _code(noise: np.random.Generator, number: int) -> Made:
    body = _skewed(noise, SNIPPETS).replace("result", f"result_{number % 7}").replace("def ", f"def f{number % 5}_")
    return (Text(_sentence(noise), name="goal"),), (Text(body),)


def _number(noise: np.random.Generator, number: int) -> Made:
    return _asked(noise), (Number(float(round(noise.lognormal(4, 0.7)))),)


def _restored(noise: np.random.Generator, number: int, size: int = 16) -> Made:
    pixels = _scene(noise, size, size)
    spoilt = np.clip(pixels + noise.normal(0, 40, pixels.shape), 0, 255).astype(np.uint8)
    return (Image.from_array(spoilt),), (Image.from_array(pixels),)


def _large(noise: np.random.Generator, number: int) -> Made:
    return _restored(noise, number, 176)


def _matte(noise: np.random.Generator, number: int) -> Made:
    return (Image.from_array(_scene(noise)),), (Image.from_array((255 * _blob(noise)).astype(np.uint8)),)


def _video(noise: np.random.Generator, number: int) -> Made:
    frames = np.stack([_scene(noise)] * 3)
    frames = np.clip(frames + noise.normal(0, 5, frames.shape), 0, 255).astype(np.uint8)
    spoilt = np.clip(frames + noise.normal(0, 40, frames.shape), 0, 255).astype(np.uint8)
    parts = Text(_sentence(noise)), Video.from_array(spoilt, frames_per_second=8)
    return parts, (Video.from_array(frames, frames_per_second=8),)


def _salient(noise: np.random.Generator, number: int) -> Made:
    maps = np.stack([255 * _blob(noise)] * 2).astype(np.uint8)
    return (_video(noise, number)[0][1],), (Video.from_array(maps, frames_per_second=8),)


def _sound(noise: np.random.Generator, number: int) -> Made:
    time = np.arange(2048) / 8000
    clean = 0.3 * np.sin(2 * np.pi * noise.uniform(200, 800) * time)
    spoilt = np.clip(clean + noise.normal(0, 0.1, clean.shape), -1, 1)
    return (Text(_sentence(noise)), Audio.from_array(spoilt, 8000)), (Audio.from_array(clean, 8000),)


def _prompted(make: Maker) -> Maker:
    """The same input, with the prompt as reference."""

    def made(noise: np.random.Generator, number: int) -> Made:
        parts, _ = make(noise, number)
        return parts, (Text(_sentence(noise)),)

    return made


def _read_as(make: Maker, read: Callable[[np.random.Generator], Part]) -> Maker:
    def made(noise: np.random.Generator, number: int) -> Made:
        return make(noise, number)[0], (read(noise),)

    return made


def _series(noise: np.random.Generator) -> Part:
    return Tensor.from_array(np.cumsum(noise.normal(0.2, 1, 16)))


def _shape(noise: np.random.Generator, number: int) -> Made:
    points = noise.normal(size=(64, 3))
    points = points / np.linalg.norm(points, axis=1, keepdims=True) * noise.uniform(0.6, 1.4, 3)
    part = points[points[:, 0] > 0]
    return (PointCloud.from_array(part),), (PointCloud.from_array(points),)


def _mask(noise: np.random.Generator, number: int) -> Made:
    values = _blob(noise).astype(np.uint8) + (np.arange(16)[:, None] > noise.integers(10, 15)).astype(np.uint8)
    return (Image.from_array(_scene(noise)),), (Mask.from_array(values),)


def _boxes(noise: np.random.Generator, number: int) -> Made:
    found = []
    for _ in range(int(noise.integers(1, 5))):
        x, y = noise.normal(32, 10), noise.normal(24, 8)
        width, height = noise.uniform(10, 30, 2)
        corners = (float(x - width / 2), float(y - height / 2), float(x + width / 2), float(y + height / 2))
        found.append(Box(*corners, label=_skewed(noise, TERMS[:3])))
    return (Image.from_array(_scene(noise, 48, 64)),), (Boxes(tuple(found)),)


def _tube(noise: np.random.Generator, number: int) -> Made:
    x, y = noise.normal(32, 8), noise.normal(24, 6)
    drift, size = noise.normal(0, 2, 2), noise.uniform(10, 24, 2)
    found = []
    for frame in range(8):
        left, top = float(x + drift[0] * frame), float(y + drift[1] * frame)
        found.append(Box(left, top, left + float(size[0]), top + float(size[1]), frame_index=frame))
    video = Video.from_array(np.stack([_scene(noise, 48, 64)] * 8), frames_per_second=8)
    return (Text(_sentence(noise)), video), (Boxes(tuple(found)),)


def _cuboids(noise: np.random.Generator, number: int) -> Made:
    found = []
    for track in range(int(noise.integers(1, 4))):
        x, y = noise.normal(0, 3, 2)
        length, width, height = map(float, noise.uniform(1.5, 2.5, 3))
        for frame in range(2):
            center = (float(x) + 0.3 * frame, float(y), 0.0)
            label = _skewed(noise, ("car", "bus"))
            turn = (0.0, 0.0, 0.0, 1.0)
            size = (length, width, height)
            found.append(Box3D(center, size, turn, label, track_id=track + 1, frame_index=frame))
    return (_shape(noise, number)[0][0],), (Boxes(tuple(found)),)


def _still_cuboids(noise: np.random.Generator, number: int) -> Made:
    parts, (reference,) = _cuboids(noise, number)
    assert isinstance(reference, Boxes)
    return parts, (Boxes(tuple(box for box in reference.boxes if box.frame_index == 0)),)


def _tensor(values: Callable[[np.random.Generator], Array]) -> Maker:
    return lambda noise, number: ((Image.from_array(_scene(noise)),), (Tensor.from_array(values(noise)),))


def _flow(noise: np.random.Generator) -> Array:
    return (noise.normal(1, 2, 2) + noise.normal(0, 0.5, (6, 8, 2))).astype(np.float32)


def _depth(noise: np.random.Generator) -> Array:
    return (np.linspace(20, 3, 8)[:, None] * noise.lognormal(0, 0.3) + noise.uniform(0, 1, (8, 8))).astype(np.float32)


def _normals(noise: np.random.Generator) -> Array:
    vectors = np.array([0, 0.3, 1]) + noise.normal(0, 0.4, (6, 6, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _objects(noise: np.random.Generator) -> Array:
    return np.stack([_blob(noise)] * 3).astype(np.uint8)


def _point_classes(noise: np.random.Generator) -> Array:
    return noise.choice(3, 64, p=[0.6, 0.3, 0.1]).astype(np.int64)


def _panoptic(noise: np.random.Generator) -> Array:
    things = _blob(noise, 8, 8).astype(np.int64)
    return np.stack([things * int(noise.integers(1, 3)), things], axis=-1)


def _way(noise: np.random.Generator) -> Array:
    poses = np.tile(np.eye(4), (12, 1, 1))
    steps = np.array([0.2, 0, 8]) + noise.normal(0, 2, (12, 3))
    poses[:, :3, 3] = np.cumsum(steps, axis=0)
    return poses


def _anomaly(noise: np.random.Generator, number: int) -> Made:
    return (Image.from_array(_scene(noise)),), (Mask.from_array(_blob(noise).astype(np.uint8)),)


def _items(noise: np.random.Generator, number: int) -> Made:
    found = list(dict.fromkeys(_skewed(noise, TERMS) for _ in range(int(noise.integers(1, 5)))))
    return _asked(noise), (Json(json.dumps(found)),)


def _triplets(noise: np.random.Generator, number: int) -> Made:
    found = [
        {"subject": _skewed(noise, ("man", "dog", "car")), "predicate": _skewed(noise, ("on", "near")),
         "object": _skewed(noise, ("road", "grass", "house"))}
        for _ in range(int(noise.integers(1, 5)))
    ]  # fmt: skip
    return (Image.from_array(_scene(noise)),), (Json(json.dumps(found)),)


def _instances(noise: np.random.Generator, number: int) -> Made:
    mask = _blob(noise).T.reshape(-1)
    turns = np.flatnonzero(np.diff(mask.astype(np.int8))) + 1
    ends = [0, *turns.tolist(), mask.size]
    counts = [b - a for a, b in pairwise(ends)]
    counts = [0, *counts] if mask[0] else counts
    found = [{"category_id": 1, "segmentation": {"size": [16, 16], "counts": counts}}]
    return (Image.from_array(_scene(noise)),), (Json(json.dumps(found)),)


def _keypoints(noise: np.random.Generator, number: int) -> Made:
    at, scale = noise.normal(30, 6, 2), noise.uniform(8, 16)
    pose = np.stack([np.linspace(-1, 1, 17), np.linspace(-1, 1, 17) ** 2], axis=1)
    places = at + scale * pose + noise.normal(0, 1, (17, 2))
    numbers = np.column_stack([places, np.full(17, 2)]).reshape(-1).tolist()
    found = [{"category_id": 1, "keypoints": numbers, "area": float(scale**2)}]
    return (Image.from_array(_scene(noise)),), (Json(json.dumps(found)),)


_BY_KIND: Mapping[Kind, Maker] = {
    Kind.CHOICE: _label,
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.IMAGE: _restored,
    Kind.VIDEO: _video,
    Kind.AUDIO: _sound,
    Kind.POINT_CLOUD: _shape,
    Kind.BOXES: _boxes,
    Kind.MASK: _mask,
}
_BY_METRIC: Mapping[str, Maker] = {
    "micro_f1": _set,
    "exact_match": _short,
    "accuracy_contains": _short,
    "anls": _short,
    "token_f1": _short,
    "codebleu": _code,
    "ms_ssim": _large,
    "mse": _matte,
    "sad": _matte,
    "auc": _matte,
    "s_measure": _salient,
    "accuracy_read": _read_as(_restored, lambda noise: Choice.of(_skewed(noise, ("cat", "dog", "bird")))),
    "e_accuracy_read": _read_as(_sound, lambda noise: Choice.of(_skewed(noise, ("cat", "dog", "bird")))),
    "wer_speech": _read_as(_sound, lambda noise: Text(_sentence(noise))),
    "cider_speech": _read_as(_sound, lambda noise: Text(_sentence(noise))),
    "pcc_read": _read_as(_sound, _series),
    "clip_score": _prompted(_shape),
    "clap": _prompted(_sound),
    "style_clap": _prompted(_sound),
    "mos": _prompted(_sound),
    "success_auc": _tube,
    "m_viou": _tube,
    "amota": _cuboids,
    "map_nuscenes": _still_cuboids,
    "map_scannet": _still_cuboids,
    "epe": _tensor(_flow),
    "abs_rel": _tensor(_depth),
    "rms": _tensor(_depth),
    "rmse_normals": _tensor(_normals),
    "miou_video": _tensor(_objects),
    "miou_points": _tensor(_point_classes),
    "instance_miou": _tensor(_point_classes),
    "pq": _tensor(_panoptic),
    "rte": _tensor(_way),
    "ap_anomaly": _anomaly,
    "span_f1": _items,
    "recall_at_50": _triplets,
    "ap50_masks": _instances,
    "ap50_keypoints": _keypoints,
    "frame_accuracy": _read_as(
        _video, lambda noise: Json(json.dumps({"target": _sentence(noise), "source": _sentence(noise)}))
    ),
    **dict.fromkeys(
        ("i2v", "success_rate", "musiq", "aesthetic", "optical_flow", "preference_rate"), _prompted(_video)
    ),
}


def kinds(entries: Sequence[Entry]) -> list[Entry]:
    """One entry for each metric and kind of answer, the first one."""
    found: dict[tuple[str, Kind], Entry] = {}
    for entry in entries:
        task = synthetic_task(entry)
        found.setdefault((task.metric, extractor(task.extractor).kind), entry)
    return list(found.values())
