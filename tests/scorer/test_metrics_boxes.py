"""Metrics of boxes, in images, in videos and in space, against other implementations."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hotcoco import COCO, COCOeval

from echelon.adapters import Box, Box3D, Boxes, BoxSpace, Json, Part, Tensor
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric

LABELS = ("a", "b", "c")


def value(name: str, prediction: Part, reference: Part) -> float:
    of = metric(name, worst=100.0)
    return of.finish([of.sample(prediction, [reference])])


def box_at(corner: np.ndarray, size: np.ndarray, label: str, score: float | None = None) -> Box:
    return Box(corner[0], corner[1], corner[0] + size[0], corner[1] + size[1], label, score)


def random_boxes(random: np.random.Generator) -> tuple[Boxes, Boxes]:
    """Boxes of an answer and of its reference, alike by half."""
    wanted, given = [], []
    for _ in range(random.integers(0, 8)):
        corner, size = random.uniform(0, 60, 2), random.uniform(10, 40, 2)
        wanted.append(box_at(corner, size, str(random.choice(LABELS))))
        for _ in range(random.integers(0, 3)):
            near = corner + random.normal(0, 4, 2)
            label = wanted[-1].label if random.random() < 0.8 else str(random.choice(LABELS))
            given.append(box_at(near, size, label, random.random()))
    return Boxes(tuple(given)), Boxes(tuple(wanted))


def coco_stats(images: Sequence[tuple[Boxes, Boxes]]) -> list[float]:
    """COCO's figures by hotcoco: the average precision over all overlaps, at 0.5, at 0.75 ..."""

    def lines(side: int) -> list[dict[str, object]]:
        return [
            {
                "image_id": image,
                "category_id": LABELS.index(box.label),
                "bbox": [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min],
                "score": box.score,
                "area": 1.0,
                "iscrowd": 0,
            }
            for image, pair in enumerate(images)
            for box in pair[side].boxes
            if isinstance(box, Box)
        ]

    annotations = [{**line, "id": number} for number, line in enumerate(lines(1), 1)]
    truth = COCO(
        {
            "info": {},
            "images": [{"id": i, "width": 100, "height": 100} for i in range(len(images))],
            "categories": [{"id": i, "name": label} for i, label in enumerate(LABELS)],
            "annotations": annotations,
        }
    )
    evaluation = COCOeval(truth, truth.load_res(lines(0)), "bbox")
    evaluation.run()
    return list(evaluation.stats)


@pytest.mark.parametrize("seed", range(6))
def test_average_precisions_are_those_of_hotcoco(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = [random_boxes(random) for _ in range(25)]
    found = []
    for name in ("ap_coco", "ap50", "ap75"):
        of = metric(name)
        found.append(of.finish([of.sample(given, [wanted]) for given, wanted in images]))
    assert found == pytest.approx(coco_stats(images)[:3], abs=1e-12)


def test_ap10_takes_what_ap50_does_not() -> None:
    given, wanted = Boxes((Box(0, 0, 10, 10),)), Boxes((Box(6, 0, 16, 10),))
    assert [value(name, given, wanted) for name in ("ap10", "ap50")] == [1, 0]


def test_m_viou_counts_the_frames_of_either() -> None:
    wanted = Boxes(tuple(Box(0, 0, 10, 10, frame_index=at) for at in range(4)))
    given = Boxes(tuple(Box(0, 0, 5, 10, frame_index=at) for at in range(2, 6)))
    assert value("m_viou", given, wanted) == pytest.approx(2 * 0.5 / 6)


def test_success_is_that_of_the_numbers_that_numpy_spaces() -> None:
    random = np.random.default_rng(3)
    overlaps = random.random(50)
    given = Boxes(tuple(Box(0, 0, overlap, 1, frame_index=at) for at, overlap in enumerate(overlaps)))
    wanted = Boxes(tuple(Box(0, 0, 1, 1, frame_index=at) for at in range(50)))
    expected = np.mean([(overlaps > threshold).mean() for threshold in np.linspace(0, 1, 21)])
    assert value("success_auc", given, wanted) == pytest.approx(expected)


def test_the_best_scored_box_of_a_frame_is_the_track() -> None:
    wanted = Boxes((Box(0, 0, 10, 10),))
    given = Boxes((Box(50, 50, 60, 60, score=0.2), Box(0, 0, 10, 10, score=0.9)))
    assert value("m_viou", given, wanted) == 1


def test_a_track_without_an_object_is_the_suites_fault() -> None:
    with pytest.raises(InvalidSuiteError, match="no object to track"):
        value("success_auc", Boxes(()), Boxes(()))


def test_a_box_without_a_track_cannot_be_tracked() -> None:
    with pytest.raises(InvalidAnswer, match="track_id"):
        value("mota", Boxes((Box(0, 0, 1, 1),)), Boxes((Box(0, 0, 1, 1, track_id=1),)))


def test_another_track_on_one_object_is_a_switch() -> None:
    wanted = Boxes(tuple(Box(0, 0, 1, 1, track_id=1, frame_index=at) for at in range(4)))
    given = Boxes(tuple(Box(0, 0, 1, 1, track_id=1 + at // 2, frame_index=at) for at in range(4)))
    assert value("mota", given, wanted) == pytest.approx(1 - 1 / 4)
    assert value("idf1", given, wanted) == pytest.approx(1 / 2)


def car(x: float, y: float, score: float | None = None, **more: int) -> Box3D:
    return Box3D((x, y, 0), (2, 2, 2), label="car", score=score, **more)  # type: ignore[arg-type]  # track_id, frame_index


def scene(*boxes: Box3D) -> Boxes:
    return Boxes(boxes, space=BoxSpace.METRE)


def test_map_scannet_shares_volume() -> None:
    wanted = scene(car(0, 0))
    assert value("map_scannet", scene(car(0.6, 0, 1)), wanted) == 1  # 1.4 of 2.6
    assert value("map_scannet", scene(car(0.7, 0, 1)), wanted) == 0  # 1.3 of 2.7


def test_map_scannet_is_the_area_under_the_best_precisions() -> None:
    wanted = scene(car(0, 0), car(10, 0))
    given = scene(car(0, 0, 0.9), car(50, 0, 0.8), car(10, 0, 0.7))
    assert value("map_scannet", given, wanted) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_map_scannet_encloses_a_turned_box() -> None:
    eighth = (0.0, 0.0, np.sin(np.pi / 8), np.cos(np.pi / 8))
    turned = scene(replace(car(0, 0, 1), rotation=eighth))
    assert value("map_scannet", turned, scene(car(0, 0))) == pytest.approx(1)  # twice the ground: exactly half
    assert value("map_scannet", turned, scene(Box3D((0, 0, 0), (1.9, 1.9, 2), label="car"))) == 0


def test_map_nuscenes_averages_over_four_distances() -> None:
    assert value("map_nuscenes", scene(car(1.5, 0, 1)), scene(car(0, 0))) == pytest.approx(2 / 4)
    assert value("map_nuscenes", scene(car(0, 0, 1)), scene(car(0, 0))) == pytest.approx(1)


def test_map_nuscenes_lets_a_false_alarm_cost_what_is_above_a_tenth() -> None:
    given = scene(car(50, 0, 0.9), car(0, 0, 0.8))
    # Precision rises straight from 0 at recall 0 to a half at recall 1.
    expected = np.mean([max(0.0, recall / 200 - 0.1) / 0.9 for recall in range(11, 101)])
    assert value("map_nuscenes", given, scene(car(0, 0))) == pytest.approx(expected)


def test_amota_of_half_the_objects_is_a_half() -> None:
    wanted = scene(*(car(x, 0, track_id=1 + x, frame_index=at) for at in range(5) for x in (0, 10)))
    given = scene(*(car(0, 0, 0.9, track_id=7, frame_index=at) for at in range(5)))
    assert value("amota", given, wanted) == pytest.approx(0.5)


def test_amota_charges_false_alarms_only_where_they_are_as_sure() -> None:
    wanted = scene(*(car(x, 0, track_id=1 + x, frame_index=at) for at in range(5) for x in (0, 10)))
    right = [car(x, 0, 0.9, track_id=1 + x, frame_index=at) for at in range(5) for x in (0, 10)]

    def with_alarm(score: float) -> float:
        return value(
            "amota", scene(*right, *(car(90, 0, score, track_id=99, frame_index=at) for at in range(5))), wanted
        )

    assert with_alarm(0.1) == 1
    assert with_alarm(0.95) < 1


def triplets(*items: tuple[str, str, str, Sequence[float] | None]) -> Json:
    return Json(
        json.dumps(
            [
                {"subject": subject, "predicate": predicate, "object": target, "subject_box": box}
                for subject, predicate, target, box in items
            ]
        )
    )


def test_recall_at_50_needs_words_and_boxes_and_looks_at_50() -> None:
    wanted = triplets(("man", "on", "horse", [0, 0, 10, 10]), ("dog", "under", "tree", None))
    near, far = ("man", "on", "horse", [0, 0, 9, 10]), ("man", "on", "horse", [0, 0, 3, 10])
    dog, noise = ("dog", "under", "tree", None), ("x", "y", "z", None)
    assert value("recall_at_50", triplets(near, dog), wanted) == 1
    assert value("recall_at_50", triplets(far, dog), wanted) == 0.5
    assert value("recall_at_50", triplets(*[noise] * 49, near, dog), wanted) == 0.5


@pytest.mark.parametrize(
    "said", ["no json", "{}", "[" * 100_000, '["on"]', '[{"subject": 1}]', '[{"subject": "a", "predicate": "b"}]']
)
def test_what_is_no_list_of_triplets_is_invalid(said: str) -> None:
    with pytest.raises(InvalidAnswer):
        value("recall_at_50", Json(said), triplets(("a", "b", "c", None)))


def drive(scale: float, count: int = 301) -> Part:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = scale * np.arange(count)
    return Tensor.from_array(poses)


def test_rte_is_the_drift_in_percent_of_the_way() -> None:
    assert value("rte", drive(1.02), drive(1.0)) == pytest.approx(2, abs=0.05)
    assert value("rte", drive(1.02, 20), drive(1.0, 20)) == pytest.approx(2)


def test_rte_takes_turns_about_the_start_of_a_stretch() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0, -1], [1, 0]]
    straight = drive(1.0)
    assert isinstance(straight, Tensor)
    assert value("rte", Tensor.from_array(turn @ straight.array()), straight) == pytest.approx(0, abs=1e-9)


def test_poses_have_to_be_poses() -> None:
    with pytest.raises(InvalidAnswer, match="poses are"):
        value("rte", Tensor.from_array(np.eye(4)), drive(1.0))
    with pytest.raises(InvalidAnswer, match="must be a rotation"):
        value("rpe", Tensor.from_array(np.zeros((3, 4, 4))), drive(1.0, 3))
    with pytest.raises(InvalidAnswer, match="2 poses, 3 are wanted"):
        value("rpe", drive(1.0, 2), drive(1.0, 3))
