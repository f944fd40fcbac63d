"""Average precision of masks and keypoints, against the two implementations of COCO's own evaluation."""

import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import count
from typing import Any

import hotcoco
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from echelon.adapters import Json
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.metrics.metric import InvalidAnswer
from echelon.scorer.metrics.registry import metric
from echelon.scorer.metrics.run_lengths import edges_of, pixel_count, shared_pixels, unpacked

HEIGHT, WIDTH = 3, 4
PIXELS = HEIGHT * WIDTH
CATEGORIES = (1, 2)
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Picture:
    """What is in an image and what was found there, as COCO's mappings."""

    objects: Sequence[dict[str, Any]]
    found: Sequence[dict[str, Any]]


def ours(pictures: Sequence[Picture], suffix: str) -> list[float]:
    """The figures by our metrics: over all limits, at 0.5, at 0.75."""
    values = []
    for name in ("ap_coco", "ap50", "ap75"):
        of = metric(f"{name}_{suffix}")
        values.append(
            of.finish([of.sample(as_json(picture.found), [as_json(picture.objects)]) for picture in pictures])
        )
    return values


def as_json(lines: Sequence[dict[str, Any]]) -> Json:
    return Json(json.dumps(lines))


def oracles(pictures: Sequence[Picture], kind: str) -> dict[str, list[float]]:
    """The same figures by pycocotools and by hotcoco."""
    ids = count(1)
    truth: dict[str, Any] = {
        "info": {},
        "images": [{"id": at, "height": HEIGHT, "width": WIDTH} for at in range(len(pictures))],
        "categories": [{"id": each, "name": str(each)} for each in CATEGORIES],
        "annotations": [
            {"area": 1.0, "bbox": [0, 0, 1, 1], "iscrowd": 0, **line, "image_id": at, "id": next(ids)}
            for at, picture in enumerate(pictures)
            for line in picture.objects
        ],
    }
    results = [{**line, "image_id": at} for at, picture in enumerate(pictures) for line in picture.found]
    return {"pycocotools": pycocotools_stats(truth, results, kind), "hotcoco": hotcoco_stats(truth, results, kind)}


def pycocotools_stats(truth: dict[str, Any], results: list[dict[str, Any]], kind: str) -> list[float]:
    with redirect_stdout(StringIO()):
        gold = COCO()
        gold.dataset = json.loads(json.dumps(truth))
        gold.createIndex()
        evaluation = COCOeval(gold, gold.loadRes(json.loads(json.dumps(results))), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:3]]


def hotcoco_stats(truth: dict[str, Any], results: list[dict[str, Any]], kind: str) -> list[float]:
    gold = hotcoco.COCO(truth)
    evaluation = hotcoco.COCOeval(gold, gold.load_res(results), kind)
    with redirect_stdout(StringIO()):
        evaluation.run()
    return list(evaluation.stats)[:3]


def encoded(bits: int) -> dict[str, Any]:
    """The mask whose pixels, column by column, are the bits of a number, as pycocotools packs it."""
    pixels = np.array([bits >> at & 1 for at in range(PIXELS)], np.uint8).reshape(WIDTH, HEIGHT).T
    packed = coco_masks.encode(np.asfortranarray(pixels))
    return {"size": packed["size"], "counts": packed["counts"].decode()}


@st.composite
def pictures_of_masks(draw: st.DrawFn) -> list[Picture]:
    """Masks of a dozen pixels, so that overlaps tie and lie on the limits again and again; no two scores are equal."""
    mask, label = st.integers(0, 2**PIXELS - 1), st.sampled_from(CATEGORIES)
    wanted = draw(st.lists(st.lists(st.tuples(mask, label, st.booleans()), max_size=4), min_size=1, max_size=3))
    found = []
    for objects in wanted:
        near = [st.just((bits ^ 1 << at, of)) for bits, of, _ in objects for at in range(PIXELS)]
        found.append(draw(st.lists(st.one_of(st.tuples(mask, label), *near), max_size=6)))
    places = iter(draw(st.permutations(range(sum(map(len, found))))))
    return [
        Picture(
            [{"category_id": of, "segmentation": encoded(bits), "iscrowd": int(crowd)} for bits, of, crowd in objects],
            [{"category_id": of, "segmentation": encoded(bits), "score": next(places) / 100} for bits, of in finds],
        )
        for objects, finds in zip(wanted, found, strict=True)
    ]


@settings(max_examples=150, deadline=None)
@given(pictures_of_masks())
def test_average_precisions_of_masks_are_those_of_pycocotools_and_hotcoco(pictures: list[Picture]) -> None:
    assume(any(not line["iscrowd"] for picture in pictures for line in picture.objects))
    assume(any(picture.found for picture in pictures))
    for oracle, figures in oracles(pictures, "segm").items():
        assert ours(pictures, "masks") == pytest.approx(figures, abs=TOLERANCE), oracle


def test_of_objects_that_are_equally_close_the_last_is_hit_as_in_coco() -> None:
    objects = [{"category_id": 1, "segmentation": encoded(bits)} for bits in (0b0011, 0b1100)]
    found = [
        {"category_id": 1, "segmentation": encoded(bits), "score": score}
        for bits, score in ((0b1111, 0.9), (0b1100, 0.8))
    ]
    pictures = [Picture(objects, found)]
    assert ours(pictures, "masks")[1] == pytest.approx(51 / 101)
    for figures in oracles(pictures, "segm").values():
        assert ours(pictures, "masks") == pytest.approx(figures, abs=TOLERANCE)


@st.composite
def pictures_of_keypoints(draw: st.DrawFn) -> list[Picture]:
    """People whose keypoints are partly known or not at all, crowds, and finds that are more or less near to them."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pictures = []
    for _ in range(draw(st.integers(1, 3))):
        wanted, found = [], []
        for shape in draw(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 6)), max_size=4)):
            crowd, known, finds = shape
            label, places = int(random.choice(CATEGORIES)), random.uniform(0, 100, (17, 2))
            visible = random.integers(0, 3, 17) * known
            wanted.append(
                {
                    "category_id": label,
                    "keypoints": np.column_stack([places, visible]).ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                    "iscrowd": int(crowd),
                    "area": float(random.uniform(100, 4000)),
                    "bbox": [*random.uniform(0, 60, 2), *random.uniform(10, 60, 2)],
                }
            )
            for _ in range(finds):
                near = places + random.normal(0, random.choice([1, 5, 15]), (17, 2))
                found.append(
                    {
                        "category_id": label if random.random() < 0.8 else int(random.choice(CATEGORIES)),
                        "keypoints": np.column_stack([near, np.ones(17)]).ravel().tolist(),
                        "score": random.random(),
                    }
                )
        pictures.append(Picture(wanted, found))
    return pictures


@settings(max_examples=60, deadline=None)
@given(pictures_of_keypoints())
def test_average_precisions_of_keypoints_are_those_of_pycocotools_and_hotcoco(pictures: list[Picture]) -> None:
    lines = [line for picture in pictures for line in picture.objects]
    assume(any(not line["iscrowd"] and line["num_keypoints"] for line in lines))
    assume(any(picture.found for picture in pictures))
    for oracle, figures in oracles(pictures, "keypoints").items():
        assert ours(pictures, "keypoints") == pytest.approx(figures, abs=TOLERANCE), oracle


@pytest.mark.parametrize(("suffix", "most"), [("masks", 100), ("keypoints", 20)])
def test_only_the_best_scored_instances_of_an_image_count(suffix: str, most: int) -> None:
    """As many are wrong and surer as count, and the last one is right."""
    right, wrong = (
        ({"segmentation": encoded(7)}, {"segmentation": encoded(56)})
        if suffix == "masks"
        else ({"keypoints": [5.0] * 51, "area": 9.0}, {"keypoints": [500.0] * 51})
    )
    of = metric(f"ap50_{suffix}")
    for wrong_count, expected in ((most - 1, 1 / most), (most, 0)):
        found = [{**wrong, "score": 0.9}] * wrong_count + [{**right, "score": 0.1}]
        assert of.finish([of.sample(as_json(found), [as_json([right])])]) == pytest.approx(expected)


@given(st.lists(st.integers(0, 2**PIXELS - 1), min_size=1, max_size=5))
def test_run_lengths_are_read_measured_and_compared_as_pycocotools_does(masks: list[int]) -> None:
    packed = [encoded(mask) for mask in masks]
    edges = [edges_of(lengths, HEIGHT, WIDTH) for lengths in unpacked([mask["counts"] for mask in packed])]
    assert [pixel_count(each) for each in edges] == coco_masks.area(packed).tolist()
    pixels = np.array([[mask >> at & 1 for at in range(PIXELS)] for mask in masks], np.float64)
    assert (shared_pixels(edges, edges) == pixels @ pixels.T).all()


@given(st.lists(st.lists(st.integers(0, 2**20), min_size=1, max_size=12).filter(any), max_size=4))
def test_packed_run_lengths_are_unpacked_as_pycocotools_packs_them(masks: list[list[int]]) -> None:
    packed = [
        coco_masks.frPyObjects({"size": [1, sum(counts)], "counts": counts}, 1, sum(counts))["counts"].decode()
        for counts in masks
    ]
    assert [lengths.tolist() for lengths in unpacked(packed)] == masks


@given(st.lists(st.integers(0, 3), max_size=12))
def test_empty_runs_are_no_edges(counts: list[int]) -> None:
    edges = edges_of(np.array(counts, np.int64), 1, sum(counts))
    assert (np.diff(edges) > 0).all()
    assert pixel_count(edges) == sum(counts[1::2])


def test_no_texts_and_empty_texts_hold_no_run_lengths() -> None:
    assert unpacked([]) == []
    assert [lengths.tolist() for lengths in unpacked(["", "52", ""])] == [[], [5, 2], []]


def instance(**fields: Any) -> dict[str, Any]:
    return {"segmentation": encoded(7), **fields}


REFERENCE = as_json([instance()])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no json", "no list of instances"),
        ("{}", "Expected `array`"),
        ("[" * 100_000, "no list of instances"),
        ("[{}]", "missing required field `segmentation`"),
        ('[{"segmentation": [[0, 0, 1, 0, 1, 1]]}]', "Expected `object`, got `array`"),
        ('[{"segmentation": {"size": [3, 4], "counts": [11]}}]', "do not fill 3 x 4 pixels"),
        ('[{"segmentation": {"size": [3, 4], "counts": [13, -1]}}]', ">= 0"),
        ('[{"segmentation": {"size": [3, 4], "counts": "~"}}]', "a letter that cannot stand there"),
        ('[{"segmentation": {"size": [3, 4], "counts": "P"}}]', "break off"),
        ('[{"segmentation": {"size": [3, 4], "counts": "PPPPPPPP0"}}]', "9 letters"),
        ('[{"segmentation": {"size": [0, 4], "counts": []}}]', ">= 1"),
        ('[{"segmentation": {"size": [4, 3], "counts": [12]}}]', r"the size \(4, 3\), \(3, 4\) is wanted"),
        (json.dumps([instance(score=float("nan"))]), "no list of instances"),
        (json.dumps([instance()]).replace("}]", ', "score": 1e999}]'), "no list of instances"),
        (json.dumps([instance(category_id=[1])]), "category_id"),
    ],
)
def test_what_is_no_list_of_masks_is_invalid(said: str, reason: str) -> None:
    of = metric("ap50_masks")
    with pytest.raises(InvalidAnswer, match=reason):
        of.sample(Json(said), [REFERENCE])


@given(st.text(max_size=20))
def test_any_packed_text_is_a_mask_or_a_clear_error(packed: str) -> None:
    of = metric("ap50_masks")
    try:
        value = of.finish([of.sample(as_json([{"segmentation": {"size": [3, 4], "counts": packed}}]), [REFERENCE])])
    except InvalidAnswer:
        return
    assert 0 <= value <= 1


def test_categories_are_numbers_or_words() -> None:
    of = metric("ap50_masks")
    for said, wanted, expected in ((1, 1, 1), ("cat", "cat", 1), ("cat", "dog", 0), (1, "1", 1)):
        found, objects = as_json([instance(category_id=said)]), as_json([instance(category_id=wanted)])
        assert of.finish([of.sample(found, [objects])]) == expected


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ([{"keypoints": [1.0] * 51}], "needs its `area`"),
        ([{"keypoints": [0.0] * 51, "area": 1}], "needs its `bbox`"),
        ([{"keypoints": [1.0] * 30, "area": 1}], "length >= 51"),
        ([{"keypoints": [1.0] * 50 + [1e300], "area": 1}], "<= 1000000000"),
    ],
)
def test_a_reference_that_cannot_be_compared_with_is_the_suites_fault(
    reference: list[dict[str, Any]], reason: str
) -> None:
    of = metric("ap50_keypoints")
    with pytest.raises(InvalidSuiteError, match=reason):
        of.sample(as_json([{"keypoints": [1.0] * 51}]), [as_json(reference)])


def test_masks_of_two_sizes_are_no_reference() -> None:
    of = metric("ap50_masks")
    other = {"segmentation": {"size": [2, 2], "counts": [0, 4]}}
    with pytest.raises(InvalidSuiteError, match="masks of"):
        of.sample(REFERENCE, [as_json([instance(), other])])
