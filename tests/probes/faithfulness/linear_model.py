"""A linear model in float64: everything that is measured of it can be worked out."""

import torch
from torch import nn

import vit_widgets as vw

SIZE = (6, 8)
CLASSES = 3


class Linear(nn.Module):
    """Scores are sums of pixels with weights of their own."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(3)
        weight = torch.randn(CLASSES, 3, *SIZE, generator=draws, dtype=torch.float64)
        self.weight = nn.Parameter(scale * weight)
        self.bias = nn.Parameter(torch.tensor([0.5, -0.25, 0.0], dtype=torch.float64))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Score a batch: (image, class)."""
        return pixels.flatten(1) @ self.weight.flatten(1).T + self.bias


def linear(scale: float = 1.0) -> vw.models.VisionModel:
    """Open it; 0 makes every score constant."""
    return vw.load(Linear(scale).eval())


def pictures(count: int = 1, seed: int = 0) -> torch.Tensor:
    """Inputs of it, float64 (image, 3, 6, 8)."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, *SIZE, generator=draws, dtype=torch.float64)


def first_class(scores: torch.Tensor) -> torch.Tensor:
    """The score of class 0 itself, which adds up where its probability does not."""
    return scores[:, 0].sum()
