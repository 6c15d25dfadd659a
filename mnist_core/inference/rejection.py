"""Rejection of drawings by their shape, whatever a model predicts: several digits, or a filled area.

Of MNIST's first 20,000 training images it rejects 3 as several and 15 as filled (`python -m benchmarks.not_a_digit`
counts both on the test images).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import ndimage

ShapeRejection = Literal["several", "filled"]
INK_LEVEL = 100  # of 255: darker pixels do not count as ink, since two digits shrunk to 20 px are a pixel apart
MIN_SHARE, MIN_HEIGHT = 0.15, 0.6  # of a piece that may be a digit: share of all ink, share of the largest height
MAX_HALF_WIDTH = 5.7  # px, at the widest place; strokes of MNIST have 1.3, and 1 digit in 1,300 has more than this


def shape_rejection(image: np.ndarray) -> ShapeRejection | None:
    """(28, 28) uint8, light on dark, as `drawing.preprocess.to_model_input` gives it → its rejection, or None."""
    if _side_by_side(image > INK_LEVEL):
        return "several"
    return "filled" if ndimage.distance_transform_edt(np.pad(image > INK_LEVEL, 1)).max() > MAX_HALF_WIDTH else None


def _side_by_side(ink: np.ndarray) -> bool:
    """Whether two pieces, each large enough for a digit, have no column in common."""
    labels, _ = ndimage.label(ink, np.ones((3, 3)))
    boxes = ndimage.find_objects(labels)
    if len(boxes) < 2:
        return False
    areas = np.bincount(labels.ravel())[1:]
    heights = np.array([rows.stop - rows.start for rows, _ in boxes])
    large = (areas >= MIN_SHARE * areas.sum()) & (heights >= MIN_HEIGHT * heights.max())
    spans = sorted((columns.start, columns.stop) for (_, columns), kept in zip(boxes, large, strict=True) if kept)
    return any(right[0] >= left[1] for left, right in pairwise(spans))
