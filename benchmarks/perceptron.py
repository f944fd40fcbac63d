"""The module of bench_torch.py, where the adapter can import it."""

import torch
from torch import nn

SIZE = 784


class Perceptron(nn.Module):
    """784-2048-2048-10."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(SIZE, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        return self.layers(x)
