"""Two digits as strokes, drawn on a canvas."""

import numpy as np

from mnist_core.drawing.strokes import render_strokes

SEVEN = [[[0, 0], [60, 0], [20, 100]]]


EIGHT = [[[50, 50], [20, 25], [50, 0], [80, 25], [50, 50], [20, 80], [50, 100], [80, 80], [50, 50]]]


def canvas(strokes=SEVEN, **options) -> np.ndarray:
    return render_strokes(strokes, (100, 100), **options)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation at the best of nine shifts, for the centre is rounded to a pixel."""
    shifts = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    return max(float(np.corrcoef(np.roll(one, shift, (0, 1)).ravel(), other.ravel())[0, 1]) for shift in shifts)


def polygon(corners: int, number: int = 0) -> list:
    """One closed stroke of [x, y, ms] in a box of 560, for what is told apart by its corners alone."""
    turns = np.linspace(0, 2 * np.pi, corners + 1) + 0.05 * number
    points = 280 + 180 * np.stack([np.sin(turns), np.cos(turns)], axis=1)
    return [[[round(x, 1), round(y, 1), 50 * step] for step, (x, y) in enumerate(points.tolist())]]
