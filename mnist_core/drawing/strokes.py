"""Pen strokes: drawn on a canvas, and varied as another hand would write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from mnist_core.errors import DrawingError

Strokes = Sequence[Sequence[Sequence[float]] | np.ndarray]  # [[[x, y], …], …], or an array (points, 2) for each
SLANT = math.radians(15)  # everything here is the end of a range about zero, or a deviation where it says so
TURN = math.radians(10)
STRETCH = 0.25  # of width to height, as a share
BEND = 0.035  # of the character's longest side: deviation of the smooth displacement
SHIFT = 0.025  # likewise, of each stroke against the others
RESIZE = 0.05  # of each stroke about its own middle, deviation


def jitter_strokes(strokes: Strokes, rng: np.random.Generator) -> list[np.ndarray]:
    """Pen trajectories [[[x, y], …], …] in any unit → the same number of (points, 2) float64 arrays, changed at random.

    An affine map of the whole, a bend along each axis by two slow waves, and every stroke a little out of its place.
    Strokes without a point are dropped.
    """
    paths = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not paths:
        return []
    points = np.concatenate(paths)
    middle = (points.min(0) + points.max(0)) / 2
    side = max(*(points.max(0) - points.min(0)), 1e-9)
    matrix = _affine(rng)
    waves, phases = rng.uniform(0.3, 1.2, (2, 2, 2)), rng.uniform(0, 2 * math.pi, (2, 2))
    strengths = rng.normal(0, BEND, (2, 2))
    moved = []
    for path in paths:
        at = (path - middle) / side
        own = at.mean(0)
        at = own + (at - own) * (1 + rng.normal(0, RESIZE)) + rng.normal(0, SHIFT, 2)
        # two plane waves for each coordinate, of a third of a turn to little more than one over the character
        bend = np.stack([(strengths[k] * np.sin(2 * math.pi * at @ waves[k].T + phases[k])).sum(1) for k in (0, 1)], 1)
        moved.append(((at + bend) @ matrix.T) * side + middle)
    return moved


def _affine(rng: np.random.Generator) -> np.ndarray:
    turn, slant = rng.uniform(-TURN, TURN), math.tan(rng.uniform(-SLANT, SLANT))
    stretch = math.exp(rng.uniform(-1, 1) * math.log1p(STRETCH) / 2)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    matrix: np.ndarray = rotation @ np.array([[1, slant], [0, 1]]) @ np.diag([stretch, 1 / stretch])
    return matrix


# ---- pen strokes → canvas ---------------------------------------------------------------------------------------


def render_strokes(
    strokes: Strokes,
    box: tuple[float, float],
    y_axis: str = "down",
    *,
    canvas: int = 280,
    brush: float = 20,
    height: float | None = 0.7,
    centre: tuple[float, float] = (0.5, 0.5),
) -> np.ndarray:
    """Pen trajectories [[[x, y], …], …] in a box (w, h) → (canvas, canvas) uint8, white on black, as drawn by hand.

    The longest side of the pen's path takes `height` of the canvas and its middle lies at `centre` (x, y from the top
    left, in canvases); `brush` is the round pen's diameter in px. `height=None` keeps the digit's place in its box.
    `y_axis="up"` counts y from the bottom of the box. Raises DrawingError when there is no point to draw.
    """
    paths = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not paths or y_axis not in ("up", "down"):
        raise DrawingError("A drawing needs one stroke of one point at least, and y_axis 'up' or 'down'.")
    points = np.concatenate(paths)
    if y_axis == "up":
        points[:, 1] = box[1] - points[:, 1]
    low, high = points.min(0), points.max(0)
    if height is None:
        points = points * (canvas / max(box))
    else:
        scale = height * canvas / max(*(high - low), 1e-9)
        points = (points - (low + high) / 2) * scale + np.asarray(centre) * canvas
    fine = 4  # drawn at four times the size and averaged: 17 levels of edge
    sheet = Image.new("L", (canvas * fine, canvas * fine))
    pen = ImageDraw.Draw(sheet)
    radius = brush * fine / 2
    for path in np.split(points * fine, np.cumsum([len(path) for path in paths])[:-1]):
        pen.line([tuple(point) for point in path], fill=255, width=round(brush * fine))
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(sheet.reduce(fine))
