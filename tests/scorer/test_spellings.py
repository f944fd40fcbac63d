"""What the spellings of General-Bench mean."""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from echelon.scorer.errors import UnknownNameError
from echelon.scorer.metrics.spellings import GROUPS, canonical, group

SPELLINGS = [spelling for metrics in GROUPS.values() for spelling in metrics]


def test_there_are_46_groups_and_70_spellings() -> None:
    assert (len(GROUPS), len(SPELLINGS), len(set(SPELLINGS))) == (46, 70, 70)


def official_groups() -> list[frozenset[str]]:
    """The spellings of each official group; none where the official table is not at hand."""
    folder = os.environ.get("ECHELON_GENERAL_BENCH")
    table = json.loads((Path(folder) / "metric-aliases.json").read_text()) if folder else {}
    groups = defaultdict(set)
    for spelling, name in table.items():
        groups[name].add(spelling)
    return [frozenset(alike) for alike in groups.values()]


def test_the_groups_are_those_of_the_official_sheet() -> None:
    assert set(official_groups()) <= {frozenset(metrics) for metrics in GROUPS.values()}


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Acc", "accuracy"),
        ("ACC", "accuracy"),
        ("BLUE_1", "bleu1"),
        ("Rouge-L f", "rouge_l"),
        ("CD (Chamfer Distance)", "chamfer"),
        ("cd(chamfer  distance)", "chamfer"),
        ("map@50", "map_scannet"),
    ],
)
def test_a_spelling_names_a_metric(spelling: str, name: str) -> None:
    assert canonical(spelling) == name


@pytest.mark.parametrize(
    ("spelling", "modality", "task", "name"),
    [
        ("AUC", "video", "Ball Tracking", "success_auc"),
        ("AP50", "image", "Ship Detection", "ap50"),
        ("AP50", "image", "Vehicle Instance Segmentation", "ap50_masks"),
        ("AP50", "image", "Person Keypoint Detection", "ap50_keypoints"),
        ("AUC", "image", "Infection-map Generation", "auc"),
        ("F1", "language", "TriviaQA", "token_f1"),
        ("F1", "audio", "Speech Event Extraction", "span_f1"),
        ("F1 Score", "image", "Multimodal Relation Extraction", "span_f1"),
        ("F1 Score", "image", "American Sign Language Recognition", "macro_f1"),
        ("mIoU", "video", "Animal Video Object Segmentation", "miou_video"),
        ("PSNR", "video", "Video Denoising", "psnr_video"),
    ],
)
def test_modality_and_task_decide_what_an_ambiguous_spelling_means(
    spelling: str, modality: str, task: str, name: str
) -> None:
    assert canonical(spelling, modality=modality, task=task) == name


def test_a_spelling_has_a_group() -> None:
    assert group("BLUE_1") == group("BLEU-1") == "BLEU-1"


def test_an_unknown_spelling_is_refused_with_a_near_miss() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'BLEU-1'"):
        canonical("BLEU-l")
