"""A vendor's PyTorch modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Trunk(nn.Module):  # type: ignore[misc]  # torch is Any here
    """Pixels to logits and features, through one hidden layer."""

    def __init__(self, width: int = 8, names: bool = False) -> None:
        super().__init__()
        self.hidden = nn.Linear(16, width)
        self.head = nn.Linear(width, 3)
        self.names = names

    def forward(self, pixels: torch.Tensor) -> Any:
        features = torch.relu(self.hidden(pixels.flatten(1)))
        logits = self.head(features)
        return {"features": features, "logits": logits} if self.names else (logits, features)


class Greedy(nn.Module):  # type: ignore[misc]  # torch is Any here
    """Has room for so many items, as a GPU would."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("tried to allocate 20.00 GiB")
        return pixels * self.scale


def not_a_module() -> str:
    """What people name by mistake."""
    return "text"
