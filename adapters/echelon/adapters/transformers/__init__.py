"""Serves checkpoints of Hugging Face transformers; docs/transformers.md has the settings."""

from echelon.adapters.transformers.adapter import Transformers
from echelon.adapters.transformers.settings import TransformersSettings

__all__ = ["Transformers", "TransformersSettings"]
