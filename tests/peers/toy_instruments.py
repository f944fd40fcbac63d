"""Embedders, judges and readers for every role, which take what can be decoded and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic_tasks import WORDS

from echelon.adapters import Audio, Choice, Image, Part, PointCloud, Tensor, Text, Video
from echelon.scorer.errors import NotComputedError
from echelon.scorer.instruments import Instruments


class ToyEmbedder:
    """Vectors of a part's bytes and, of what can be decoded, of its values."""

    name, digest = "toy", "0001"

    def embed(self, parts: Sequence[Part]) -> NDArray[np.float64]:
        return np.stack([_vector(part) for part in parts])


class ToyJudge:
    """Marks that follow from the answer."""

    name, digest = "toy", "0002"

    def judge(self, answer: Part, references: Sequence[Part]) -> float:
        return 1 + float(_vector(answer)[0] % 1) * 0.0


class ToyReader:
    """Reads words, a class or a series out of the values of a medium."""

    name, digest = "toy", "0003"

    def __init__(self, role: str) -> None:
        self._role = role

    def read(self, answer: Part) -> Part:
        vector = _vector(answer)
        if self._role == "class":
            return Choice.of(("cat", "dog", "bird")[int(abs(vector[0]) * 7) % 3])
        if self._role == "series":
            return Tensor.from_array(vector[:16])
        return Text(" ".join(WORDS[int(abs(value) * 97) % len(WORDS)] for value in vector[:6]))


class ToyInstruments(Instruments):
    """An instrument for each role."""

    def embedder(self, role: str) -> Any:
        return ToyEmbedder()

    def judge(self, role: str) -> Any:
        return ToyJudge()

    def reader(self, role: str) -> Any:
        return ToyReader(role)


def _vector(part: Part) -> NDArray[np.float64]:
    """Sixteen numbers; the first ones are means of the values, the others a hash of them."""
    if isinstance(part, Text):
        flat = np.frombuffer(part.value.encode() or b" ", np.uint8).astype(float)
    elif isinstance(part, Audio):
        flat = part.array()[0].reshape(-1).astype(float)
    elif isinstance(part, Image | Video | PointCloud):
        flat = part.array().reshape(-1).astype(float)
    else:
        raise NotComputedError(f"nothing is known of {part.kind}")
    bins = np.array_split(flat, 8)
    means = np.array([chunk.mean() if chunk.size else 0.0 for chunk in bins])
    digest = np.frombuffer(hashlib.blake2b(flat.tobytes(), digest_size=8).digest(), np.uint8) / 255
    return np.concatenate([means / (1 + np.abs(means).max()), digest]) + 1e-3
