"""Asks models over the Anthropic API."""

from echelon.adapters.anthropic.adapter import Anthropic
from echelon.adapters.anthropic.settings import AnthropicSettings

__all__ = ["Anthropic", "AnthropicSettings"]
