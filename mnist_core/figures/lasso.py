"""A lasso on a map as a short text, for an address, and which points lie within it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 64  # corners that are kept of a lasso
LEVELS = 1296  # places along each axis, two digits of base 36
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
MARGIN = 0.1  # of the map's width and height, around it: a lasso may reach beyond the points


def encode_lasso(corners: Sequence[Sequence[float]], points: np.ndarray) -> str:
    """(K, 2) corners of a polygon on the map of `points` (N, 2) → four letters a corner, relative to the map."""
    low, size = _frame(points)
    every = max(1, -(-len(corners) // MOST))
    shares = (np.asarray(corners, float).reshape(-1, 2)[::every] - low) / size
    levels = np.nan_to_num(shares * (LEVELS - 1)).round().clip(0, LEVELS - 1).astype(int)
    return "".join(DIGITS[level // 36] + DIGITS[level % 36] for level in levels.ravel().tolist())


def decode_lasso(text: str, points: np.ndarray) -> np.ndarray | None:
    """`encode_lasso`'s text → the (K, 2) corners on the map of `points`; None where it is no lasso."""
    if len(text) % 4 or not 12 <= len(text) <= 4 * MOST or set(text) - set(DIGITS):
        return None
    levels = [int(text[place : place + 2], 36) for place in range(0, len(text), 2)]
    low, size = _frame(points)
    corners: np.ndarray = low + np.array(levels).reshape(-1, 2) / (LEVELS - 1) * size
    return corners


def within(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, 2) points and the (K, 2) corners of a closed polygon → (N,) bool: which points lie inside.

    A ray from a point to the right crosses the polygon's edges an odd number of times (Shimrat, 1962).
    """
    x, y = points[:, 0].astype(float), points[:, 1].astype(float)
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def _frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corner and the size of the area that a lasso may lie in."""
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    size = np.maximum(high - low, 1e-9)
    return low - MARGIN * size, size * (1 + 2 * MARGIN)
