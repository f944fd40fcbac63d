"""Metrics of text, boxes, instances and score maps against the fastest library for each, in turn on the same data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from time import process_time
from typing import Any, TypeAlias

import hotcoco
import msgspec
import numpy as np
from harness import paired, report
from pycocotools import mask as coco_masks
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sklearn.metrics import average_precision_score, roc_auc_score

from echelon.adapters import Box, Boxes, Json, Mask, Part, Tensor, Text
from echelon.scorer.metrics.registry import metric

SENTENCES = 10_000
IMAGES = 5_000
PICTURES = 500
HEIGHT, WIDTH = 480, 640
LABELS = 80
Shape: TypeAlias = Callable[[np.random.Generator, np.ndarray], dict[str, Any]]
"""An instance near a place, in COCO's form."""


def compare(
    name: str, ours: Callable[[], float], theirs: Callable[[], float], rounds: int = 5, most: float = 1.25
) -> None:
    """One line: our time and the ratio to theirs, which is `most` at most; both must give the same value."""
    assert abs(ours() - theirs()) < 1e-9, (ours(), theirs())
    mine, other, ratios = paired(lambda: timed(ours), lambda: timed(theirs), rounds)
    ratio = ratios[len(ratios) // 2]
    report(name, f"{mine * 1e3:.0f} ms, {other * 1e3:.0f} ms, ratio {ratio:.2f}", f"<= {most:g}", met=ratio <= most)


def timed(work: Callable[[], float]) -> float:
    start = process_time()
    work()
    return process_time() - start


def scored(name: str, samples: list[tuple[Part, list[Part]]]) -> float:
    of = metric(name)
    return of.finish([of.sample(*sample) for sample in samples])


def sentences() -> tuple[list[str], list[str]]:
    """Sentences of 5 to 30 words and the same with every fifth word another."""
    random = np.random.default_rng(1)
    vocabulary = np.array([f"word{n}" for n in range(5_000)])
    said, wanted = [], []
    for _ in range(SENTENCES):
        words = random.choice(vocabulary, random.integers(5, 31))
        wanted.append(" ".join(words))
        said.append(" ".join(np.where(random.random(len(words)) < 0.2, random.choice(vocabulary), words)))
    return said, wanted


def texts() -> None:
    said, wanted = sentences()
    samples: list[tuple[Part, list[Part]]] = [(Text(a), [Text(b)]) for a, b in zip(said, wanted, strict=True)]
    for name, order in (("bleu1", 1), ("bleu4", 4)):
        theirs = BLEU(tokenize="none", max_ngram_order=order, smooth_method="none")
        compare(
            f"{name} of {SENTENCES} sentences, and sacrebleu",
            lambda name=name: scored(name, samples),
            lambda theirs=theirs: theirs.corpus_score(said, [wanted]).score / 100,
        )

    def rapidfuzz_wer() -> float:
        pairs = [(a.casefold().split(), b.casefold().split()) for a, b in zip(said, wanted, strict=True)]
        return sum(Levenshtein.distance(*pair) for pair in pairs) / sum(len(b) for _, b in pairs)

    compare(f"wer of {SENTENCES} sentences, and rapidfuzz", lambda: scored("wer", samples), rapidfuzz_wer)


def boxes() -> None:
    random = np.random.default_rng(2)
    images: list[tuple[Boxes, Boxes]] = []
    for _ in range(IMAGES):
        wanted, given = [], []
        for _ in range(7):
            label, corner, size = int(random.integers(LABELS)), random.uniform(0, 400, 2), random.uniform(20, 200, 2)
            wanted.append(box(label, corner, size))
            for _ in range(5):
                guess = label if random.random() < 0.7 else int(random.integers(LABELS))
                given.append(box(guess, corner + random.normal(0, 15, 2), size, random.random()))
        images.append((Boxes(tuple(given)), Boxes(tuple(wanted))))
    samples: list[tuple[Part, list[Part]]] = [(given, [wanted]) for given, wanted in images]
    for name, place in (("ap_coco", 0), ("ap50", 1)):
        compare(
            f"{name} of {35 * IMAGES} boxes in {IMAGES} images, and hotcoco",
            lambda name=name: scored(name, samples),
            lambda place=place: hotcoco_stats(images)[place],
        )


def hotcoco_stats(images: list[tuple[Boxes, Boxes]]) -> list[float]:
    """COCO's figures from the same boxes, which hotcoco takes as COCO's mappings."""
    truth = [
        {**mapping(image, box), "id": image * 1000 + number + 1, "area": area(box), "iscrowd": 0}
        for image, (_, wanted) in enumerate(images)
        for number, box in enumerate(wanted.boxes)
    ]
    found = [
        {**mapping(image, box), "score": box.score} for image, (given, _) in enumerate(images) for box in given.boxes
    ]
    return evaluated(len(images), truth, found, "bbox")


def evaluated(count: int, truth: list[dict[str, Any]], found: list[dict[str, Any]], kind: str) -> list[float]:
    """COCO's figures by hotcoco."""
    dataset = {
        "info": {},
        "images": [{"id": i, "width": WIDTH, "height": HEIGHT} for i in range(count)],
        "categories": [{"id": i, "name": str(i)} for i in range(LABELS)],
        "annotations": truth,
    }
    gold = hotcoco.COCO(dataset)
    evaluation = hotcoco.COCOeval(gold, gold.load_res(found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    with redirect_stdout(StringIO()):
        evaluation.summarize()
    return list(evaluation.stats)


def instances(kind: str, suffix: str, shape: Shape, most: float) -> None:
    """Seven objects an image and five finds near to each, as the JSON text that models answer with."""
    random = np.random.default_rng(4)
    texts: list[tuple[bytes, bytes]] = []
    for _ in range(PICTURES):
        wanted, found = [], []
        for _ in range(7):
            label, centre = int(random.integers(LABELS)), random.uniform(60, 420, 2)
            wanted.append({"category_id": label, "iscrowd": 0, **shape(random, centre)})
            for _ in range(5):
                guess = label if random.random() < 0.7 else int(random.integers(LABELS))
                near = shape(random, centre + random.normal(0, 6, 2))
                found.append({"category_id": guess, "score": random.random(), **near})
        texts.append((msgspec.json.encode(found), msgspec.json.encode(wanted)))
    samples: list[tuple[Part, list[Part]]] = [(Json(given.decode()), [Json(truth.decode())]) for given, truth in texts]

    def theirs() -> float:
        found, wanted = (
            [{**line, "image_id": at} for at, pair in enumerate(texts) for line in msgspec.json.decode(pair[side])]
            for side in (0, 1)
        )
        truth = [{"area": 1.0, "bbox": [0, 0, 1, 1], **line, "id": at} for at, line in enumerate(wanted, 1)]
        return evaluated(PICTURES, truth, found, kind)[0]

    compare(
        f"ap_coco_{suffix} of {35 * PICTURES} finds in {PICTURES} images, and hotcoco",
        lambda: scored(f"ap_coco_{suffix}", samples),
        theirs,
        most=most,
    )


def ellipse(random: np.random.Generator, centre: np.ndarray) -> dict[str, Any]:
    radii = random.uniform(20, 60, 2)
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    inside = ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1
    packed = coco_masks.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"segmentation": {"size": packed["size"], "counts": packed["counts"].decode()}}


def person(random: np.random.Generator, centre: np.ndarray) -> dict[str, Any]:
    places = centre + np.stack([np.arange(17) % 5, np.arange(17) // 5], axis=1) * 8 + random.normal(0, 2, (17, 2))
    keypoints = np.column_stack([places, np.full(17, 2)]).ravel().tolist()
    return {"keypoints": keypoints, "num_keypoints": 17, "area": 2500.0}


def mapping(image: int, box: Box) -> dict[str, object]:
    sides = [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min]
    return {"image_id": image, "category_id": int(box.label), "bbox": sides}


def area(box: Box) -> float:
    return (box.x_max - box.x_min) * (box.y_max - box.y_min)


def box(label: int, corner: np.ndarray, size: np.ndarray, score: float | None = None) -> Box:
    (x, y), (right, low) = corner.tolist(), (corner + size).tolist()
    return Box(x, y, right, low, str(label), score)


def score_maps() -> None:
    random = np.random.default_rng(3)
    truth = random.random((4, 500, 500)) < 0.02
    levels = np.clip(random.normal(20_000 + 15_000 * truth, 8_000), 0, 65_535).astype(np.uint16)
    samples: list[tuple[Part, list[Part]]] = [
        (Tensor.from_array(given), [Mask.from_array(wanted)]) for given, wanted in zip(levels, truth, strict=True)
    ]
    for name, theirs in (("ap_anomaly", average_precision_score), ("auc", roc_auc_score)):
        compare(
            f"{name} of {truth.size} pixels, and scikit-learn",
            lambda name=name: scored(name, samples),
            lambda theirs=theirs: float(theirs(truth.ravel(), levels.ravel())),
        )


def main() -> None:
    texts()
    boxes()
    # Theirs is Rust, and ours still numpy by the mask.
    instances("segm", "masks", ellipse, most=8)
    instances("keypoints", "keypoints", person, most=2.5)
    score_maps()


if __name__ == "__main__":
    main()
