"""Pen strokes: rendered on a canvas, and varied at random as between writers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from mnist_core.errors import DrawingError

Strokes = Sequence[Sequence[Sequence[float]] | np.ndarray]  # [[[x, y], …], …], or an array (points, 2) for each
# uniform within ± these
SHEAR = math.radians(15)
ROTATION = math.radians(10)
STRETCH = 0.25  # of the ratio of width to height
# standard deviations; BEND and SHIFT in shares of the character's longest side
BEND = 0.035  # of the smooth displacement
SHIFT = 0.025  # of each stroke
SCALING = 0.05  # of each stroke about its centre


def jitter_strokes(strokes: Strokes, rng: np.random.Generator) -> list[np.ndarray]:
    """Pen trajectories [[[x, y], …], …] in any unit → a (points, 2) float64 array for each, changed at random.

    The whole character gets an affine map and a smooth bend (two slow waves along each axis); each stroke is shifted
    and scaled a little. Strokes without points are dropped.
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
        at = own + (at - own) * (1 + rng.normal(0, SCALING)) + rng.normal(0, SHIFT, 2)
        # two plane waves for each coordinate, of 0.3 to 1.2 periods over the character
        bend = np.stack([(strengths[k] * np.sin(2 * math.pi * at @ waves[k].T + phases[k])).sum(1) for k in (0, 1)], 1)
        moved.append(((at + bend) @ matrix.T) * side + middle)
    return moved


def _affine(rng: np.random.Generator) -> np.ndarray:
    angle, shear = rng.uniform(-ROTATION, ROTATION), math.tan(rng.uniform(-SHEAR, SHEAR))
    stretch = math.exp(rng.uniform(-1, 1) * math.log1p(STRETCH) / 2)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix: np.ndarray = rotation @ np.array([[1, shear], [0, 1]]) @ np.diag([stretch, 1 / stretch])
    return matrix


def european_one(flag: float, foot: float = 0.0, angle: float = 45.0, slant: float = 0.0) -> list[np.ndarray]:
    """A 1 of height 1 with a flag and a foot → its strokes, (points, 2) float64 each, y downwards.

    `flag` and `foot` are lengths in shares of the height, 0 is none; `angle` is in degrees between stem and flag;
    `slant` is how far the top leans to the right, in shares of the height.
    """
    turn = math.radians(angle)
    tip = [[-flag * math.sin(turn), flag * math.cos(turn)]] if flag else []
    strokes = [np.array([*tip, [0.0, 0.0], [0.0, 1.0]])]
    if foot:
        strokes.append(np.array([[-foot / 2, 1.0], [foot / 2, 1.0]]))
    return [np.stack([stroke[:, 0] + slant * (1 - stroke[:, 1]), stroke[:, 1]], axis=1) for stroke in strokes]


# ---- pen strokes → canvas ---------------------------------------------------------------------------------------


def aspect(strokes: Strokes) -> float:
    """The width of all strokes together over their height; very large where they have none."""
    points = np.array([point[:2] for stroke in strokes for point in stroke], np.float64)
    width, height = np.ptp(points, axis=0)
    return float(width / max(height, 1e-9))


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
    """Pen trajectories [[[x, y], …], …] in a box (w, h) → (canvas, canvas) uint8, white on black.

    The longest side of the trajectory takes the share `height` of the canvas, its middle lies at `centre` (x, y from
    the top left, as shares of the canvas); `brush` is the diameter of the round pen in px. `height=None` keeps the
    place within the box. `y_axis="up"` counts y from the bottom of the box. Raises DrawingError where no stroke has a
    point, and for another `y_axis`.
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
    fine = 4  # drawn at four times the size and averaged: 17 grey levels at edges
    image = Image.new("L", (canvas * fine, canvas * fine))
    pen = ImageDraw.Draw(image)
    radius = brush * fine / 2
    for path in np.split(points * fine, np.cumsum([len(path) for path in paths])[:-1]):
        pen.line([tuple(point) for point in path], fill=255, width=round(brush * fine))
        for x, y in path:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.reduce(fine))
