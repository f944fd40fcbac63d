"""Serves ONNX networks from a model folder; docs/networks.md says what such a folder holds."""

from echelon.adapters.onnx.adapter import Onnx, OnnxSettings

__all__ = ["Onnx", "OnnxSettings"]
