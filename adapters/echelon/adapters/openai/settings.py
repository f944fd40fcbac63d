"""What the OpenAI adapter is told beside what every hosted adapter is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from echelon.adapters.card import Composition
from echelon.adapters.hosted.settings import HostedSettings, SamplingWord
from echelon.adapters.settings import NO_IDENTITY


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """How images are generated."""

    by: Literal["images", "chat"] = "images"
    """By the endpoints for images, or by a chat that answers with images."""
    model: str | None = None
    """Null: the same as for words. Two models behind one name have to be declared as `composition: dispatcher`."""
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of the API's own, for example size and quality."""


@dataclass(frozen=True, kw_only=True)
class OpenAISettings(HostedSettings):
    """Which model to ask, over which server, and how."""

    base_url: str = "https://api.openai.com/v1"
    api_key_env: str | None = field(default="OPENAI_API_KEY", metadata=NO_IDENTITY)
    organization: str | None = field(default=None, metadata=NO_IDENTITY)
    project: str | None = field(default=None, metadata=NO_IDENTITY)
    sampling: tuple[SamplingWord, ...] = ("temperature", "top_p", "seed", "stop")
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """What the API calls the most tokens of an answer."""
    structured: Literal["schema", "json", "prompt"] = "schema"
    """How answers that are no text are got: a JSON schema is enforced, any JSON is, or the model is only told."""
    video: Literal["frames", "clip"] = "frames"
    """A clip is sent whole, as `video_url`; some servers take that, OpenAI does not."""
    images: ImageSettings = ImageSettings()

    def __post_init__(self) -> None:
        super().__post_init__()
        two = self.calls.generate is not None and self.images.model not in (None, self.model)
        if two and self.composition in (Composition.SINGLE, Composition.UNVERIFIED):
            raise ValueError(
                "'images.model' is another model than 'model'; set 'composition' to dispatcher, or serve each under "
                "a name of its own"
            )
