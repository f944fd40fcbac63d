"""What holds for every metric, and how metrics are found."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest

from echelon.adapters import (
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.errors import AdapterLoadError
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.metrics.metric import Metric, RatioMetric
from echelon.scorer.metrics.registry import metric, metric_type, names
from echelon.scorer.metrics.shards import Shard

LABELS = ("a", "b", "c")
SAMPLE_COUNT = 12


def choice(random: np.random.Generator) -> Part:
    return Choice.of(random.choice(LABELS))


def choices(random: np.random.Generator) -> Part:
    return Choice.of(*random.choice(LABELS, random.integers(1, 4), replace=False))


def number(random: np.random.Generator) -> Part:
    return Number(random.normal())


def number_text(random: np.random.Generator) -> Part:
    return Text(str(random.normal()))


def text(random: np.random.Generator) -> Part:
    return Text(" ".join(random.choice(LABELS, random.integers(1, 6))))


def image(random: np.random.Generator) -> Part:
    return Image.from_array(random.integers(0, 256, (4, 5, 3), np.uint8))


def video(random: np.random.Generator) -> Part:
    return Video.from_array(random.integers(0, 256, (2, 4, 5, 3), np.uint8), frames_per_second=5)


def audio(random: np.random.Generator) -> Part:
    return Audio.from_array(random.uniform(-1, 1, 50), 8000)


def points(random: np.random.Generator) -> Part:
    return PointCloud.from_array(random.normal(size=(20, 3)))


def mask(random: np.random.Generator) -> Part:
    return Mask.from_array(random.integers(0, 3, (4, 5)))


def boxes(random: np.random.Generator) -> Part:
    return Boxes(tuple(box(random) for _ in range(random.integers(0, 5))))


def box(random: np.random.Generator) -> Box:
    x, y = random.integers(0, 4, 2)
    return Box(x, y, x + 4, y + 4, str(random.choice(LABELS)), random.integers(1, 4) / 4)


def caption(random: np.random.Generator) -> Part:
    return Text(" ".join(random.choice([f"word{n}" for n in range(30)], random.integers(4, 9), replace=False)))


def code(random: np.random.Generator) -> Part:
    name, other = random.choice(["x", "y", "z"], 2)
    return Text(f"def add({name}, b):\n    {other} = {name} + b\n    return {other}\n")


def series(random: np.random.Generator) -> Part:
    return Tensor.from_array(random.normal(size=6))


def poses(random: np.random.Generator) -> Part:
    way = np.tile(np.eye(4), (8, 1, 1))
    way[:, :3, 3] = random.normal(size=(8, 3)).cumsum(axis=0)
    return Tensor.from_array(way)


def items(random: np.random.Generator) -> Part:
    return Json(
        json.dumps([[str(label), "x"] for label in random.choice(LABELS, random.integers(1, 4), replace=False)])
    )


def tags(random: np.random.Generator) -> Part:
    return Json(json.dumps(random.choice(["O", "B-x", "I-x", "B-y", "I-y"], 6).tolist()))


def triplets(random: np.random.Generator) -> Part:
    chosen = random.choice(LABELS, random.integers(1, 4), replace=False)
    return Json(json.dumps([{"subject": str(label), "predicate": "on", "object": "b"} for label in chosen]))


def instances(shape: Callable[[np.random.Generator], dict[str, object]]) -> Callable[[np.random.Generator], Part]:
    def drawn(random: np.random.Generator) -> Part:
        return Json(
            json.dumps(
                [
                    {"category_id": int(random.integers(1, 3)), "score": random.integers(1, 4) / 4, **shape(random)}
                    for _ in range(random.integers(0, 5))
                ]
            )
        )

    return drawn


def segmentation(random: np.random.Generator) -> dict[str, object]:
    lengths = np.diff(np.sort(random.integers(0, 21, 3)), prepend=0, append=20)
    return {"segmentation": {"size": [4, 5], "counts": lengths.tolist()}}


def keypoints(random: np.random.Generator) -> dict[str, object]:
    return {"keypoints": random.choice([1.0, 2.0, 3.0], 51).tolist(), "area": 80.0}


instance_masks, instance_keypoints = instances(segmentation), instances(keypoints)


def tube(random: np.random.Generator) -> Part:
    frames = random.choice(6, random.integers(1, 6), replace=False)
    return Boxes(tuple(replace(box(random), frame_index=int(at)) for at in frames))


def whole_tube(random: np.random.Generator) -> Part:
    lefts = (8 * at + int(random.integers(0, 4)) for at in range(4))
    return Boxes(tuple(Box(left, 0, left + 4, 4, frame_index=at) for at, left in enumerate(lefts)))


def tracks(random: np.random.Generator) -> Part:
    return Boxes(
        tuple(
            replace(box(random), frame_index=at, track_id=track)
            for at in range(4)
            for track in random.choice([1, 2, 3], random.integers(1, 4), replace=False)
        )
    )


def cuboids(random: np.random.Generator) -> Part:
    return Boxes(tuple(cuboid(random) for _ in range(random.integers(1, 5))), space=BoxSpace.METRE)


def cuboid_tracks(random: np.random.Generator) -> Part:
    labels = {track: str(random.choice(LABELS)) for track in (1, 2, 3)}
    return Boxes(
        tuple(
            replace(cuboid(random), label=label, frame_index=at, track_id=track)
            for at in range(3)
            for track, label in labels.items()
        ),
        space=BoxSpace.METRE,
    )


def cuboid(random: np.random.Generator) -> Box3D:
    x, y, z = random.integers(0, 3, 3).tolist()
    return Box3D((x, y, z), (2, 2, 2), label=str(random.choice(LABELS)), score=random.integers(1, 4) / 4)


def picture(random: np.random.Generator) -> Part:
    return Image.from_array(random.integers(0, 256, (176, 180), np.uint8))


def matte(random: np.random.Generator) -> Part:
    return Image.from_array(random.integers(0, 256, (4, 5), np.uint8))


def salience(random: np.random.Generator) -> Part:
    return Video.from_array(255 * random.permuted(np.eye(6, 7, dtype=np.uint8), axis=1)[None], frames_per_second=5)


def objects(random: np.random.Generator) -> Part:
    return Tensor.from_array(random.integers(0, 3, (2, 4, 5)))


def classes(random: np.random.Generator) -> Part:
    return Tensor.from_array(random.integers(0, 3, 20))


def segments(random: np.random.Generator) -> Part:
    return Tensor.from_array(random.integers(0, 2, (2, 3, 2)).repeat(3, axis=1))


def depths(random: np.random.Generator) -> Part:
    return Tensor.from_array(random.uniform(1, 1.2, (4, 5)))


def flow(random: np.random.Generator) -> Part:
    return Tensor.from_array(random.normal(size=(4, 5, 2)))


def normals(random: np.random.Generator) -> Part:
    # Failing counts as 4 degrees here.
    return Tensor.from_array(np.array([0, 0, 1]) + random.normal(size=(4, 5, 3)) / 50)


def mesh(random: np.random.Generator) -> Part:
    return Mesh.from_array(random.normal(size=(6, 3)), random.permuted(np.tile(np.arange(6), (4, 1)), axis=1)[:, :3])


PARTS = {
    "abs_rel": depths,
    "abs_rel_official": depths,
    "chamfer_squared": points,
    "chamfer_surface": mesh,
    "dice": mask,
    "epe": flow,
    "epe_official": flow,
    "j_and_f_official": whole_tube,
    "instance_miou": classes,
    "mcd": audio,
    "miou_points": classes,
    "miou_video": objects,
    "miou_video_official": objects,
    "ms_ssim": picture,
    "mse": matte,
    "pq": segments,
    "rms": depths,
    "rmse_image": image,
    "rmse_normals": normals,
    "rmse_tensor": depths,
    "s_measure": salience,
    "sad": matte,
    "ssim": picture,
    "accuracy": choice,
    "accuracy_contains": text,
    "accuracy_contains_label_official": text,
    "accuracy_contains_official": text,
    "accuracy_official": text,
    "amota": cuboid_tracks,
    "ap10": boxes,
    "ap50_keypoints": instance_keypoints,
    "ap50_masks": instance_masks,
    "ap75_keypoints": instance_keypoints,
    "ap75_masks": instance_masks,
    "ap_coco_keypoints": instance_keypoints,
    "ap_coco_masks": instance_masks,
    "ap75": boxes,
    "ap_coco": boxes,
    "bleu1_official": text,
    "bleu1_video_official": text,
    "bleu4": caption,
    "cider": caption,
    "codebleu": code,
    "codebleu_official": code,
    "e_accuracy": choice,
    "entity_f1": tags,
    "exact_match": text,
    "f1_weighted": choice,
    "hota": tracks,
    "idf1": tracks,
    "m_viou": tube,
    "m_viou_official": tube,
    "macro_accuracy": choice,
    "map_nuscenes": cuboids,
    "map_scannet": cuboids,
    "micro_f1_official": text,
    "mota": tracks,
    "mse_number": number,
    "pcc": series,
    "recall_at_50": triplets,
    "rouge1": text,
    "rouge1_plain": text,
    "rouge_l": text,
    "rouge_l_plain": text,
    "rpe": poses,
    "rte": poses,
    "span_f1": items,
    "success_auc": tube,
    "token_f1": text,
    "token_f1_official": caption,
    "wer_mean": text,
    "anls": text,
    "ap50": boxes,
    "bleu1": text,
    "bleu1_characters": text,
    "bleu4_characters": text,
    "cer": text,
    "token_f1_characters": text,
    "wer_characters": text,
    "chamfer": points,
    "macro_f1": choice,
    "mae": number,
    "mae_official": number_text,
    "micro_f1": choices,
    "miou": mask,
    "psnr": image,
    "psnr_audio": audio,
    "psnr_video": video,
    "rmse": number,
    "wer": text,
}
PROMPTED = {
    "accuracy_read",
    "aesthetic",
    "ap_anomaly",
    "auc",
    "bleu1_nltk_official",
    "cer_speech",
    "cider_speech",
    "clap",
    "clip_consistency",
    "clip_image_score",
    "clip_score",
    "clip_style",
    "dino_score",
    "e_accuracy_read",
    "fad",
    "fid",
    "flicker_l1",
    "frame_accuracy",
    "fvd",
    "i2v",
    "llm_judge",
    "mos",
    "musiq",
    "optical_flow",
    "pcc_read",
    "preference_rate",
    "psnr_video_official",
    "s_measure_official",
    "style_clap",
    "success_rate",
    "wer_speech",
}
"""Metrics whose references are no perfect answers, or that take an instrument; other files test them."""
# There are Pythons that CodeBLEU's parser has no wheels for.
HERE = sorted(PARTS if find_spec("codebleu") else PARTS.keys() - {"codebleu", "codebleu_official"})
EVERY_METRIC = pytest.mark.parametrize("name", HERE)


def built(name: str) -> Metric:
    return metric(name, worst=4.0, labels=LABELS)


def samples(name: str) -> list[tuple[Part, list[Part]]]:
    random = np.random.default_rng(7)
    return [(PARTS[name](random), [PARTS[name](random)]) for _ in range(SAMPLE_COUNT)]


def test_every_built_in_metric_is_covered_here() -> None:
    assert names() == tuple(sorted(PARTS.keys() | PROMPTED))


@EVERY_METRIC
def test_order_does_not_change_a_score_by_one_bit(name: str) -> None:
    of = built(name)
    rows = [of.sample(*sample) for sample in samples(name)]
    scores = {of.finish(Random(seed).sample(rows, len(rows))) for seed in range(20)}
    assert len(scores) == 1


@EVERY_METRIC
def test_shards_change_no_score_by_one_bit(name: str) -> None:
    of = built(name)
    rows = {f"s{at}": of.sample(*sample) for at, sample in enumerate(samples(name))}
    shards = [Shard(of.id, "all", {sample: rows[sample] for sample in list(rows)[start::3]}) for start in (2, 0, 1)]
    whole = reduce(Shard.merge, (Shard.decode(shard.encode()) for shard in shards))
    assert whole.finish(of, rows).hex() == of.finish([*rows.values()]).hex()


@pytest.mark.parametrize("name", [name for name in HERE if isinstance(built(name), RatioMetric)])
def test_the_score_of_a_ratio_is_had_from_its_sums(name: str) -> None:
    of = built(name)
    assert isinstance(of, RatioMetric)
    rows = [of.sample(*sample) for sample in samples(name)]
    sums = np.array([*rows, np.sum(rows, axis=0)], np.float64)
    assert of.from_sums(sums) == pytest.approx([*(of.finish([row]) for row in rows), of.finish(rows)])


@EVERY_METRIC
def test_failing_is_never_better_than_any_answer(name: str) -> None:
    of = built(name)
    sign = 1 if of.higher_is_better else -1
    for prediction, references in samples(name):
        failed, answered = of.finish([of.worst(references)]), of.finish([of.sample(prediction, references)])
        assert sign * failed <= sign * answered


@EVERY_METRIC
def test_the_reference_itself_scores_perfectly_and_failing_costs(name: str) -> None:
    of = built(name)
    references = [sample[1] for sample in samples(name)]
    perfect = [of.sample(reference[0], reference) for reference in references]
    best = of.range[1] if of.higher_is_better else of.range[0]
    assert of.finish(perfect) == pytest.approx(best, abs=1e-4 if name in BEGUN else 1e-12)
    assert of.finish([of.worst(references[0]), *perfect[1:]]) != pytest.approx(best)


BEGUN = {"bleu1_video_official", "j_and_f_official"}
"""Metrics that divide by a little more than what they count, so that nothing is perfect."""
AVERAGED = {"cider", "codebleu_official"}
"""Metrics whose definition averages or adds up over the references instead of taking the best."""


@pytest.mark.parametrize("name", sorted({*HERE} - AVERAGED))
def test_another_right_answer_never_hurts(name: str) -> None:
    of = built(name)
    sign = 1 if of.higher_is_better else -1
    drawn = samples(name)
    for (prediction, references), (_, others) in pairwise(drawn):
        alone, more = (of.finish([of.sample(prediction, to)]) for to in (references, references + others))
        assert sign * more >= sign * alone


@EVERY_METRIC
def test_a_metric_says_what_it_is(name: str) -> None:
    of = built(name)
    assert of.name == name
    assert of.id.startswith(name)
    assert re.search(r"@[1-9]", of.id)
    assert of.kind is samples(name)[0][0].kind
    assert of.range[0] < of.range[1]


@EVERY_METRIC
def test_a_part_of_another_kind_is_the_suites_fault(name: str) -> None:
    wrong: Part = Number(1) if built(name).kind is not Kind.NUMBER else Text("1")
    with pytest.raises(InvalidSuiteError, match=f"not {wrong.kind}"):
        built(name).sample(wrong, samples(name)[0][1])


def test_ids_are_unique_and_every_metric_says_where_it_comes_from() -> None:
    metrics = [built(name) for name in HERE]
    assert len({of.id for of in metrics}) == len(metrics)
    assert all(vars(type(of))["__doc__"] for of in metrics)


def test_ids_name_the_declared_worst() -> None:
    assert metric("mae", worst=180).id == "mae@1;worst=180"
    assert metric("wer").id == "wer/corpus@2;tokens=whitespace;case=lower;cap=1"


@pytest.mark.parametrize("name", ["mae", "rmse", "chamfer"])
@pytest.mark.parametrize("worst", [None, 0, -1, float("nan"), float("inf")])
def test_an_unbounded_metric_needs_a_declared_worst(name: str, worst: float | None) -> None:
    with pytest.raises(InvalidSuiteError, match="give the task a `worst` above 0"):
        metric(name, worst=worst)


def test_miou_needs_labels() -> None:
    with pytest.raises(InvalidSuiteError, match="needs the task's labels"):
        metric("miou")


def test_direction_unit_and_range_are_known_by_name_alone() -> None:
    fid, speech = metric_type("fid"), metric_type("wer_speech")
    assert (fid.higher_is_better, fid.unit, fid.range) == (False, "", (0.0, math.inf))
    assert (speech.higher_is_better, speech.unit, speech.range) == (False, "fraction", (0.0, 1.0))
    with pytest.raises(UnknownNameError, match="did you mean 'fid'"):
        metric_type("fidd")


def test_an_unknown_metric_is_refused_with_a_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metric("acuracy")


PLUG_IN = """
from echelon.adapters import Kind
from echelon.scorer.metrics.metric import MeanMetric

class Shouting(MeanMetric):
    name, variant, kind = "shouting", "@1", Kind.TEXT

    def value(self, prediction, reference):
        return float(prediction.value.isupper())
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a distribution that declares the metric `name` as `value`."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shouting_metric.py").write_text(PLUG_IN)

    def declare(name: str, value: str) -> None:
        info = tmp_path / f"{name}_plugin-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[echelon.metrics]\n{name} = {value}\n")

    return declare


def test_a_metric_of_another_distribution_is_found_by_its_entry_point(install: Callable[[str, str], None]) -> None:
    install("shouting", "shouting_metric:Shouting")
    shouting = metric("shouting")
    assert "shouting" in names()
    assert shouting.finish([shouting.sample(Text(said), [Text("")]) for said in ("HEY", "hey")]) == 0.5


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("accuracy", "shouting_metric:Shouting", "declared more than once: accuracy-plugin, echelon"),
        ("broken", "shouting_metric:Missing", "failed to import"),
        ("broken", "shouting_metric:Kind", "not a complete subclass of Metric"),
        ("broken", "shouting_metric:MeanMetric", "not a complete subclass of Metric"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_refused_by_name(
    install: Callable[[str, str], None], name: str, value: str, reason: str
) -> None:
    install(name, value)
    with pytest.raises(AdapterLoadError, match=reason):
        metric(name)
    assert metric("wer").name == "wer"


def test_a_rival_with_damaged_metadata_is_told_all_the_same(
    install: Callable[[str, str], None], tmp_path: Path
) -> None:
    install("accuracy", "shouting_metric:Shouting")
    (tmp_path / "accuracy_plugin-1.0.dist-info" / "METADATA").write_text("")
    with pytest.raises(AdapterLoadError, match="declared more than once: echelon, unknown"):
        metric("accuracy")
