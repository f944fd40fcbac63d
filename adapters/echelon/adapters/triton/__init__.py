"""Serves the models of a Triton server through the routes of a model folder; docs/triton.md says how."""

from echelon.adapters.triton.adapter import Triton
from echelon.adapters.triton.settings import TritonSettings

__all__ = ["Triton", "TritonSettings"]
