"""Rejection of what is no digit: by a threshold of certainty, and by the shape, whatever a model predicts.

By their shape, several digits side by side and filled areas are rejected: of MNIST's first 20,000 training images 3
as several and 15 as filled (`python -m benchmarks.not_a_digit` counts both on the test images).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.special import entr

from mnist_core.drawing.preparation import INK_LEVEL, is_filled

REJECTED_SHARE = 0.009  # of true digits, by the threshold; rejection by shape adds to it, up to 1 in 100
ShapeRejection = Literal["several", "filled"]
MIN_SHARE, MIN_HEIGHT = 0.15, 0.6  # of a piece that may be a digit: share of all ink, share of the largest height


def shape_rejection(image: np.ndarray) -> ShapeRejection | None:
    """(28, 28) uint8, light on dark, as `drawing.preprocess.to_model_input` gives it → its rejection, or None."""
    if _side_by_side(image > INK_LEVEL):  # two digits shrunk to 20 px are a pixel apart
        return "several"
    return "filled" if is_filled(image) else None


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


def certainty(probabilities: np.ndarray) -> np.ndarray:
    """(..., K) probabilities → (...) in [0, 1]: 1 - entropy / log K, which is 1 for a single class and 0 if uniform.

    It separates digits from non-digits better than the largest probability, which ignores the spread of the rest.
    """
    entropy: np.ndarray = entr(np.asarray(probabilities, np.float64)).sum(axis=-1)
    return 1 - entropy / math.log(probabilities.shape[-1])


def fit_threshold(probabilities: np.ndarray) -> float:
    """(N, K) probabilities of validation images → the certainty below which at most REJECTED_SHARE of them lie."""
    ordered = np.sort(certainty(probabilities))
    threshold = float(ordered[int(REJECTED_SHARE * len(ordered))])
    return max(0.0, math.floor(threshold * 1e6) / 1e6)
