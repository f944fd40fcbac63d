"""The starter suite: generated from a seed, well-formed, honest about chance."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from echelon.adapters import (
    Audio,
    Box,
    Boxes,
    Choice,
    Image,
    Kind,
    Mask,
    Number,
    Part,
    PointCloud,
    Text,
    Video,
)
from echelon.adapters.errors import ConfigurationError
from echelon.scorer.extract import extract
from echelon.scorer.metrics.registry import metric
from echelon.scorer.sigmas import sigma
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.suites.starter import TASKS, Example, Split, Starter, StarterTask
from echelon.scorer.suites.starter.digits import RANGES
from echelon.scorer.suites.suite import Modality, Paradigm
from echelon.scorer.suites.validation import validate

Blind = Callable[[StarterTask, np.random.Generator], Part]


def grey(level: float, side: int) -> np.ndarray:
    return np.full((side, side), round(level * 255), np.uint8)


def any_label(starter: StarterTask, rng: np.random.Generator) -> Part:
    return Choice.of(str(rng.choice(starter.task.labels)))


def typical_boxes(starter: StarterTask, rng: np.random.Generator) -> Part:
    corners = [(x, y) for x in (1, 10, 20) for y in (1, 10, 20)]
    return Boxes(tuple(Box(x, y, x + 11, y + 11, label, 0.5) for label in starter.task.labels for x, y in corners))


def round_cloud(starter: StarterTask, rng: np.random.Generator) -> Part:
    points = rng.normal(size=(128, 3))
    return PointCloud.from_array(points / np.linalg.norm(points, axis=1, keepdims=True))


def fixed(part: Part) -> Blind:
    return lambda starter, rng: part


BLIND: dict[str, Blind] = {
    "image-digits": any_label,
    "image-segmentation": lambda starter, rng: Mask.from_array(np.zeros((32, 32), int), labels=starter.task.labels),
    "image-detection": typical_boxes,
    "image-gauge": fixed(Number(500)),
    "image-denoising": fixed(Image.from_array(grey(0.3, 32))),
    "image-drawing": fixed(Image.from_array(grey(0.25, 32))),
    "video-direction": any_label,
    "video-continuation": fixed(Video.from_array(np.stack([grey(0.35, 16)] * 3), frames_per_second=8)),
    "audio-notes": fixed(Text("do mi sol")),
    "audio-denoising": fixed(Audio.from_array(np.zeros(2560), 4000)),
    "3d-naming": any_label,
    "3d-completion": round_cloud,
    "language-sums": fixed(Number(250)),
    "language-mood": any_label,
    "language-spelling": fixed(Text("market")),
    "language-pattern": fixed(Text("a b c d")),
}
"""The best that we know without a look at the input."""

GIVEN_BACK = ("image-denoising", "audio-denoising", "3d-completion", "language-spelling", "language-pattern")
"""Tasks whose input has the form of an answer."""

BY_ID = pytest.mark.parametrize("starter", TASKS, ids=lambda starter: starter.task.id)


def build(folder: Path, samples: int, seed: int) -> dict[str, bytes]:
    Starter().build(folder, samples=samples, seed=seed)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def score(starter: StarterTask, answers: Iterator[Part], samples: int) -> float:
    task = starter.task
    measure = metric(task.metric, task.worst, task.labels)
    references = [starter.example(index, seed=3).reference for index in range(samples)]
    return measure.finish(
        [
            measure.sample(extract(task.extractor, (answer,), task), [reference])
            for answer, reference in zip(answers, references, strict=False)
        ]
    )


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    assert build(tmp_path / "one", 3, 7) == build(tmp_path / "two", 3, 7)


def test_another_seed_writes_other_samples(tmp_path: Path) -> None:
    one, two = build(tmp_path / "one", 2, 7), build(tmp_path / "two", 2, 8)
    assert all(one[name] != two[name] for name in one if name.startswith("media/"))


def test_a_negative_seed_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not -1"):
        Starter().build(tmp_path, samples=1, seed=-1)


def test_a_larger_suite_begins_with_the_smaller_one(tmp_path: Path) -> None:
    small, large = build(tmp_path / "small", 2, 7), build(tmp_path / "large", 4, 7)
    assert all(large[name].startswith(content) for name, content in small.items())


def test_the_folder_is_a_suite_without_faults(tmp_path: Path) -> None:
    build(tmp_path, 4, 1)
    assert validate(tmp_path).faults == []


def test_the_folder_gives_back_every_generated_part(tmp_path: Path) -> None:
    build(tmp_path, 3, 1)
    suite = FolderSuite(tmp_path)
    assert [task.id for task in suite.tasks] == [starter.task.id for starter in TASKS]
    for starter, task in zip(TASKS, suite.tasks, strict=True):
        assert task == starter.task
        for index, sample in enumerate(suite.samples(task)):
            example = starter.example(index, seed=1)
            assert sample.parts == example.parts
            assert sample.references == (example.reference,)


def test_every_modality_and_both_paradigms_are_there() -> None:
    covered = {(starter.task.modality, starter.task.paradigm) for starter in TASKS}
    media = set(Modality) - {Modality.LANGUAGE}
    assert covered == {
        *((modality, paradigm) for modality in media for paradigm in (Paradigm.COMPREHENSION, Paradigm.GENERATION)),
        (Modality.LANGUAGE, Paradigm.LANGUAGE),
    }
    assert len(TASKS) == 16
    assert len({starter.task.skill for starter in TASKS}) == 16


def test_the_splits_share_no_digit() -> None:
    assert sorted(index for split in Split for index in RANGES[split]) == list(range(1797))


def test_test_samples_of_digits_come_from_the_test_digits_alone() -> None:
    sources = {TASKS[0].example(index, seed=0).cluster for index in range(200)}
    assert sources <= {f"digit-{index}" for index in RANGES[Split.TEST]}


@BY_ID
def test_the_splits_differ(starter: StarterTask) -> None:
    shown = [first(starter, split) for split in Split]
    assert not any(one in other for one in shown[0] for other in shown[1:])
    assert not any(one in shown[2] for one in shown[1])


def first(starter: StarterTask, split: Split) -> list[Example]:
    return [starter.example(index, seed=0, split=split) for index in range(5)]


@BY_ID
def test_the_reference_is_a_perfect_answer(starter: StarterTask) -> None:
    answers = (starter.example(index, seed=3).reference for index in range(20))
    assert sigma(starter.task.metric, score(starter, answers, 20), "2025") == 100


@BY_ID
def test_samples_that_ask_the_same_want_the_same(starter: StarterTask) -> None:
    wanted: dict[object, Part] = {}
    for index in range(300):
        example = starter.example(index, seed=3)
        asked = (starter.task.instruction.format(**example.fields), example.parts)
        assert wanted.setdefault(asked, example.reference) == example.reference


def test_another_seed_wants_another_drawing_for_the_same_words() -> None:
    (drawing,) = [starter for starter in TASKS if starter.task.id == "image-drawing"]
    one, other = (
        {each.cluster: each for each in (drawing.example(i, seed=seed) for i in range(50))} for seed in (3, 4)
    )
    shared = one.keys() & other.keys()
    assert shared
    assert not [words for words in shared if one[words].reference == other[words].reference]


@BY_ID
def test_chance_is_what_an_answer_without_insight_scores(starter: StarterTask) -> None:
    rng = np.random.default_rng(0)
    measure = metric(starter.task.metric, starter.task.worst or 1.0, starter.task.labels)
    scores = [score(starter, (BLIND[starter.task.id](starter, rng) for _ in range(300)), 300)]
    if starter.task.id in GIVEN_BACK:
        scores.append(score(starter, (given_back(starter, index) for index in range(300)), 300))
    best = max(scores) if measure.higher_is_better else min(scores)
    allowed = {"fraction": 0.05, "dB": 0.5}.get(measure.unit, 0.1 * best)
    assert best == pytest.approx(starter.task.chance, abs=allowed)


def given_back(starter: StarterTask, index: int) -> Part:
    return next(part for part in starter.example(index, seed=3).parts if part.kind in starter.task.output)


@BY_ID
def test_the_instruction_can_be_filled(starter: StarterTask) -> None:
    filled = starter.task.instruction.format(**starter.example(0, seed=0).fields)
    assert "{" not in filled


def test_what_a_task_puts_out_is_the_kind_of_its_references() -> None:
    for starter in TASKS:
        assert starter.task.output == (Kind(starter.example(0, seed=0).reference.kind),)
