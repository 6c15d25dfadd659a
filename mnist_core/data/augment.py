"""Batched augmentation: every image of a batch gets its own random affine map, in one call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mnist_core.config import TrainConfig

ELASTIC_KNOTS = 4  # a side, 9 px apart: a digit spans about three, so that strokes bend smoothly


@dataclass(frozen=True)
class Draws:
    """Random numbers for a batch of `images`, of which the rows `part` are at hand.

    They are drawn for all images and those of `part` handed out: what happens to an image does not depend on how its
    batch is divided among processes. Without a `generator` they come from torch's global state.
    """

    images: int
    part: slice = field(default_factory=lambda: slice(None))
    generator: torch.Generator | None = None

    def uniform(self, device: torch.device, *shape: int) -> Tensor:
        """(part, *shape) float32 in [0, 1)."""
        return torch.rand(self.images, *shape, generator=self.generator, device=device)[self.part]

    def normal(self, device: torch.device, *shape: int) -> Tensor:
        """(part, *shape) float32, of mean 0 and standard deviation 1."""
        return torch.randn(self.images, *shape, generator=self.generator, device=device)[self.part]

    def whole(self, below: int, device: torch.device, *shape: int) -> Tensor:
        """(part, *shape) int64 from 0 to `below` - 1."""
        return torch.randint(below, (self.images, *shape), generator=self.generator, device=device)[self.part]


def augment(images: Tensor, config: TrainConfig, draws: Draws | None = None) -> Tensor:
    """(N, C, H, W) float32 in [0, 1] → the same shape and range, each image changed at random as `config` says.

    Rotation and shear (degrees), scaling (1 ±) and translation (px; whole pixels where nothing else moves) are uniform
    within ± their setting. A smooth displacement field has `elastic` px (Simard et al., 2003), mirroring probability
    1/2, `erasing` blanks a square. The outside of an image is black. Random numbers come from `draws`, or else from
    torch's global state.
    """
    if not len(images):  # of the last batch of an epoch some process may have no part
        return images
    draws = draws or Draws(len(images))
    if config.flip:
        images = torch.where(draws.uniform(images.device, 1, 1, 1) < 0.5, images.flip(3), images)
    if config.rotation or config.translation or config.scaling or config.shear or config.elastic:
        images = _warp(images, config, draws)
    if config.erasing:
        images = _erase(images, config.erasing, draws)
    return images


def _erase(images: Tensor, side: int, draws: Draws) -> Tensor:
    """A black square of `side` pixels centred anywhere in each image, cut off at the edges (arXiv:1708.04552)."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device).view(1, 1, height, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, width)
    top = draws.whole(height, images.device, 1, 1, 1) - side // 2
    left = draws.whole(width, images.device, 1, 1, 1) - side // 2
    inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return images.masked_fill(inside, 0.0)


def _warp(images: Tensor, config: TrainConfig, draws: Draws) -> Tensor:
    """Each image under an affine map and a displacement field of its own."""
    height, width = images.shape[2:]

    def uniform(limit: float) -> Tensor:
        return (draws.uniform(images.device) * 2 - 1) * limit

    angle = uniform(math.radians(config.rotation))
    shear = torch.tan(uniform(math.radians(config.shear)))
    zoom = 1 / (1 + uniform(config.scaling))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    across, down = uniform(config.translation), uniform(config.translation)
    if not (config.rotation or config.scaling or config.shear or config.elastic):
        # interpolation between pixels blurs an image, and validation images are sharp
        most = math.floor(config.translation)
        across, down = (shift.round().clamp(-most, most) for shift in (across, down))
    # affine_grid maps output to input positions, [-1, 1] along each side: hence the inverse zoom, the shifts in
    # half-widths, and the aspect ratio where the coordinate of one side enters the other
    aspect = height / width
    theta = torch.stack(
        [
            torch.stack([cos, (cos * shear - sin) * aspect, 2 * across / width], dim=1),
            torch.stack([sin / aspect, sin * shear + cos, 2 * down / height], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    if config.elastic:
        grid = grid + _displacements(images, config.elastic, draws)
    moved = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)


def _displacements(images: Tensor, pixels: float, draws: Draws) -> Tensor:
    """(N, C, H, W) → (N, H, W, 2) smooth random displacements in half-sides; standard deviation `pixels` at knots."""
    height, width = images.shape[2:]
    knots = draws.normal(images.device, 2, ELASTIC_KNOTS, ELASTIC_KNOTS)
    field = F.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return field * (2 * pixels / torch.tensor([width, height], device=images.device))


def variants(image: np.ndarray, config: TrainConfig, count: int, seed: int) -> np.ndarray:
    """(C, H, W) uint8 → (count, C, H, W) uint8: the image augmented `count` times, the same for the same seed."""
    batch = torch.from_numpy(image.copy()).expand(count, *image.shape).float() / 255
    moved = augment(batch, config, Draws(count, generator=torch.Generator().manual_seed(seed)))
    return (moved * 255).round().clamp(0, 255).to(torch.uint8).numpy()
