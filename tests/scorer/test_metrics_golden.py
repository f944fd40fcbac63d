"""Values that several libraries agree on, for metrics of text, labels, numbers, boxes, tracks and poses."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from echelon.adapters import Box, Boxes, Choice, Json, Number, Part, Tensor, Text
from echelon.adapters.errors import MissingExtraError
from echelon.scorer.metrics.registry import metric


@dataclass(frozen=True)
class Golden:
    """What a metric has to give; `entry` is the value's name in the shared file, empty where it is not there."""

    entry: str
    metric: str
    predictions: Sequence[Part]
    references: Sequence[Sequence[Part]]
    value: float
    tolerance: float = 1e-8


def texts(*values: str) -> list[Part]:
    return [Text(value) for value in values]


def choices(*sets: str) -> list[Part]:
    """Choices of labels of one letter each."""
    return [Choice.of(*labels) for labels in sets]


def alone(parts: Sequence[Part]) -> list[list[Part]]:
    return [[part] for part in parts]


def square(x: float, y: float, width: float, height: float, **more: float | str) -> Box:
    return Box(x, y, x + width, y + height, **more)  # type: ignore[arg-type]  # label, score, track_id, frame_index


SENTENCES = texts(
    "the cat sat on the mat", "a man is riding a horse on the beach", "two dogs play in the snow", "he said hello world"
)
THEIR_REFERENCES = [
    texts("the cat is on the mat", "there is a cat on the mat"),
    texts("a man rides a horse along the beach"),
    texts("two dogs are playing in the snow", "dogs in snow"),
    texts("hello world he said"),
]
ANSWERS = texts("the cat sat sat", "paris", "blue sky")
THEIR_ANSWERS = [texts("the cat sat"), texts("Paris", "paris"), texts("green grass")]
UTTERANCES = texts("this is a test", "hello duck", "the quick brown fox")
TRANSCRIPTS = alone(texts("this is the test", "hello world foo", "the quick brown fox"))
CODE = texts("def add(x, y):\n    s = x + y\n    return s\n")
THEIR_CODE = alone(texts("def add(a, b):\n    return a + b\n"))
TAGS = [Json(json.dumps(tags.split())) for tags in ("B-PER I-PER O O", "O B-ORG O O")]
THEIR_TAGS = alone([Json(json.dumps(tags.split())) for tags in ("B-PER I-PER O B-LOC", "O B-ORG I-ORG O")])
NUMBERS = [2.5, 0.0, 2.0, 8.0, 4.0]
THEIR_NUMBERS = [3.0, -0.5, 2.0, 7.0, 4.25]
DETECTIONS = [
    Boxes(
        (
            square(12, 11, 20, 20, label="a", score=0.9),
            square(48, 52, 30, 28, label="b", score=0.8),
            square(70, 70, 10, 10, label="a", score=0.4),
        )
    ),
    Boxes((square(22, 25, 38, 36, label="a", score=0.95), square(58, 12, 24, 30, label="a", score=0.6))),
    Boxes((square(8, 9, 50, 60, label="b", score=0.7), square(5, 5, 50, 60, label="a", score=0.3))),
]
OBJECTS = alone(
    [
        Boxes((square(10, 10, 20, 20, label="a"), square(50, 50, 30, 30, label="b"))),
        Boxes((square(20, 20, 40, 40, label="a"), square(60, 10, 20, 30, label="a"))),
        Boxes((square(5, 5, 50, 60, label="b"),)),
    ]
)
OVERLAPS = [0.0, 0.2, 0.45, 0.5, 0.62, 0.8, 0.91, 1.0]
TRACK = [Boxes(tuple(Box(0, 0, 100 * overlap, 100, frame_index=at) for at, overlap in enumerate(OVERLAPS)))]
THEIR_TRACK = alone([Boxes(tuple(Box(0, 0, 100, 100, frame_index=at) for at in range(len(OVERLAPS))))])
TRACKS = [
    Boxes(
        tuple(
            square(*place, track_id=track, frame_index=frame)
            for frame, track, *place in (
                (0, 1, 1, 1, 10, 10),
                (0, 2, 52, 50, 20, 20),
                (1, 1, 3, 1, 10, 10),
                (1, 3, 52, 52, 20, 20),
                (2, 1, 4, 1, 10, 10),
                (2, 3, 90, 90, 5, 5),
                (3, 1, 80, 0, 10, 10),
                (3, 3, 56, 50, 20, 20),
            )
        )
    )
]
THEIR_TRACKS = alone(
    [
        Boxes(
            tuple(
                square(*place, track_id=track, frame_index=frame)
                for frame, track, *place in (
                    (0, 1, 0, 0, 10, 10),
                    (0, 2, 50, 50, 20, 20),
                    (1, 1, 2, 0, 10, 10),
                    (1, 2, 52, 50, 20, 20),
                    (2, 1, 4, 0, 10, 10),
                    (3, 1, 6, 0, 10, 10),
                    (3, 2, 56, 50, 20, 20),
                )
            )
        )
    ]
)


def way(step_x: float, step_y: float) -> Part:
    poses = np.tile(np.eye(4), (30, 1, 1))
    poses[:, 0, 3], poses[:, 1, 3] = step_x * np.arange(30), step_y * np.arange(30)
    return Tensor.from_array(poses)


GOLDEN = [
    Golden("f1_weighted", "f1_weighted", choices(*"0222101112"), alone(choices(*"0122102102")), 0.7114285714285715),
    Golden(
        "micro_f1_label_sets",
        "micro_f1_official",
        texts("a<p>b", "c", "a<p>d<p>e", "b", ""),
        alone(texts("a<p>b<p>c", "c", "a<p>e", "d", "x")),
        0.625,
    ),
    Golden("bleu1_corpus", "bleu1", SENTENCES, THEIR_REFERENCES, 0.8),
    Golden("", "bleu1_official", SENTENCES, THEIR_REFERENCES, 0.80135036),
    Golden("", "cider", SENTENCES, THEIR_REFERENCES, 3.23112864),
    Golden("", "rouge1", SENTENCES, THEIR_REFERENCES, 0.89498492),
    Golden("", "rouge_l", SENTENCES, THEIR_REFERENCES, 0.76998492),
    Golden("token_f1", "token_f1_official", ANSWERS, THEIR_ANSWERS, 0.6190476190476191),
    Golden("token_f1", "token_f1", ANSWERS, THEIR_ANSWERS, 0.6),
    Golden("exact_match", "accuracy_official", ANSWERS, THEIR_ANSWERS, 1 / 3),
    Golden("exact_match", "exact_match", ANSWERS, THEIR_ANSWERS, 1 / 3),
    Golden("wer_corpus", "wer", UTTERANCES, TRANSCRIPTS, 3 / 11),
    Golden("", "wer_mean", UTTERANCES, TRANSCRIPTS, 0.30555556),
    Golden("ner_entity_f1", "entity_f1", TAGS, THEIR_TAGS, 0.4),
    Golden("mse", "mse_number", [*map(Number, NUMBERS)], alone([*map(Number, THEIR_NUMBERS)]), 0.3125),
    Golden(
        "pcc",
        "pcc",
        [Tensor.from_array(np.array(NUMBERS))],
        [[Tensor.from_array(np.array(THEIR_NUMBERS))]],
        0.981084928665023,
    ),
    Golden("coco_ap", "ap_coco", DETECTIONS, OBJECTS, 0.6089108910891089),
    Golden("coco_ap50", "ap50", DETECTIONS, OBJECTS, 1.0),
    Golden("", "ap75", DETECTIONS, OBJECTS, 0.66831683),
    Golden("tracking_success_auc", "success_auc", TRACK, THEIR_TRACK, 0.5416666666666666),
    Golden("mota_idf1_hota", "mota", TRACKS, THEIR_TRACKS, 0.42857142857142855),
    Golden("mota_idf1_hota", "idf1", TRACKS, THEIR_TRACKS, 0.6666666666666666),
    Golden("mota_idf1_hota", "hota", TRACKS, THEIR_TRACKS, 0.4804260531609102),
    Golden("rpe_translation", "rpe", [way(0.51, 0.01)], [[way(0.5, 0)]], 0.014142135623730973),
]
CODE_BLEU = Golden("codebleu_python", "codebleu", CODE, THEIR_CODE, 0.3527073501519461)
"""Its parser has no wheels for the newest Pythons."""


def score(golden: Golden) -> float:
    of = metric(golden.metric, worst=100.0)
    return of.finish([of.sample(*pair) for pair in zip(golden.predictions, golden.references, strict=True)])


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.metric)
def test_a_metric_has_the_agreed_value(golden: Golden) -> None:
    assert score(golden) == pytest.approx(golden.value, abs=golden.tolerance)


def test_codebleu_has_the_packages_value_or_says_what_to_install() -> None:
    if find_spec("codebleu"):
        assert score(CODE_BLEU) == pytest.approx(CODE_BLEU.value, abs=1e-9)
    else:
        with pytest.raises(MissingExtraError, match=r"echelon\[code\]"):
            score(CODE_BLEU)


def shared_values() -> dict[str, list[float]]:
    """The values of the shared file by entry; none where the file is not at hand."""
    folder = os.environ.get("ECHELON_GENERAL_BENCH")
    if folder is None:
        return {}
    entries = json.loads((Path(folder) / "metric-golden.json").read_text())
    return {name: list(numbers_in(entry["values"])) for name, entry in entries.items() if "values" in entry}


def numbers_in(value: object) -> list[float]:
    inside = value.values() if isinstance(value, dict) else []
    return (
        [float(value)] if isinstance(value, int | float) else [number for each in inside for number in numbers_in(each)]
    )


def test_the_agreed_values_are_those_of_the_shared_file() -> None:
    shared = shared_values()
    ours = {each.entry: each.value for each in [*GOLDEN, CODE_BLEU] if each.entry in shared}
    assert [
        entry for entry, value in ours.items() if not any(value == pytest.approx(v, abs=1e-6) for v in shared[entry])
    ] == []
