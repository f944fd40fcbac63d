"""Values that several libraries agree on, for metrics of masks, pixels, fields, points and features."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from echelon.adapters import Image, Mask, Number, Part, PointCloud, Tensor
from echelon.scorer.instruments import Entry, Instruments, Listing
from echelon.scorer.metrics.registry import metric

GIVEN = Entry("given", {"name": "net", "digest": "1234"})
INSTRUMENTS = Instruments(Listing({"clip": GIVEN, "inception": GIVEN}))


@dataclass(frozen=True)
class Golden:
    """What a metric has to give; `entry` is the value's name in the shared file, empty where it is not there."""

    entry: str
    metric: str
    predictions: Sequence[Part]
    references: Sequence[Part]
    value: float
    tolerance: float = 1e-12
    """Of the metric, absolute."""
    agreement: float = 1e-6
    """Of the libraries among each other, absolute."""
    labels: tuple[str, ...] = ()


def waves(size: int, *, grey: bool = False) -> tuple[list[Part], list[Part]]:
    """An image with noise, and without."""
    row, column, channel = np.indices((size, size, 1 if grey else 3))
    clean = np.round(127.5 + 60 * np.sin(row / 9 + channel) + 60 * np.cos(column / 13)).astype(np.uint8)
    noise = np.arange(clean.size).reshape(clean.shape) * 7919 % 41 - 20
    noisy = np.clip(clean + noise, 0, 255).astype(np.uint8)
    plain = [each[..., 0] if grey else each for each in (noisy, clean)]
    return images(plain[0]), images(plain[1])


def images(*pixels: np.ndarray) -> list[Part]:
    return [Image.from_array(each) for each in pixels]


def tensors(*values: object) -> list[Part]:
    return [Tensor.from_array(np.array(each)) for each in values]


NOISY, CLEAN = waves(64)
NOISY_GREY, CLEAN_GREY = waves(192, grey=True)
CLASSES = np.array([[0] * 4 + [1] * 4] * 3 + [[1] * 4 + [2] * 4] * 3 + [[2] * 4 + [3] * 4] * 2)
SHIFTED = np.c_[CLASSES[:, 1:], (CLASSES[:, -1] + 1) % 4]
TRUE_CLASSES = CLASSES.copy()
TRUE_CLASSES[0, 0] = 3
# One object, and the same one a column to the left.
OBJECT = np.kron([[0, 1], [1, 0], [0, 0]], np.ones((3, 4), int))[:8]
MOVED = np.c_[OBJECT[:, 1:], np.zeros((8, 1), int)]

INDEX = np.arange(50)
CLOUD = np.stack([np.sin(1.1 * INDEX), np.cos(0.7 * INDEX), INDEX / 50], axis=1)
OTHER_CLOUD = CLOUD[::-1] * 1.02 + 0.01

SALIENT = np.zeros((32, 32), np.uint8)
SALIENT[8:20, 10:26] = 255
GUESS = np.zeros((32, 32), np.uint8)
GUESS[9:22, 9:25] = 230
GUESS[:3, :3] = 60


def features(shift: int) -> list[Part]:
    at, dimension = np.indices((64, 8))
    return tensors(*(np.sin(12.9898 * at + 78.233 * dimension + shift) * 0.5 + 0.05 * shift * np.cos(dimension)))


GOLDEN = [
    Golden("psnr", "psnr", NOISY, CLEAN, 26.7084787852179, agreement=1e-4),
    Golden("image_rmse", "rmse_image", NOISY, CLEAN, 11.7792120805928),
    Golden("", "ssim", NOISY, CLEAN, 0.576259, tolerance=1e-6),
    Golden("", "ms_ssim", NOISY_GREY, CLEAN_GREY, 0.93691, tolerance=6e-6),
    Golden(
        "miou_corpus",
        "miou",
        [Mask.from_array(SHIFTED)],
        [Mask.from_array(TRUE_CLASSES)],
        0.5608974358974359,
        labels=("a", "b", "c", "d"),
    ),
    Golden(
        "miou_corpus",
        "miou_points",
        tensors(SHIFTED.ravel()),
        tensors(TRUE_CLASSES.ravel()),
        0.5608974358974359,
        labels=("a", "b", "c", "d"),
    ),
    Golden("dice_binary", "dice", [Mask.from_array(MOVED)], [Mask.from_array(OBJECT)], 0.8),
    Golden("iou_video_volume", "miou_video", tensors(MOVED[None]), tensors(OBJECT[None]), 2 / 3),
    Golden("s_measure", "s_measure", images(GUESS), images(SALIENT), 0.8170743432947207),
    Golden("s_measure", "s_measure_official", images(GUESS), images(SALIENT), 0.8242865931242704, tolerance=1e-7),
    Golden(
        "average_precision",
        "ap_anomaly",
        [Number(score) for score in (0.1, 0.4, 0.35, 0.8, 0.65, 0.2, 0.9, 0.5)],
        [Number(label) for label in (0, 0, 1, 1, 1, 0, 1, 0)],
        0.9166666666666666,
    ),
    Golden(
        "",
        "auc",
        [Number(score) for score in (0.1, 0.4, 0.35, 0.8, 0.65, 0.2, 0.9, 0.5)],
        [Number(label) for label in (0, 0, 1, 1, 1, 0, 1, 0)],
        0.875,
    ),
    Golden("abs_rel", "abs_rel", tensors([1.1, 1.8, 4.4, 7.0]), tensors([1.0, 2.0, 4.0, 8.0]), 0.10625),
    Golden(
        "chamfer_l1",
        "chamfer",
        [PointCloud.from_array(CLOUD)],
        [PointCloud.from_array(OTHER_CLOUD)],
        0.06234673025490468,
        tolerance=1e-7,  # points are float32
    ),
    Golden(
        "chamfer_l2sq",
        "chamfer_squared",
        [PointCloud.from_array(CLOUD)],
        [PointCloud.from_array(OTHER_CLOUD)],
        0.0020745589940793833,
        tolerance=1e-8,
    ),
    Golden(
        "embedding_cosine_score",
        "clip_score",
        tensors([1.0, 2.0, 3.0], [0.0, 1.0, 0.0]),
        tensors([2.0, 1.0, 0.0], [0.0, 2.0, 1.0]),
        0.6862593173668367,
    ),
    # Six of the eight dimensions are empty: square roots of rounding errors make the libraries differ.
    Golden("frechet_distance", "fid", features(0), features(3), 0.10119353822734833, tolerance=5e-8),
]


def score(golden: Golden) -> float:
    of = metric(golden.metric, worst=100.0, labels=golden.labels, instruments=INSTRUMENTS)
    pairs = zip(golden.predictions, golden.references, strict=True)
    return of.finish([of.sample(prediction, [reference]) for prediction, reference in pairs])


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.metric)
def test_a_metric_has_the_agreed_value(golden: Golden) -> None:
    assert score(golden) == pytest.approx(golden.value, abs=golden.tolerance)


def shared_values() -> dict[str, dict[str, float]]:
    """The values of the shared file by entry and library; none where the file is not at hand."""
    folder = os.environ.get("ECHELON_GENERAL_BENCH")
    if folder is None:
        return {}
    entries = json.loads((Path(folder) / "metric-golden.json").read_text())
    return {name: entry["values"] for name, entry in entries.items() if "values" in entry}


def test_the_agreed_values_are_those_of_the_shared_file() -> None:
    shared = shared_values()
    assert [each.entry for each in GOLDEN if each.entry in shared and not agrees(each, shared[each.entry])] == []


def agrees(golden: Golden, values: dict[str, float]) -> bool:
    per = 100 if golden.metric == "clip_score" else 1
    return any(score(golden) == pytest.approx(value / per, abs=golden.agreement) for value in values.values())
