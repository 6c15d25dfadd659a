"""Batched augmentation: every image of a batch gets its own random affine map, in one call."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_core.config import TrainConfig


def augment(images: Tensor, config: TrainConfig) -> Tensor:
    """(N, C, H, W) float32 in [0, 1] → the same, each image turned, slanted, scaled and shifted at random.

    Uniform within `config`: ± rotation and shear (degrees), ± translation (pixels), 1 ± scaling. What comes in at
    the edges is black. Random numbers come from torch's global state.
    """
    if not (config.rotation or config.translation or config.scaling or config.shear):
        return images
    n, _, height, width = images.shape

    def uniform(limit: float) -> Tensor:
        return (torch.rand(n, device=images.device) * 2 - 1) * limit

    angle = uniform(math.radians(config.rotation))
    slant = torch.tan(uniform(math.radians(config.shear)))
    zoom = 1 / (1 + uniform(config.scaling))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    # affine_grid maps output to input positions in [-1, 1] along each side, hence the inverse zoom, the shifts in
    # half-widths, and the aspect where a coordinate of one side enters the other
    aspect = height / width
    theta = torch.stack(
        [
            torch.stack([cos, (cos * slant - sin) * aspect, uniform(2 * config.translation / width)], dim=1),
            torch.stack([sin / aspect, sin * slant + cos, uniform(2 * config.translation / height)], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)


def variants(image: Tensor, config: TrainConfig, count: int, seed: int) -> Tensor:
    """(C, H, W) uint8 → (count, C, H, W) uint8: what `count` epochs might make of the image; same seed, same ones."""
    batch = image.expand(count, *image.shape).float() / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        moved = augment(batch, config)
    return (moved * 255).round().clamp(0, 255).to(torch.uint8)
