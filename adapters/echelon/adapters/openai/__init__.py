"""Asks models over the API that OpenAI, and many servers after it, speak; docs/hosted.md has settings for some."""

from echelon.adapters.openai.adapter import OpenAI
from echelon.adapters.openai.settings import ImageSettings, OpenAISettings

__all__ = ["ImageSettings", "OpenAI", "OpenAISettings"]
