"""The names by which General-Level's own scripts call tasks, where they are neither the sheet's nor its short ones.

Read off the lists of tasks, classes and dimensions in the predictors and in video_generation_evaluation of the official
repository at 420b8eb.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from echelon.scorer.general_bench.naming import key

_NAMES = {
    "AcousticSceneClassification": "Acoustic Scene Recognition",
    "AnimalSoundClassification": "Animal Sound Detection",
    # BLEU-1 of 70 is what specialists reach on AudioCaps, and 55 what they reach on Clotho.
    "AudioCaptioning": "Long Audio Captioning",
    "AudioCaptions": "Long Audio Captioning",
    "AudioCaptioningClotho": "Wild Audio Captioning",
    "AudioCaptionsClotho": "Wild Audio Captioning",
    "BackgroundConsistency": "Background-Consistency Text to Video Geneation",
    "ColorMatch": "Color Aware Object Matching",
    "ComplexSceneFlowEstimate": "Optical Flow in Complex Scene Estimation",
    "CrowdTrack": "Video Object Tracking in Crowd Sense",
    "HumanHumanInteractionVideoCaptioning": "Human-Human Interaction Video Humanity Captioning",
    "HumanObjectInteractionVideoCaptioning": "Human-Object Interaction Video Humanity Captioning",
    "OtherPartTrack": "General Objects Part Tracking",
    "SoundEventClassification": "Sound Event Recognition",
    "UAVBuildingTrack": "UAV Video Building Tracking",
    "VehicleI2V": "Vehicle Image to Video Generation",
}
_TASKS: Mapping[str, str] = MappingProxyType({key(name): task for name, task in _NAMES.items()})


def official_task(name: str) -> str | None:
    """The sheet's name of the task that the official scripts call `name`; None where they have no name of their own."""
    return _TASKS.get(key(name))
