"""What the Anthropic adapter is told beside what every hosted adapter is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from echelon.adapters.hosted.settings import HostedSettings, SamplingWord
from echelon.adapters.settings import NO_IDENTITY


@dataclass(frozen=True, kw_only=True)
class AnthropicSettings(HostedSettings):
    """Which model to ask, and how."""

    base_url: str = "https://api.anthropic.com"
    api_key_env: str | None = field(default="ANTHROPIC_API_KEY", metadata=NO_IDENTITY)
    max_tokens: int = 4096
    """Of an answer, where the request says nothing; this API has to be told."""
    sampling: tuple[SamplingWord, ...] = ("stop",)
    """The API knows no seed, and since its version 2026-10-21 neither temperature nor top-p."""
    structured: Literal["schema", "tool", "prompt"] = "schema"
    """How answers that are no text are got: a JSON schema is enforced, a tool is called, or the model is only told."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "seed" in self.sampling:
            raise ValueError("'sampling' lists seed, which this API does not take")
        thinking = self.extra_body.get("thinking")
        if self.structured == "tool" and isinstance(thinking, dict) and thinking.get("type") != "disabled":
            raise ValueError(
                "'structured: tool' forces a tool, which this API does not do while 'extra_body.thinking' is on; set "
                "'structured' to schema or prompt"
            )
