"""The two ways to compute a metric of General-Bench: right, or as the official evaluators do it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

from echelon.adapters.settings import nearest
from echelon.scorer.errors import NotComputedError, UnknownNameError

Profile: TypeAlias = Literal["strict", "official"]
PROFILES: tuple[Profile, ...] = get_args(Profile)

OFFICIAL: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("accuracy", "audio"): "accuracy_official",
        ("accuracy", "language"): "accuracy_official",
        ("accuracy", "video"): "accuracy_contains_official",
        ("bleu1", "audio"): "bleu1_official",
        ("bleu1", "language"): "bleu1_official",
        ("bleu1", "video"): "bleu1",
        ("codebleu", "language"): "codebleu",
        ("m_viou", "video"): "m_viou",
        ("micro_f1", "language"): "micro_f1_official",
        # The sheet says RMSE; the script computes MAE, under another name, and drops it.
        ("rmse", "language"): "mae",
        ("rouge1", "language"): "rouge1",
        ("token_f1", "language"): "token_f1_official",
    }
)
"""What the official code computes for a metric of ours in a modality; it has none for images and 3D."""


def in_profile(name: str, profile: str, modality: str) -> str:
    """The metric that computes `name` in a profile; NotComputedError where no official code for it runs."""
    if profile not in PROFILES:
        raise UnknownNameError(f"there is no profile {profile!r}{nearest(profile, PROFILES)}")
    if profile == "strict":
        return name
    if (name, modality) not in OFFICIAL:
        raise NotComputedError(f"General-Bench has no evaluator of {name} for {modality} that runs; use profile strict")
    return OFFICIAL[name, modality]
