"""Geometry: images of digits and letters from other collections, brought to that of MNIST's.

In MNIST the longest side is 20 px of 28, and the centre of mass lies on pixel (14, 14).
"""

from __future__ import annotations

import numpy as np

from mnist_core.drawing.preparation import PREPARED_BORDER, PREPARED_INK, PREPARED_OFFSET, PREPARED_SIDES

SIDE, DIGIT = 28, 20  # px
PART = 4096  # images at a time
_CUBIC = -0.75  # the constant of the bicubic kernel, as torch and OpenCV have it


def cubic_weights(inputs: int, outputs: int) -> np.ndarray:
    """(outputs, inputs) float32: what each of `inputs` pixels adds to each of `outputs` in bicubic interpolation.

    R. Keys, Cubic convolution interpolation for digital image processing, 1981. The border pixel goes on outside.
    """
    place = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    weights = np.zeros((outputs, inputs))
    for near in np.floor(place) + np.arange(-1, 3)[:, None]:
        x = np.abs(place - near)
        inner = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
        outer = ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC
        column = np.clip(near, 0, inputs - 1).astype(int)
        np.add.at(weights, (np.arange(outputs), column), np.where(x <= 1, inner, outer))
    return weights.astype(np.float32)


def area_weights(inputs: int, outputs: int) -> np.ndarray:
    """(outputs, inputs) float32: each output is the mean of the inputs that it covers in part or whole."""
    place, starts = np.arange(inputs), np.arange(outputs)[:, None]
    covered = (place >= starts * inputs // outputs) & (place < -(-(starts + 1) * inputs // outputs))
    weights: np.ndarray = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


def resampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(..., h, w) images, (..., H, h) and (..., W, w) weights → (..., H, W): both axes weighed."""
    found: np.ndarray = rows @ images @ np.swapaxes(columns, -1, -2)
    return found


def enlarged(images: np.ndarray) -> np.ndarray:
    """(N, 1, h, w) in [0, 255], cropped to the digits → (N, 1, 28, 28) uint8, each in the middle 20×20 px."""
    height, width = images.shape[2:]
    large = resampled(images.astype(np.float32), cubic_weights(height, DIGIT), cubic_weights(width, DIGIT))
    margin = (SIDE - DIGIT) // 2
    return np.pad(_levels(large), ((0, 0), (0, 0), (margin, margin), (margin, margin)))


def in_mnists_geometry(images: np.ndarray) -> np.ndarray:
    """(N, 1, 28, 28) uint8, light on black → the same, those of another size or place scaled and moved to MNIST's.

    An image that is nearly there (see `is_prepared` in drawing/preparation.py) stays as it is, and so does one whose
    border is not black: it shows no character on a ground.
    """
    parts = [_moved(images[start : start + PART]) for start in range(0, len(images), PART)]
    return np.concatenate(parts) if parts else images


def _moved(images: np.ndarray) -> np.ndarray:
    pixels = images[:, 0].astype(np.float32)
    ink = pixels > PREPARED_INK
    (top, bottom), (left, right) = (_extent(np.any(ink, axis=axis)) for axis in (2, 1))
    long = np.maximum(bottom - top, right - left) + 1
    mass = np.maximum(pixels.sum(axis=(1, 2)), 1)
    places = np.arange(SIDE, dtype=np.float32)
    row, column = ((pixels.sum(axis=axis) * places).sum(axis=1) / mass for axis in (2, 1))
    border = np.concatenate([images[:, 0, 0], images[:, 0, -1], images[:, 0, :, 0], images[:, 0, :, -1]], axis=1)
    ground = (border == 0).mean(axis=1) >= PREPARED_BORDER
    off = np.maximum(np.abs(row - 14), np.abs(column - 14))
    there = (long >= PREPARED_SIDES[0]) & (long <= PREPARED_SIDES[1]) & (off <= PREPARED_OFFSET)
    chosen = np.flatnonzero(ground & ~there & ink.any(axis=(1, 2)))
    if not len(chosen):
        return images
    # px of the image for each px of the result; MNIST has 17 to 20 px of full ink, and interpolation adds a fringe
    scale = long[chosen] / (DIGIT - 1)
    weights = []
    for centre, first, last in ((row, top, bottom), (column, left, right)):
        before, after = ((end[chosen] - centre[chosen]) / scale for end in (first, last))
        # the pixel of the result that the centre of mass comes to: 14, or as near as the digit stays inside
        target = np.maximum(np.minimum(14, SIDE - 1 - after), -before)
        source = centre[chosen, None] + (places - target[:, None]) * scale[:, None]
        weights.append(np.maximum(1 - np.abs(source[:, :, None] - places), 0).astype(np.float32))  # bilinear
    found = resampled(pixels[chosen], *weights)
    found *= 255 / np.maximum(found.max(axis=(1, 2), keepdims=True), 1)
    result = images.copy()
    result[chosen, 0] = _levels(found)
    return result


def _levels(pixels: np.ndarray) -> np.ndarray:
    """Any floats → uint8, the nearest level."""
    levels: np.ndarray = pixels.round().clip(0, 255).astype(np.uint8)
    return levels


def _extent(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, L) bool → the first and the last place of each row that is true, as floats."""
    last = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1)
    return found.argmax(axis=1).astype(np.float32), last.astype(np.float32)
