"""What can be set for a checkpoint; docs/transformers.md explains each key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from echelon.adapters.card import Composition
from echelon.adapters.content import Kind
from echelon.adapters.settings import NO_IDENTITY
from echelon.adapters.transformers.coordinates import Coordinates

BESIDE_COMMIT = 23
"""Characters of a version that a card has room for beside `+` and a commit of the hub: it takes 64."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """How requests become prompts."""

    template: str | None = None
    """A Jinja template instead of the checkpoint's own."""
    template_file: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """What else the template may ask for, such as `enable_thinking`."""
    system: str = ""
    labels: str = ""
    """What is added to a request that offers labels; `{labels}` stands for them."""

    def __post_init__(self) -> None:
        if self.template is not None and self.template_file is not None:
            raise ValueError("give 'template' or 'template_file', not both")


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What holds where a request says nothing; None leaves it to the checkpoint."""

    max_token_count: int = 512
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None

    def __post_init__(self) -> None:
        if self.max_token_count < 1:
            raise ValueError("'max_token_count' must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How images are drawn from text."""

    temperature: float = 1.0
    """Whatever the request says: at 0, which evaluations ask for, images come out flat."""
    guidance: float = 5.0
    """How much further the prompt pulls than no prompt; above 1."""
    aspect: str = "1:1"
    """Width to height, where the model can choose."""
    pixels: int = 518400
    """Of one image, where the model can choose."""

    def __post_init__(self) -> None:
        if self.guidance <= 1 or self.temperature <= 0:
            raise ValueError("'guidance' must be above 1, and 'temperature' above 0")


@dataclass(frozen=True, kw_only=True)
class TransformersSettings:
    """Which checkpoint to serve, and how."""

    folder: Path | None = None
    hub: str = ""
    """Instead of `folder`: OWNER/NAME on the Hugging Face hub."""
    revision: str = "main"
    """Of the hub's repository: a branch, a tag or, so that it never changes, a commit."""
    trust_remote_code: bool = False
    version: str = ""
    """Of the model, on the card; what comes from the hub has its commit added."""
    description: str = ""
    composition: Composition = Composition.SINGLE
    deterministic: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = field(default="auto", metadata=NO_IDENTITY)
    memory_gib: float | None = field(default=None, metadata=NO_IDENTITY)
    """What this process may take of the GPU's memory."""
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2", "flash_attention_3"] = "auto"
    processor: dict[str, Any] = field(default_factory=dict)
    """Overrides of the processor's own settings, such as `max_pixels`."""
    input_kinds: tuple[Kind, ...] | None = None
    output_kinds: tuple[Kind, ...] | None = None
    chat: Chat = Chat()
    generation: Generation = Generation()
    label_score: Literal["total", "per_token"] = "total"
    coordinates: Coordinates | None = None
    """How the model writes boxes; left out, it gives none."""
    video_frames: int = 8
    cut_audio: bool = False
    """Whether the end of a sound that is too long may be left out."""
    detection_threshold: float = 0.25
    """From which score on a box counts."""
    mask_threshold: float = 0.5
    """From which likelihood on a pixel counts."""
    match_text: str = "a photo of {label}"
    drawing: Drawing = Drawing()

    def __post_init__(self) -> None:
        if (self.folder is None) == (not self.hub):
            raise ValueError("give either 'folder' or 'hub'")
        if self.folder is not None and self.revision != "main":
            raise ValueError("'revision' goes with 'hub'")
        if self.hub and len(self.version) > BESIDE_COMMIT:
            raise ValueError(f"'version' may have {BESIDE_COMMIT} characters: the card adds the commit of the hub")
        if self.video_frames < 1:
            raise ValueError("'video_frames' must be at least 1")
