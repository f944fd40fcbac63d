"""Which abilities an architecture has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters.errors import SettingsError
from echelon.adapters.transformers.brushes import BRUSHES
from echelon.adapters.transformers.detector import Detector
from echelon.adapters.transformers.matcher import Matcher
from echelon.adapters.transformers.painter import Painter
from echelon.adapters.transformers.segmenter import Segmenter
from echelon.adapters.transformers.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from echelon.adapters.pytorch import Ceiling
    from echelon.adapters.transformers.ability import Ability
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.glance import Glance
    from echelon.adapters.transformers.settings import TransformersSettings


def abilities_of(checkpoint: Checkpoint, settings: TransformersSettings, ceiling: Ceiling) -> Sequence[Ability]:
    """What the checkpoint can do; SettingsError where that is nothing we know."""
    glances = _glances()
    if checkpoint.architecture in glances:
        return [glances[checkpoint.architecture](checkpoint, settings, ceiling)]
    if not type(checkpoint.model).can_generate():
        raise SettingsError(f"no call is answered by a {checkpoint.architecture}")
    writer = Writer(checkpoint, settings, ceiling)
    if checkpoint.model.config.model_type not in BRUSHES:
        return [writer]
    return [writer, Painter(checkpoint, settings, ceiling)]


def _glances() -> Mapping[str, type[Glance]]:
    """By architecture."""
    from transformers.models.auto import modeling_auto

    matchers = modeling_auto.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES.values()
    return {
        **{name: Matcher for name in matchers if not name.startswith("Blip")},
        "CLIPSegForImageSegmentation": Segmenter,
        "GroundingDinoForObjectDetection": Detector,
        "MMGroundingDinoForObjectDetection": Detector,
    }
