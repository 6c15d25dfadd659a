"""objection(seen) → what speaks against one digit in the shape of a drawing, whatever a model says of it.

Measured on MNIST's first 20,000 training images, which are all digits: 3 look like several, 15 like a blot
(`python -m benchmarks.not_a_digit` counts both on the test images).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import ndimage

ShapeRejection = Literal["several", "filled"]
INKED = 100  # grey levels of 255 from which a pixel counts as ink: two digits shrunk to 20 px are a pixel apart
LEAST_SHARE, LEAST_HEIGHT = 0.15, 0.6  # a piece that may be a digit: of all ink, and of the tallest piece's height
THICKEST = (
    5.7  # px: half of the width of the widest place; a stroke of MNIST has 1.3, and 1 digit in 1,300 is this thick
)


def shape_rejection(seen: np.ndarray) -> ShapeRejection | None:
    """(28, 28) uint8, light on dark, as `drawing.to_model_input` gives it → why it is not one digit, or None."""
    if _stands_apart(seen > INKED):
        return "several"
    return "filled" if ndimage.distance_transform_edt(np.pad(seen > INKED, 1)).max() > THICKEST else None


def _stands_apart(ink: np.ndarray) -> bool:
    """Whether two pieces, each large enough for a digit, stand side by side with no column in common."""
    labels, _ = ndimage.label(ink, np.ones((3, 3)))
    boxes = ndimage.find_objects(labels)
    if len(boxes) < 2:
        return False
    areas = np.bincount(labels.ravel())[1:]
    heights = np.array([rows.stop - rows.start for rows, _ in boxes])
    large = (areas >= LEAST_SHARE * areas.sum()) & (heights >= LEAST_HEIGHT * heights.max())
    spans = sorted((columns.start, columns.stop) for (_, columns), kept in zip(boxes, large, strict=True) if kept)
    return any(right[0] >= left[1] for left, right in pairwise(spans))
