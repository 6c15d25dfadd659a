"""Geometry: images of digits and letters from other collections, brought to that of MNIST's.

In MNIST the longest side is 20 px of 28, and the centre of mass lies on pixel (14, 14).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_core.drawing.preparation import PREPARED_BORDER, PREPARED_INK, PREPARED_OFFSET, PREPARED_SIDES
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

SIDE, DIGIT = 28, 20  # px
PART = 4096  # images at a time


def enlarged(images: Tensor) -> Tensor:
    """(N, 1, h, w) float in [0, 255], cropped to the digits → (N, 1, 28, 28) uint8, each in the middle 20×20 px."""
    margin = (SIDE - DIGIT) // 2
    large = torch.nn.functional.interpolate(images, size=(DIGIT, DIGIT), mode="bicubic", antialias=False)
    return torch.nn.functional.pad(large, (margin,) * 4).round().clamp(0, 255).to(torch.uint8)


def in_mnists_geometry(images: Tensor) -> Tensor:
    """(N, 1, 28, 28) uint8, light on black → the same, those of another size or place scaled and moved to MNIST's.

    An image that is nearly there (see `is_prepared` in drawing/preparation.py) stays as it is, and so does one whose
    border is not black: it shows no character on a ground.
    """
    return torch.cat([_moved(part) for part in images.split(PART)]) if len(images) else images


def _moved(images: Tensor) -> Tensor:
    pixels = images[:, 0].float()
    ink = pixels > PREPARED_INK
    (top, bottom), (left, right) = (_extent(ink.any(dim=axis)) for axis in (2, 1))
    long = torch.maximum(bottom - top, right - left) + 1
    mass = pixels.sum((1, 2)).clamp(min=1)
    places = torch.arange(SIDE, dtype=torch.float32)
    row, column = ((pixels.sum(axis) * places).sum(1) / mass for axis in (2, 1))
    border = torch.cat([images[:, 0, 0], images[:, 0, -1], images[:, 0, :, 0], images[:, 0, :, -1]], 1)
    ground = (border == 0).float().mean(1) >= PREPARED_BORDER
    off = torch.maximum((row - 14).abs(), (column - 14).abs())
    there = (long >= PREPARED_SIDES[0]) & (long <= PREPARED_SIDES[1]) & (off <= PREPARED_OFFSET)
    chosen = (ground & ~there & ink.any(2).any(1)).nonzero()[:, 0]
    if not len(chosen):
        return images
    # px of the image for each px of the result; MNIST has 17 to 20 px of full ink, and interpolation adds a fringe
    scale = long[chosen] / (DIGIT - 1)
    # the pixel of the result that the centre of mass comes to: (14, 14), or as near as the digit stays inside
    shift = []
    for centre, first, last in ((row, top, bottom), (column, left, right)):
        before, after = ((end[chosen] - centre[chosen]) / scale for end in (first, last))
        target = torch.maximum(torch.minimum(torch.full_like(scale, 14), SIDE - 1 - after), -before)
        # in the units of `affine_grid`, which go from -1 to 1
        shift.append((2 * (centre[chosen] - target * scale) / (SIDE - 1)) + scale - 1)
    zero = torch.zeros_like(scale)
    theta = torch.stack([torch.stack([scale, zero, shift[1]], 1), torch.stack([zero, scale, shift[0]], 1)], 1)
    source = pixels[chosen][:, None]
    grid = torch.nn.functional.affine_grid(theta, list(source.shape), align_corners=True)
    found = torch.nn.functional.grid_sample(source, grid, align_corners=True)
    found *= 255 / found.amax((1, 2, 3), keepdim=True).clamp(min=1)
    result = images.clone()
    result[chosen] = found.round().clamp(0, 255).to(torch.uint8)
    return result


def _extent(found: Tensor) -> tuple[Tensor, Tensor]:
    """(N, L) bool → the first and the last place of each row that is true, as floats."""
    flags = found.float()
    return flags.argmax(1).float(), (found.shape[1] - 1 - flags.flip(1).argmax(1)).float()
