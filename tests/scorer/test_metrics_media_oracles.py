"""Metrics of media against other libraries, closed formulas, and what their definitions promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm
from skimage import metrics as skimage_metrics
from sklearn.metrics import f1_score, jaccard_score

from echelon.adapters import Audio, Choice, Image, Mask, Mesh, Part, PointCloud, Tensor, Text, Video
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.frechet import FEW, frechet
from echelon.scorer.metrics.metric import InvalidAnswer, Metric
from echelon.scorer.metrics.registry import metric

SCIKIT_IMAGE: Any = skimage_metrics
LABELS = ("a", "b", "c")


def built(name: str) -> Metric:
    return metric(name, worst=1000.0, labels=LABELS)


def score(name: str, predictions: Sequence[Part], references: Sequence[Part]) -> float:
    of = built(name)
    pairs = zip(predictions, references, strict=True)
    return of.finish([of.sample(prediction, [reference]) for prediction, reference in pairs])


def tensor(values: object) -> Tensor:
    return Tensor.from_array(np.array(values))


def random() -> np.random.Generator:
    return np.random.default_rng(11)


def pictures(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and the same with other noise."""
    draw = random()
    one = draw.integers(0, 256, shape)
    return np.clip(one + draw.integers(-60, 60, shape), 0, 255).astype(np.uint8), one.astype(np.uint8)


@pytest.mark.parametrize("shape", [(7, 9), (64, 65, 3), (600, 700, 3)])
def test_psnr_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    given, wanted = pictures(*shape)
    found = score("psnr", [Image.from_array(given)], [Image.from_array(wanted)])
    assert found == pytest.approx(SCIKIT_IMAGE.peak_signal_noise_ratio(wanted, given), rel=1e-13)


@pytest.mark.parametrize("shape", [(40, 31), (40, 31, 3)])
def test_ssim_is_that_of_scikit_image(shape: tuple[int, ...]) -> None:
    given, wanted = pictures(*shape)
    expected = SCIKIT_IMAGE.structural_similarity(
        given,
        wanted,
        channel_axis=-1 if len(shape) == 3 else None,
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=255,
    )
    found = score("ssim", [Image.from_array(given)], [Image.from_array(wanted)])
    assert found == pytest.approx(expected, abs=1e-12)


def test_ms_ssim_needs_room_for_five_scales() -> None:
    small = Image.from_array(np.zeros((175, 400), np.uint8))
    with pytest.raises(InvalidSuiteError, match="at least 176 pixels"):
        score("ms_ssim", [Image.from_array(np.zeros((176, 400), np.uint8))], [small])


def test_the_official_psnr_of_videos_leaves_identical_frames_out() -> None:
    given, wanted = pictures(3, 20, 20, 3)
    given[1] = wanted[1]
    found = score(
        "psnr_video_official",
        [Video.from_array(given, frames_per_second=5)],
        [Video.from_array(wanted, frames_per_second=5)],
    )
    assert found == pytest.approx(
        np.mean([SCIKIT_IMAGE.peak_signal_noise_ratio(wanted[at], given[at]) for at in (0, 2)])
    )
    of = built("psnr_video_official")
    assert of.finish([of.worst([Video.from_array(wanted, frames_per_second=5)])]) == 0


def test_mattes_are_compared_in_thousands() -> None:
    given, wanted = pictures(30, 40)
    both = [Image.from_array(given)], [Image.from_array(wanted)]
    apart = (given.astype(float) - wanted) / 255
    assert score("sad", *both) == pytest.approx(np.abs(apart).sum() / 1000)
    assert score("mse", *both) == pytest.approx(1000 * (apart**2).mean())
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[0, 0, 0] = 1
    with pytest.raises(InvalidAnswer, match="grey image"):
        score("sad", [Image.from_array(colours)], both[1])


# By pysodmetrics 1.6.2.
@pytest.mark.parametrize(
    ("at", "expected"), [(0, 0.9402021529547089), (1, 0.9242874826564267), (2, 0.9347859197876793)]
)
def test_s_measure_is_that_of_pysodmetrics(at: int, expected: float) -> None:
    draw = np.random.default_rng(5)
    for k in range(at + 1):
        wanted = np.zeros((24, 31), np.uint8)
        wanted[3 + k : 15 + 2 * k, 5 : 20 + k] = 255
        given = np.clip(wanted * draw.uniform(0.4, 1) + draw.normal(0, 40, wanted.shape), 0, 255).astype(np.uint8)
    assert score("s_measure", [Image.from_array(given)], [Image.from_array(wanted)]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["s_measure", "s_measure_official"])
def test_a_video_counts_all_its_frames(name: str) -> None:
    given, wanted = pictures(2, 8, 9)
    wanted = np.where(wanted > 128, 255, 0).astype(np.uint8)
    wanted[1] = 0
    whole = score(name, [Video.from_array(given, frames_per_second=5)], [Video.from_array(wanted, frames_per_second=5)])
    frames = [score(name, [Image.from_array(a)], [Image.from_array(b)]) for a, b in zip(given, wanted, strict=True)]
    assert whole == pytest.approx(np.mean(frames))


def test_dice_is_the_f1_of_pixels() -> None:
    given, wanted = random().integers(0, 3, (2, 4, 6, 7))
    found = score("dice", [Mask.from_array(each) for each in given], [Mask.from_array(each) for each in wanted])
    assert found == pytest.approx(f1_score((wanted > 0).ravel(), (given > 0).ravel()))


def test_miou_of_videos_is_the_mean_over_objects() -> None:
    given, wanted = random().integers(0, 3, (2, 4, 6, 7))
    nothing = np.zeros((4, 6, 7), int)
    found = score("miou_video", [tensor(given), tensor(nothing)], [tensor(wanted), tensor(nothing)])
    overlaps = jaccard_score(wanted.ravel(), given.ravel(), labels=[1, 2], average=None)
    assert found == pytest.approx((sum(overlaps) + 1) / 3)


def test_an_object_that_is_not_there_costs_where_nothing_is() -> None:
    assert score("miou_video", [tensor(np.ones((1, 2, 2), int))], [tensor(np.zeros((1, 2, 2), int))]) == 0


def test_instance_miou_counts_a_part_in_neither_as_right() -> None:
    found = score("instance_miou", [tensor([0, 0, 1, 1])], [tensor([0, 1, 1, 1])])
    assert found == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)


def plain_pq(given: np.ndarray, wanted: np.ndarray) -> float:
    """Panoptic quality segment by segment, as its definition reads."""
    qualities = []
    for label in range(len(LABELS)):
        ours, theirs = (
            [(part[..., 0] == label) & (part[..., 1] == segment) for segment in np.unique(part[..., 1])]
            for part in (given, wanted)
        )
        known = (wanted[..., 0] >= 0) & (wanted[..., 0] < len(LABELS))
        theirs = [segment for segment in theirs if segment.any()]
        ours = [segment for segment in ours if segment.any() and 2 * (segment & ~known).sum() <= segment.sum()]
        overlaps = [(a & b).sum() / ((a & known) | b).sum() for a in ours for b in theirs]
        hits = [overlap for overlap in overlaps if overlap > 0.5]
        if ours or theirs:
            qualities.append(sum(hits) / (len(ours) / 2 + len(theirs) / 2))
    return float(np.mean(qualities))


@pytest.mark.parametrize("seed", range(5))
def test_pq_is_what_its_definition_says(seed: int) -> None:
    draw = np.random.default_rng(seed)
    wanted = np.kron(draw.integers(0, 4, (4, 5, 2)), np.ones((4, 4, 1), int))
    given = np.roll(wanted, 1, axis=seed % 2)
    assert score("pq", [tensor(given)], [tensor(wanted)]) == pytest.approx(plain_pq(given, wanted))


def test_depth_is_relative_and_the_official_one_is_aligned() -> None:
    wanted = random().uniform(1, 20, (3, 5, 6))
    given = wanted / 3 + 0.25
    assert score("abs_rel", [tensor(given)], [tensor(wanted)]) == pytest.approx(
        (np.abs(given - wanted) / wanted).mean()
    )
    assert score("abs_rel_official", [tensor(given)], [tensor(wanted)]) == pytest.approx(0, abs=1e-12)
    unknown = wanted.copy()
    unknown[0] = 0
    unknown[1] = np.nan
    assert score("abs_rel", [tensor(given)], [tensor(unknown)]) == pytest.approx(
        (np.abs(given - wanted) / wanted)[2].mean()
    )


def test_flow_is_as_far_off_as_its_vectors_on_average() -> None:
    wanted = random().normal(size=(4, 5, 2))
    given = wanted + np.array([3, 4])
    wanted[0, 0] = np.nan
    assert score("epe", [tensor(np.nan_to_num(given))], [tensor(wanted)]) == pytest.approx(5)


def test_normals_are_off_by_an_angle() -> None:
    angle = np.radians(7)
    given = [[0, 3 * np.sin(angle), 3 * np.cos(angle)], [0, 0, 1], [np.sin(angle), 0, np.cos(angle)]]
    assert score("rmse_normals", [tensor(given)], [tensor([[0, 0, 2.0]] * 3)]) == pytest.approx(7 * np.sqrt(2 / 3))


@pytest.mark.parametrize("name", ["rmse_tensor", "rms"])
def test_rmse_of_tensors_is_the_mean_of_the_samples(name: str) -> None:
    found = score(name, [tensor([0.0, 0.0]), tensor([1.0, 1.0])], [tensor([3.0, 4.0]), tensor([np.nan, 3.0])])
    assert found == pytest.approx((np.sqrt(12.5) + 2) / 2)


POINT = PointCloud.from_array(np.ones((1, 3)))
ONE_FRAME = Video.from_array(np.zeros((1, 2, 2), np.uint8), frames_per_second=5)


def mesh(*face: int) -> Mesh:
    """One face of three vertices."""
    return Mesh.from_array(np.eye(3), np.array([face]))


@pytest.mark.parametrize(
    ("name", "prediction", "reference", "error", "reason"),
    [
        ("epe", tensor([[1.0, np.nan]]), tensor([[1.0, 2.0]]), InvalidAnswer, "finite"),
        ("epe", tensor([[1.0]]), tensor([[1.0, 2.0]]), InvalidAnswer, "shape"),
        ("epe", tensor([[1.0]]), tensor([[1.0]]), InvalidSuiteError, "2 numbers along its last axis"),
        ("abs_rel", tensor([1.0]), tensor([0.0]), InvalidSuiteError, "not one of its elements is known"),
        ("rmse_normals", tensor([[0.0, 0, 0]]), tensor([[0.0, 0, 1]]), InvalidAnswer, "length 0"),
        ("miou_points", tensor([0.5]), tensor([0]), InvalidAnswer, "whole numbers with 1 dimensions"),
        ("miou_video", tensor([0]), tensor([[[0]]]), InvalidAnswer, "whole numbers with 3 dimensions"),
        ("pq", tensor([[[0]]]), tensor([[[0, 1]]]), InvalidAnswer, "a class and a segment"),
        ("chamfer_surface", mesh(0, 0, 0), POINT, InvalidAnswer, "area is not 0"),
        ("chamfer_surface", mesh(0, 1, 3), POINT, InvalidAnswer, "faces that name its vertices"),
        ("mcd", Audio.from_array(np.zeros(0), 8000), Audio.from_array(np.zeros(9), 8000), InvalidAnswer, "empty"),
        ("flicker_l1", ONE_FRAME, Text(""), InvalidAnswer, "cannot flicker"),
    ],
)
def test_what_cannot_be_measured_says_why(
    name: str, prediction: Part, reference: Part, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        score(name, [prediction], [reference])


def square(height: float) -> Mesh:
    corners = np.array([[0, 0, height], [1, 0, height], [1, 1, height], [0, 1, height]])
    return Mesh.from_array(corners, np.array([[0, 1, 2], [0, 2, 3]]))


def test_surfaces_are_compared_by_points_that_cover_them_evenly() -> None:
    # The same places on both, exactly one above the other.
    assert score("chamfer_surface", [square(0.0)], [square(0.5)]) == pytest.approx(1)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 128), np.linspace(0, 1, 128), [0.0]), axis=-1).reshape(-1, 3)
    assert score("chamfer_surface", [square(0.0)], [PointCloud.from_array(grid)]) < 0.01


def test_flicker_is_the_mean_step_between_frames() -> None:
    frames = np.stack([np.full((4, 5), level, np.uint8) for level in (0, 51, 51)])
    assert score("flicker_l1", [Video.from_array(frames, frames_per_second=5)], [Text("")]) == pytest.approx(0.9)


def voice(first: float, second: float) -> np.ndarray:
    """A hum with two formants."""
    at, draw = np.arange(11_025) / 22_050, random()
    tones = sum(
        np.sin(2 * np.pi * 110 * k * at + draw.uniform(0, 6))
        / (1 + min(abs(110 * k - f) for f in (first, second)) / 90)
        for k in range(1, 60)
    )
    return np.asarray(0.2 * tones / np.abs(tones).max() + draw.normal(0, 1e-3, len(at)))


def recursive_mcd(given: np.ndarray, wanted: np.ndarray, alpha: float = 0.65, order: int = 13) -> float:
    """The mean distance of mel cepstra that Oppenheim's recursion warps, coefficient by coefficient."""

    def cepstra(sound: np.ndarray) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(sound, 1024)[::110] * np.hanning(1024)
        plain = np.fft.irfft(np.log(np.abs(np.fft.rfft(frames)) + 1e-9))[:, :512]
        plain[:, 1:] *= 2
        warped = np.zeros((len(plain), order + 1))
        for value in plain.T[::-1]:
            before = warped.copy()
            warped[:, 0] = value + alpha * before[:, 0]
            warped[:, 1] = (1 - alpha**2) * before[:, 0] + alpha * before[:, 1]
            for m in range(2, order + 1):
                warped[:, m] = before[:, m - 1] + alpha * (before[:, m] - warped[:, m - 1])
        return warped[:, 1:]

    apart = cepstra(given) - cepstra(wanted)
    return float(10 / np.log(10) * np.sqrt(2 * (apart**2).sum(axis=1)).mean())


def test_mel_cepstra_are_warped_as_by_the_classical_recursion() -> None:
    one, other = voice(700, 1200), voice(300, 2300)
    found = score("mcd", [Audio.from_array(one, 22_050)], [Audio.from_array(other, 22_050)])
    assert found == pytest.approx(recursive_mcd(one, other), rel=0.02)
    assert found > 3


def test_loudness_is_no_distortion() -> None:
    sound = voice(700, 1200)
    assert score("mcd", [Audio.from_array(sound / 2, 22_050)], [Audio.from_array(sound, 22_050)]) < 0.1


@pytest.mark.parametrize("shape", [(40, 6), (5, 8), (FEW + 150, FEW + 40)])
def test_the_frechet_distance_is_that_of_the_matrix_root(shape: tuple[int, int]) -> None:
    draw = random()
    given, wanted = draw.normal(size=shape), draw.normal(0.3, 1.2, (shape[0] + 3, shape[1]))
    ours, theirs = np.cov(given, rowvar=False), np.cov(wanted, rowvar=False)
    apart = given.mean(axis=0) - wanted.mean(axis=0)
    if shape[0] > shape[1]:
        middle = np.trace(sqrtm(ours @ theirs).real)
    else:  # eigenvalues serve where the product has no root
        middle = np.sqrt(np.clip(np.linalg.eigvals(ours @ theirs).real, 0, None)).sum()
    expected = apart @ apart + np.trace(ours) + np.trace(theirs) - 2 * middle
    assert frechet(given, wanted) == pytest.approx(expected, rel=1e-5)


def test_a_constant_feature_changes_nothing_among_many() -> None:
    draw = random()
    given, wanted = draw.normal(size=(2, FEW + 60, FEW + 1))
    assert frechet(np.c_[given, np.ones(len(given))], np.c_[wanted, np.ones(len(wanted))]) == pytest.approx(
        frechet(given, wanted), rel=1e-6
    )


@pytest.mark.parametrize("name", ["miou_points", "pq", "instance_miou"])
def test_classes_need_labels(name: str) -> None:
    with pytest.raises(InvalidSuiteError, match="needs the task's labels"):
        metric(name)


def test_a_choice_is_no_mask() -> None:
    with pytest.raises(InvalidSuiteError, match="not choice"):
        score("dice", [Choice.of("a")], [Mask.from_array(np.ones((2, 2), int))])
