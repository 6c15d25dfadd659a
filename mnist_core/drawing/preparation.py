"""The preparation of a picture for a model: as a drawing, or as a whole. Training, evaluation and prediction share it.

As a drawing, the ink is found, made light on dark, cropped, scaled and centred (drawing/preprocess.py). As a whole,
the picture is shrunk in its proportions, and its ground and colours stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mnist_core.drawing.images import fit_image, flatten_alpha, size_within
from mnist_core.drawing.preprocess import as_pixels, to_model_input
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    from scipy import ndimage
else:
    ndimage = LazyModule("scipy.ndimage")

SHRUNK_SIDE = 64  # px: larger pictures are first shrunk to this, so that many of them fit into memory
# An image in MNIST's geometry is taken as it is. MNIST's own test images: longest side 17 to 20 px, centre of mass
# within 0.5 px, at most 5.4 % of the border not black; those of `digits`, centred by their box: within 3.3 px.
PREPARED_SIDES, PREPARED_OFFSET, PREPARED_BORDER = (17, 20), 3.5, 0.9
PREPARED_INK = 50  # of 255
# A set of pictures is one of drawings where nearly all of them have thin strokes on a ground of one tone.
DRAWN_SHARE = 0.9
MIN_DRAWN_SIDE = 16  # px: in smaller pictures strokes and shapes look alike
# of the border, and how far from its median. This holds for 100 % of digits cropped to the edge, for 39 % of CIFAR-10
BORDER_SHARE, BORDER_LEVELS = 0.65, 40
INK_LEVEL = 100  # of 255, in a model's input: darker pixels do not count as ink
MAX_HALF_WIDTH = 5.7  # px, at the widest place; strokes of MNIST have 1.3, and 1 digit in 1,300 has more than this


def prepare(pixels: np.ndarray, kind: str, channels: int, height: int, width: int) -> np.ndarray | None:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 → (height, width) or (height, width, 3) uint8, the input of a model.

    `kind` is "drawing" (for one channel only) or "whole". None for a drawing without ink. Raises
    DrawingError for another shape.
    """
    pixels = as_pixels(pixels)
    if pixels.size == 0:
        return None
    if kind == "drawing":
        image = pixels if is_prepared(pixels) else to_model_input(pixels)
    else:
        image = shrink(pixels, channels)
    if image is not None and image.shape[:2] != (height, width):
        image = fit_image(image, height, width)
    return image


def is_prepared(pixels: np.ndarray) -> bool:
    """Whether it is a (28, 28) uint8 image, light on black, in MNIST's geometry already."""
    if pixels.shape != (28, 28) or pixels.dtype != np.uint8:
        return False
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if (border == 0).mean() < PREPARED_BORDER:
        return False
    rows, columns = np.nonzero(pixels > PREPARED_INK)
    if not len(rows) or not PREPARED_SIDES[0] <= 1 + max(np.ptp(rows), np.ptp(columns)) <= PREPARED_SIDES[1]:
        return False
    return bool(max(abs(c - 14) for c in ndimage.center_of_mass(pixels)) <= PREPARED_OFFSET)


def shrink(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 → (h, w) or (h, w, 3) uint8 of at most 64 px a side, transparency on white.

    `channels` is 1 for grey or 3 for colour. A picture within 64 px keeps its size.
    """
    picture = flatten_alpha(Image.fromarray(np.ascontiguousarray(pixels)))
    if max(picture.size) > SHRUNK_SIDE:
        size = size_within(picture.size, SHRUNK_SIDE, SHRUNK_SIDE)
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return np.array(picture.convert("L" if channels == 1 else "RGB"))


def is_filled(image: np.ndarray) -> bool:
    """Whether a (28, 28) uint8 image, light on dark, is a filled shape rather than strokes."""
    return bool(ndimage.distance_transform_edt(np.pad(image > INK_LEVEL, 1)).max() > MAX_HALF_WIDTH)


def looks_drawn(pictures: Iterable[np.ndarray]) -> bool:
    """Whether a sample of a set, each (H, W), (H, W, 3) or (H, W, 4) uint8, looks like digits or letters on one ground.

    Photos of things and filled shapes do not: their ground has many tones, or they have no thin strokes.
    """
    found = [_has_strokes(picture) for picture in pictures]
    return bool(found) and sum(found) >= DRAWN_SHARE * len(found)


def _has_strokes(pixels: np.ndarray) -> bool:
    if min(pixels.shape[:2]) < MIN_DRAWN_SIDE:
        return False
    small = shrink(pixels, 3).astype(int)
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    off = abs(border - np.median(border, axis=0)).max(axis=1)
    if (off <= BORDER_LEVELS).mean() < BORDER_SHARE:
        return False
    image = pixels if is_prepared(pixels) else to_model_input(pixels)
    return image is not None and not is_filled(image)
