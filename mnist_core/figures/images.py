"""Images of a dataset or a model's input, as arrays for image elements."""

from __future__ import annotations

import numpy as np


def enlarge(image: np.ndarray, factor: int = 7) -> np.ndarray:
    """(H, W) or (H, W, C) uint8 → each pixel as a square of `factor` px a side."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def as_picture(image: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8 → (H, W) or (H, W, 3) uint8, as image elements expect."""
    return image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
