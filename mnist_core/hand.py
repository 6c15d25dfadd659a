"""another_hand(strokes) → the same character as somebody else might have drawn it: slanted, stretched, bent, shaky."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Strokes = Sequence[Sequence[Sequence[float]]]  # [[[x, y], …], …]

SLANT = math.radians(15)  # everything here is the end of a range about zero, or a deviation where it says so
TURN = math.radians(10)
STRETCH = 0.25  # of width to height, as a share
BEND = 0.035  # of the character's longest side: deviation of the smooth displacement
SHIFT = 0.025  # likewise, of each stroke against the others
RESIZE = 0.05  # of each stroke about its own middle, deviation


def another_hand(strokes: Strokes, chance: np.random.Generator) -> list[np.ndarray]:
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
    matrix = _affine(chance)
    waves, phases = chance.uniform(0.3, 1.2, (2, 2, 2)), chance.uniform(0, 2 * math.pi, (2, 2))
    strengths = chance.normal(0, BEND, (2, 2))
    moved = []
    for path in paths:
        at = (path - middle) / side
        own = at.mean(0)
        at = own + (at - own) * (1 + chance.normal(0, RESIZE)) + chance.normal(0, SHIFT, 2)
        # two plane waves for each coordinate, of a third of a turn to little more than one over the character
        bend = np.stack([(strengths[k] * np.sin(2 * math.pi * at @ waves[k].T + phases[k])).sum(1) for k in (0, 1)], 1)
        moved.append(((at + bend) @ matrix.T) * side + middle)
    return moved


def _affine(chance: np.random.Generator) -> np.ndarray:
    turn, slant = chance.uniform(-TURN, TURN), math.tan(chance.uniform(-SLANT, SLANT))
    stretch = math.exp(chance.uniform(-1, 1) * math.log1p(STRETCH) / 2)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return rotation @ np.array([[1, slant], [0, 1]]) @ np.diag([stretch, 1 / stretch])
