"""Metrics of media, points, masks and boxes, against other implementations and agreed values."""

from contextlib import redirect_stdout
from io import StringIO
from math import log10, nan

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import jaccard_score
from sklearn.neighbors import KDTree

from echelon.adapters import Audio, Box, Box3D, Boxes, BoxSpace, Choice, Image, Mask, Number, Part, PointCloud, Video
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric


def value(name: str, prediction: Part, reference: Part, labels: tuple[str, ...] = ()) -> float:
    of = metric(name, worst=100.0, labels=labels)
    return of.finish([of.sample(prediction, [reference])])


def waves() -> tuple[np.ndarray, np.ndarray]:
    """The images on which four libraries agree that they are 26.7084787852179 dB apart."""
    row, column, channel = np.indices((64, 64, 3))
    clean = np.round(127.5 + 60 * np.sin(row / 9 + channel) + 60 * np.cos(column / 13)).astype(np.uint8)
    noise = np.arange(clean.size).reshape(clean.shape) * 7919 % 41 - 20
    return clean, np.clip(clean + noise, 0, 255).astype(np.uint8)


def test_psnr_of_images_has_the_agreed_value() -> None:
    clean, noisy = waves()
    assert value("psnr", Image.from_array(noisy), Image.from_array(clean)) == pytest.approx(26.7084787852179, rel=1e-12)


def test_psnr_of_a_video_pools_its_frames() -> None:
    clean, noisy = waves()
    given, wanted = (
        Video.from_array(np.stack(frames), frames_per_second=5) for frames in ([noisy, clean], [clean, clean])
    )
    assert value("psnr_video", given, wanted) == pytest.approx(26.7084787852179 + 10 * log10(2), rel=1e-12)


def test_psnr_of_a_sound_takes_1_as_its_peak() -> None:
    silence, hum = Audio.from_array(np.zeros(100), 8000), Audio.from_array(np.full(100, 0.125), 8000)
    assert value("psnr_audio", hum, silence) == pytest.approx(-20 * log10(0.125))


def test_psnr_stays_between_0_and_100() -> None:
    full, empty = (Audio.from_array(np.full(100, level), 8000) for level in (0.999, -1.0))
    assert value("psnr_audio", full, empty) == 0
    assert value("psnr_audio", full, full) == 100


def test_grey_is_equal_red_green_and_blue() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.repeat(grey[..., None], 3, axis=2)
    assert value("psnr", Image.from_array(grey), Image.from_array(colour)) == 100
    assert value("psnr", Image.from_array(colour), Image.from_array(grey)) == 100


SMALL = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "prediction", "reference", "reason"),
    [
        ("psnr", Image.from_array(SMALL.T), Image.from_array(SMALL), r"\(3, 2\), \(2, 3\) is wanted"),
        ("psnr", Image(b"no image"), Image.from_array(SMALL), "cannot read the image"),
        (
            "psnr_video",
            Video.from_array(np.stack([SMALL]), frames_per_second=5),
            Video.from_array(np.stack([SMALL, SMALL]), frames_per_second=5),
            r"\(1, 2, 3\), \(2, 2, 3\) is wanted",
        ),
        ("psnr_audio", Audio.from_array(np.zeros(9), 8000), Audio.from_array(np.zeros(8), 8000), "shape"),
        ("psnr_audio", Audio.from_array(np.zeros(8), 16000), Audio.from_array(np.zeros(8), 8000), "16000 samples per"),
        ("miou", Mask.from_array(SMALL.T), Mask.from_array(SMALL), r"\(3, 2\), \(2, 3\) is wanted"),
        ("miou", Mask(2, 3, b"no mask"), Mask.from_array(SMALL), "cannot read"),
        ("mae", Number(nan), Number(0), "finite"),
        ("accuracy", Choice(()), Choice.of("a"), "needs a label"),
        ("macro_f1", Choice(()), Choice.of("a"), "needs a label"),
        ("chamfer", PointCloud.from_array(np.ones((0, 3))), PointCloud.from_array(np.ones((2, 3))), "at least one"),
        ("chamfer", PointCloud.from_array(np.full((2, 3), nan)), PointCloud.from_array(np.ones((2, 3))), "finite"),
        ("chamfer", PointCloud(b"123", 1), PointCloud.from_array(np.ones((2, 3))), "takes 12 bytes, got 3"),
        (
            "chamfer",
            PointCloud.from_array(np.ones((2, 2)), channels=("x", "y")),
            PointCloud.from_array(np.ones((2, 3))),
            "x, y and z, not x, y",
        ),
        ("ap50", Boxes((Box(0, 0, nan, 1),)), Boxes(()), "finite"),
        ("ap50", Boxes((Box(0, 0, 1, 1, score=nan),)), Boxes(()), "finite"),
        ("ap50", Boxes((Box3D((0, 0, 0), (1, 1, 1)),)), Boxes(()), "cuboids"),
        ("ap50", Boxes((), space=BoxSpace.UNIT), Boxes(()), "unit, pixel is wanted"),
    ],
)
def test_an_impossible_answer_is_invalid_and_says_why(
    name: str, prediction: Part, reference: Part, reason: str
) -> None:
    with pytest.raises(InvalidAnswer, match=reason):
        value(name, prediction, reference, ("a", "b"))


def test_a_damaged_reference_is_the_suites_fault() -> None:
    with pytest.raises(InvalidSuiteError, match="a reference cannot be used"):
        value("psnr", Image.from_array(SMALL), Image(b"no image"))


def test_chamfer_has_the_value_that_four_libraries_agree_on() -> None:
    index = np.arange(50)
    cloud = np.stack([np.sin(1.1 * index), np.cos(0.7 * index), index / 50], axis=1)
    other = cloud[::-1] * 1.02 + 0.01
    found = value("chamfer", PointCloud.from_array(cloud), PointCloud.from_array(other))
    assert found == pytest.approx(0.06234673025490468, rel=1e-6)  # points are float32
    there = KDTree(other).query(cloud)[0].mean()
    back = KDTree(cloud).query(other)[0].mean()
    assert found == pytest.approx(there + back, rel=1e-6)


def test_chamfer_takes_positions_wherever_the_channels_are() -> None:
    points = np.arange(12.0).reshape(4, 3)
    swapped = PointCloud.from_array(np.c_[points[:, ::-1], np.ones(4)], channels=("z", "y", "x", "intensity"))
    assert value("chamfer", swapped, PointCloud.from_array(points)) == 0


CLASSES = ("sky", "road", "tree", "car")


def test_miou_over_two_masks_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    wanted, given = random.integers(0, 4, (2, 6, 7, 5))
    miou = metric("miou", labels=CLASSES)
    rows = [miou.sample(Mask.from_array(a), [Mask.from_array(b)]) for a, b in zip(given, wanted, strict=True)]
    assert miou.finish(rows) == pytest.approx(jaccard_score(wanted.ravel(), given.ravel(), average="macro"))


def test_miou_has_the_agreed_value() -> None:
    quarter = [[0, 0, 0, 0, 1, 1, 1, 1]] * 3 + [[1, 1, 1, 1, 2, 2, 2, 2]] * 3 + [[2, 2, 2, 2, 3, 3, 3, 3]] * 2
    wanted = np.array(quarter)
    given = np.c_[wanted[:, 1:], (wanted[:, -1] + 1) % 4]
    wanted[0, 0] = 3
    found = value("miou", Mask.from_array(given), Mask.from_array(wanted), CLASSES)
    assert found == pytest.approx(0.5608974358974359, rel=1e-12)


def test_a_class_that_occurs_nowhere_does_not_count() -> None:
    wanted, given = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])
    assert value("miou", Mask.from_array(given), Mask.from_array(wanted), CLASSES) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_mask_with_its_own_order_of_labels_is_read_by_their_names() -> None:
    wanted = Mask.from_array(np.array([[0, 0, 1, 1]]))
    given = Mask.from_array(np.array([[1, 1, 0, 2]]), labels=("road", "sky", "moon"))
    assert value("miou", given, wanted, CLASSES) == pytest.approx((1 + 1 / 2) / 2)


def test_a_pixel_without_a_class_is_ignored_in_a_reference_and_wrong_in_an_answer() -> None:
    full, partly = Mask.from_array(np.array([[0, 0, 1, 1]])), Mask.from_array(np.array([[0, 200, 1, 1]]))
    assert value("miou", full, partly, CLASSES) == 1
    assert value("miou", partly, full, CLASSES) == pytest.approx((1 / 2 + 1) / 2)


def coco_ap50(images: list[tuple[Boxes, Boxes]], labels: tuple[str, ...]) -> float:
    """AP at 0.5 by pycocotools, of pairs of boxes given and wanted."""
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i} for i in range(len(images))],
        "categories": [{"id": i, "name": label} for i, label in enumerate(labels)],
        "annotations": [
            {**coco_box(box, i, labels), "iscrowd": 0, "area": 1.0}
            for i, (_, wanted) in enumerate(images)
            for box in wanted.boxes
            if isinstance(box, Box)
        ],
    }
    for number, annotation in enumerate(truth.dataset["annotations"], 1):
        annotation["id"] = number
    found = [
        {**coco_box(box, i, labels), "score": box.score}
        for i, (given, _) in enumerate(images)
        for box in given.boxes
        if isinstance(box, Box)
    ]
    with redirect_stdout(StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[1])


def coco_box(box: Box, image: int, labels: tuple[str, ...]) -> dict[str, object]:
    size = [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min]
    return {"image_id": image, "category_id": labels.index(box.label), "bbox": size}


def random_boxes(random: np.random.Generator, labels: tuple[str, ...]) -> tuple[Boxes, Boxes]:
    wanted, given = [], []
    for _ in range(random.integers(0, 8)):
        corner, size = random.uniform(0, 60, 2), random.uniform(10, 40, 2)
        label = str(random.choice(labels))
        wanted.append(box_at(corner, size, label))
        for _ in range(random.integers(0, 3)):
            shifted = corner + random.normal(0, 5, 2)
            guess = label if random.random() < 0.8 else str(random.choice(labels))
            given.append(box_at(shifted, size * random.uniform(0.7, 1.3, 2), guess, random.random()))
    return Boxes(tuple(given)), Boxes(tuple(wanted))


def box_at(corner: np.ndarray, size: np.ndarray, label: str, score: float | None = None) -> Box:
    return Box(corner[0], corner[1], corner[0] + size[0], corner[1] + size[1], label, score)


@pytest.mark.parametrize("seed", range(8))
def test_ap50_is_that_of_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = ("a", "b", "c")
    images = [random_boxes(random, labels) for _ in range(12)]
    ap50 = metric("ap50", labels=labels)
    found = ap50.finish([ap50.sample(given, [wanted]) for given, wanted in images])
    assert 0.1 < found < 0.9
    assert found == pytest.approx(coco_ap50(images, labels), abs=1e-12)


def test_only_the_best_hundred_boxes_of_a_label_count() -> None:
    wanted = Boxes((Box(0, 0, 10, 10),))
    wrong = tuple(Box(50, 50, 60, 60, score=0.9) for _ in range(100))
    assert value("ap50", Boxes((*wrong, Box(0, 0, 10, 10, score=0.5))), wanted) == 0
    assert value("ap50", Boxes((*wrong[1:], Box(0, 0, 10, 10, score=0.5))), wanted) == pytest.approx(0.01)


def test_boxes_match_within_their_frame() -> None:
    wanted = Boxes((Box(0, 0, 10, 10, "a", frame_index=1),))
    assert value("ap50", Boxes((Box(0, 0, 10, 10, "a", frame_index=0),)), wanted) == 0
    assert value("ap50", Boxes((Box(0, 0, 10, 10, "a", frame_index=1),)), wanted) == 1


def test_boxes_without_scores_tie_and_false_alarms_go_first() -> None:
    wanted = Boxes((Box(0, 0, 10, 10),))
    assert value("ap50", Boxes((Box(0, 0, 10, 10), Box(50, 50, 60, 60))), wanted) == 0.5


def test_seeing_nothing_where_nothing_is_scores_1_alone_and_a_false_alarm_0() -> None:
    assert value("ap50", Boxes(()), Boxes(())) == 1
    assert value("ap50", Boxes((Box(0, 0, 1, 1),)), Boxes(())) == 0
