"""Layers that torch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MaxMeanPool(nn.Module):
    """(N, C, H, W) → (N, 2C): the maximum and the mean of each channel over the image."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)


class Residual(nn.Sequential):
    """x → x + layers(x)."""

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = super().forward(x)
        return x + change
