"""Checkpoints that look once: grounding, segmentation by text, and zero-shot classification."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from echelon.adapters import (
    Answer,
    Box,
    Boxes,
    Call,
    CallSupport,
    Choice,
    Image,
    InvalidInputError,
    Kind,
    Mask,
    Request,
    Text,
)
from echelon.adapters.transformers import Transformers

Opened = Callable[..., Transformers]


def image(seed: int = 0, height: int = 40, width: int = 50) -> Image:
    return Image.from_array(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def asked(*parts: Any, instruction: str = "", labels: tuple[str, ...] = ()) -> Request:
    return Request(Call.COMPREHEND, instruction, parts, labels=labels)


def part_of(returned: Any) -> Any:
    assert isinstance(returned, Answer), returned
    (part,) = returned.parts
    return part


def numbers_of(part: Any) -> list[float]:
    """What a batch changes in the last bits only."""
    if isinstance(part, Boxes):
        boxes = [box for box in part.boxes if isinstance(box, Box)]
        return [value for box in boxes for value in (box.x_min, box.y_min, box.x_max, box.y_max, box.score or 0.0)]
    if isinstance(part, Choice):
        return [scored.score or 0.0 for scored in part.labels]
    assert isinstance(part, Mask)
    return list(part.array().ravel())


@pytest.mark.parametrize(
    ("name", "kind"), [("grounding_dino", Kind.BOXES), ("clipseg", Kind.MASK), ("clip", Kind.CHOICE)]
)
def test_a_batch_gets_the_answers_that_its_requests_get_alone(opened: Opened, name: str, kind: Kind) -> None:
    model = opened(name)
    assert model.card().calls == (CallSupport(Call.COMPREHEND, (Kind.TEXT, Kind.IMAGE), (kind,)),)
    requests = [
        asked(image(0), labels=("cat", "red dog")),
        asked(image(1), labels=("red dog", "cat")),
        asked(image(2, 60, 40), labels=("cat", "red dog")),
        asked(image(3), labels=("cat", "a box", "dog")),
    ]
    together = [part_of(returned) for returned in model.comprehend(requests)]
    by_itself = [part_of(model.comprehend([request])[0]) for request in requests]
    for one, other in zip(together, by_itself, strict=True):
        assert numbers_of(one) == pytest.approx(numbers_of(other), abs=2e-3)
    assert len({tuple(numbers_of(part)) for part in together}) == len(requests)


@pytest.mark.parametrize("name", ["grounding_dino", "clipseg", "clip"])
def test_a_bad_request_fails_alone(opened: Opened, name: str) -> None:
    good, blind, mute = opened(name).comprehend(
        [asked(image(), labels=("cat", "dog")), asked(Text("cat")), asked(image())]
    )
    assert part_of(good)
    assert isinstance(blind, InvalidInputError)
    assert isinstance(mute, InvalidInputError)


def test_more_labels_than_the_detector_reads_are_refused(opened: Opened) -> None:
    few, many = opened("grounding_dino").comprehend([asked(image(), labels=("cat",) * count) for count in (100, 200)])
    assert part_of(few)
    assert isinstance(many, InvalidInputError)
    assert "takes 402 tokens, and the model reads 256" in str(many)


def test_boxes_are_those_of_the_phrases(checkpoint: Callable[[str], Path], opened: Opened) -> None:
    folder = checkpoint("grounding_dino")
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()
    picture = image(5, 64, 96)
    read = processor(images=[picture.array()], text="red dog. cat.", return_tensors="pt")
    with torch.no_grad():
        outputs = model(**read)
    (found,) = processor.post_process_grounded_object_detection(
        outputs, read.input_ids, threshold=0, target_sizes=[(64, 96)]
    )
    # [CLS] red dog . cat . [SEP]; what the model sees in the tokens of no phrase is no box of a phrase.
    likely = outputs.logits[0].sigmoid()
    by_phrase = torch.stack([likely[:, 1:3].amax(1), likely[:, 4]], 1)
    expected = []
    for place in by_phrase.amax(1).argsort(descending=True).tolist():
        corners = found["boxes"][place].clamp(min=0).minimum(torch.tensor([96.0, 64, 96, 64]))
        score, label = by_phrase[place].max(0)
        if score > 0.4 and (corners[:2] < corners[2:]).all():
            expected.append((("red dog", "cat")[label], float(score), corners.tolist()))
    request = asked(picture, labels=("red dog", "cat"))
    boxes = part_of(opened("grounding_dino", detection_threshold=0.4).comprehend([request])[0]).boxes
    assert len(boxes) > 1
    assert [box.label for box in boxes] == [label for label, _, _ in expected]
    assert [box.score for box in boxes] == pytest.approx([score for _, score, _ in expected], abs=1e-4)
    corners_given = [[box.x_min, box.y_min, box.x_max, box.y_max] for box in boxes]
    assert np.array(corners_given) == pytest.approx(np.array([corners for _, _, corners in expected]), abs=1e-2)


def test_what_to_look_for_may_be_a_text_or_the_instruction(opened: Opened) -> None:
    model = opened("clipseg")
    by_label, by_text, by_word = (
        part_of(returned).array()
        for returned in model.comprehend(
            [
                asked(image(), labels=("cat",)),
                asked(image(), Text("cat"), instruction="Segment this."),
                asked(image(), instruction="cat"),
            ]
        )
    )
    assert by_label.shape == (40, 50)
    assert (by_label == by_text).all()
    assert (by_label == by_word).all()
    assert set(np.unique(by_label)) <= {0, 1}


def test_a_mask_of_labels_counts_them_as_they_were_offered(opened: Opened) -> None:
    model = opened("clipseg", mask_threshold=0.5)
    sure = opened("clipseg", mask_threshold=0.999999)
    request = asked(image(1), labels=("background", "cat", "a dog"))
    mask = part_of(model.comprehend([request])[0])
    assert mask.labels == ("background", "cat", "a dog")
    both = [part_of(model.comprehend([asked(image(1), labels=(label,))])[0]).array() for label in ("cat", "a dog")]
    assert ((mask.array() == 0) == ~np.logical_or(*both).astype(bool)).all()
    assert (part_of(sure.comprehend([request])[0]).array() == 0).sum() > (mask.array() == 0).sum()
    without = part_of(model.comprehend([asked(image(1), labels=("cat", "a dog"))])[0])
    assert set(np.unique(without.array())) <= {0, 1}
    assert ((without.array() + 1)[mask.array() > 0] == mask.array()[mask.array() > 0]).all()


def test_a_match_is_what_the_model_itself_says(checkpoint: Callable[[str], Path], opened: Opened) -> None:
    folder, labels = checkpoint("clip"), ("cat", "dog", "box")
    processor = transformers.AutoProcessor.from_pretrained(folder)
    texts = [f"it is {label}!" for label in labels]
    read = processor(images=[image(2).array()], text=texts, padding="max_length", return_tensors="pt")
    with torch.no_grad():
        scores = transformers.CLIPModel.from_pretrained(folder)(**read).logits_per_image[0].softmax(-1)
    expected = sorted(zip(labels, scores.tolist(), strict=True), key=lambda pair: -pair[1])
    model = opened("clip", match_text="it is {label}!")
    choice = part_of(model.comprehend([asked(image(2), labels=labels)])[0])
    assert [(scored.label, scored.score) for scored in choice.labels] == [
        (label, pytest.approx(score, abs=1e-5)) for label, score in expected
    ]
