"""Modules of torch from descriptions of layers, and those that torch does not have."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor, nn

from mnist_core.models import layers


class MaxMeanPool(nn.Module):
    """(N, C, H, W) → (N, 2C): the maximum and the mean of each channel over the image."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)


class Residual(nn.Sequential):
    """x → x + layers(x)."""

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = super().forward(x)
        return x + change


def build(layer: layers.Layer) -> nn.Module:
    """The module that `layer` describes, with fresh weights from torch's global random state."""
    match layer:
        case layers.Sequential(inner, drawn_first):
            others = [place for place in range(len(inner)) if place not in drawn_first]
            made = {place: build(inner[place]) for place in (*drawn_first, *others)}
            kind = Residual if isinstance(layer, layers.Residual) else nn.Sequential
            return kind(*(made[place] for place in range(len(inner))))
        case layers.MaxMeanPool():
            return MaxMeanPool()
        case layers.Activation(kind):
            activation: nn.Module = getattr(nn, kind)()
            return activation
    arguments = {field.name: getattr(layer, field.name) for field in fields(layer)}
    module: nn.Module = getattr(nn, type(layer).__name__)(**arguments)
    return module
