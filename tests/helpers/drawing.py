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


def _arc(x: float, y: float, rx: float, ry: float, start: float, stop: float) -> list[list[float]]:
    """Of an ellipse; degrees from the right, clockwise, as y goes down."""
    turns = np.radians(np.linspace(start, stop, 16))
    return [[x + rx * float(np.cos(a)), y + ry * float(np.sin(a))] for a in turns]


DIGITS = {  # y downwards
    0: [_arc(35, 50, 32, 50, -80, 282)],
    1: [[[8, 22], [30, 0], [30, 100]]],
    2: [[*_arc(32, 28, 28, 28, 190, 385), [2, 98], [66, 98]]],
    3: [[*_arc(30, 25, 28, 25, 200, 440), *_arc(30, 75, 32, 25, -80, 150)]],
    4: [[[38, 0], [4, 62], [66, 62]], [[48, 34], [48, 100]]],
    5: [[[8, 0], [4, 44], *_arc(28, 68, 32, 32, 230, 500)], [[8, 0], [56, 0]]],
    6: [[[50, 0], [14, 44], *_arc(32, 72, 28, 28, 190, 540)]],
    7: [[[0, 2], [60, 2], [22, 100]]],
    8: [[*_arc(32, 25, 24, 25, 90, 450), *_arc(32, 75, 30, 25, -90, 270)]],
    9: [[*_arc(30, 28, 26, 28, -20, 340), [56, 20], [50, 100]]],
}


def polygon(corners: int, number: int = 0) -> list:
    """One closed stroke of [x, y, ms] in a box of 560, for what is told apart by its corners alone."""
    turns = np.linspace(0, 2 * np.pi, corners + 1) + 0.05 * number
    points = 280 + 180 * np.stack([np.sin(turns), np.cos(turns)], axis=1)
    return [[[round(x, 1), round(y, 1), 50 * step] for step, (x, y) in enumerate(points.tolist())]]
