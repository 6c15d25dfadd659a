"""Invented hands: pen strokes changed in ways in which people's writing differs more than one person's does.

`jitter_strokes` (strokes.py) moves a digit as one writer does from one time to the next. These change its forms:
whether a 1 has a flag and a foot and a 7 a bar, what part of the height a loop takes, how corners are rounded, where
strokes begin and end, how far apart they lie.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection

import numpy as np

from mnist_core.drawing.strokes import Strokes, european_one

IDEAS = ("ones and sevens", "forms", "wide")
LEARNED = ("ones and sevens",)  # what trainings use: all three together cost more on MNIST (benchmarks/strangers.py)
# of a digit's longest side
STEP = 0.02  # between two points of a path once it is sampled anew
ENDS = 0.04  # standard deviation of what is added to or cut off each end of a stroke
APART = 0.03  # standard deviation of a stroke's place beside the others
HOOKS = (0.03, 0.1)  # lengths
# others
WRITTEN_ANEW = 0.5  # share of the 1s and 7s
PROPORTIONS = 0.2  # standard deviation of the logarithm of the exponent that moves the middle of a digit
LEAN, WIDTH = math.radians(15), 0.25  # as SHEAR and STRETCH of strokes.py, added to these


def invent_hand(
    strokes: Strokes, name: str, rng: np.random.Generator, y_axis: str = "down", ideas: Collection[str] = LEARNED
) -> list[np.ndarray]:
    """Pen trajectories [[[x, y], …], …] of the class `name` → those of another hand, (points, 2) float64 each.

    The unit and the direction of y are those given. `ideas` are of IDEAS: "ones and sevens" writes half of the 1s and
    7s anew, with or without flag, foot and bar; "forms" changes proportions, corners, ends and distances of strokes;
    "wide" leans and stretches the whole. Strokes without points are dropped.
    """
    paths = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not paths:
        return []
    points = np.concatenate(paths)
    middle = (points.min(0) + points.max(0)) / 2
    unit = max(*(points.max(0) - points.min(0)), 1e-9) * np.array([1, -1 if y_axis == "up" else 1])
    paths = [(path - middle) / unit for path in paths]
    if "ones and sevens" in ideas and name in _FORMS and rng.random() < WRITTEN_ANEW:
        paths = _FORMS[name](paths, rng)
    if "forms" in ideas:
        paths = _proportions(_apart([_written(path, rng) for path in paths], rng), rng)
    if "wide" in ideas:
        paths = _wide(paths, rng)
    return [path * unit + middle for path in paths]


# ---- 1 and 7 ----------------------------------------------------------------------------------------------------


def _one(paths: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """A 1 with a flag of any length up to half its height, straight or bent; one in two has a foot."""
    foot = rng.uniform(0.15, 0.6) if rng.random() < 0.5 else 0.0
    stem, *rest = european_one(rng.uniform(0.05, 0.5), foot, rng.uniform(25, 75), rng.uniform(-0.1, 0.3))
    return [path - [0, 0.5] for path in (_bent(stem, rng), *rest)]


def _seven(paths: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """The 7 without its bar where it has one, or one of a straight top and a stem, with a bar or without."""
    if rng.random() < 0.5 and len(plain := [path for path in paths if not _is_bar(path, paths)]) < len(paths):
        return plain
    top, tilt = rng.uniform(0.4, 0.8), rng.uniform(-0.1, 0.12)  # tilt: how far its left end lies below the right one
    foot = rng.uniform(0.0, 0.75) * top  # how far left of the corner the stem ends
    stem = _bent(np.array([[-top, tilt * top], [0, 0], [-foot, 1.0]]), rng)
    if rng.random() < 0.25:  # a serif
        stem = np.stack([stem[0] + (rng.uniform(-0.03, 0.03), rng.uniform(0.08, 0.2)), *stem])
    found = [stem]
    if rng.random() < 0.4:
        at, half = rng.uniform(0.4, 0.6), rng.uniform(0.1, 0.3)
        left = -foot * at
        found.append(np.array([[left - half, at], [left + half, at + rng.uniform(-0.1, 0.05)]]))
    return [path - [-top / 2, 0.5] for path in found]


def _bent(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A path of straight lines, each bowed by up to a tenth of its length."""
    share = np.linspace(0, 1, 9)[:, None]
    lines = []
    for start, end in itertools.pairwise(path):
        across = (end - start)[::-1] * [-1, 1] * rng.normal(0, 0.04)
        lines.append(start + (end - start) * share + across * 4 * share * (1 - share))
    return np.concatenate(lines)


def _is_bar(path: np.ndarray, paths: list[np.ndarray]) -> bool:
    """Whether a stroke crosses the middle of the others, flat and shorter than they."""
    low, high = np.concatenate(paths).min(0), np.concatenate(paths).max(0)
    width, height = np.ptp(path, axis=0)
    place = (path.mean(0)[1] - low[1]) / max(high[1] - low[1], 1e-9)
    longest = max(len_ for len_ in map(_length, paths))
    return bool(height < 0.5 * width and 0.25 < place < 0.75 and _length(path) < 0.6 * longest)


_FORMS: dict[str, Callable[[list[np.ndarray], np.random.Generator], list[np.ndarray]]] = {"1": _one, "7": _seven}

# ---- all digits -------------------------------------------------------------------------------------------------


def _length(path: np.ndarray) -> float:
    return float(np.hypot(*np.diff(path, axis=0).T).sum())


def _sampled(path: np.ndarray, step: float) -> np.ndarray:
    """The path with points `step` apart, first and last kept."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if along[-1] < step:
        return path
    places = np.linspace(0, along[-1], 1 + math.ceil(along[-1] / step))
    return np.stack([np.interp(places, along, path[:, axis]) for axis in (0, 1)], axis=1)


def _written(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A stroke with rounded corners or with hard ones, and other ends."""
    path = _sampled(path, STEP)
    if len(path) < 6:  # a dot
        return path
    manner = rng.random()
    if manner < 0.4:
        path = _rounded(path, rng.uniform(0.01, 0.05) / STEP)
    elif manner < 0.6:  # straight lines from corner to corner, as of a slow sampling of a fast hand
        path = _sampled(path, rng.uniform(0.06, 0.16))
    path = _ended(_ended(path, rng)[::-1], rng)[::-1]
    return path


def _rounded(path: np.ndarray, spread: float) -> np.ndarray:
    """A Gaussian mean along the path, of `spread` points; its ends stay."""
    reach = math.ceil(3 * spread)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    # mirrored through its ends, so that they stay in place
    before, after = 2 * path[0] - path[reach:0:-1], 2 * path[-1] - path[-2 : -2 - reach : -1]
    whole = np.concatenate([before, path, after])
    kernel = weights / weights.sum()
    smooth = np.stack([np.convolve(whole[:, axis], kernel, "same") for axis in (0, 1)], axis=1)
    rounded: np.ndarray = smooth[len(before) : len(before) + len(path)]
    return rounded


def _ended(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A path that stops earlier, goes on in its direction, or turns back into a hook; its beginning stays."""
    path = _sampled(path, STEP)
    if len(path) < 6:
        return path
    change = rng.normal(0, ENDS)
    cut = min(round(max(0.0, -change) / STEP), len(path) // 5)
    path = path[: len(path) - cut]
    way = path[-1] - path[-4]
    way = way / max(float(np.hypot(*way)), 1e-9)
    if change > 0:
        path = np.concatenate([path, path[-1:] + way * change])
    if rng.random() < 0.12:
        turn = math.radians(rng.uniform(80, 150)) * rng.choice([-1, 1])
        matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        path = np.concatenate([path, path[-1:] + (matrix @ way) * rng.uniform(*HOOKS)])
    return path


def _apart(paths: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Strokes at other places beside each other, and a little longer or shorter; a single one stays."""
    if len(paths) == 1:
        return paths
    centres = [path.mean(0) for path in paths]
    return [
        centre + (path - centre) * np.exp(rng.normal(0, 0.12, 2)) + rng.normal(0, APART, 2)
        for path, centre in zip(paths, centres, strict=True)
    ]


def _proportions(paths: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """What lies in the middle of the digit moves towards one of its sides: t → t ** exponent along each axis."""
    points = np.concatenate(paths)
    low, size = points.min(0), np.maximum(np.ptp(points, axis=0), 0.3)
    exponent = np.exp(rng.normal(0, PROPORTIONS, 2))
    return [low + size * np.clip((path - low) / size, 0, 1) ** exponent for path in paths]


def _wide(paths: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    lean = math.tan(rng.uniform(-LEAN, LEAN))
    stretch = math.exp(rng.uniform(-1, 1) * math.log1p(WIDTH) / 2)
    return [np.stack([path[:, 0] * stretch + lean * path[:, 1], path[:, 1] / stretch], axis=1) for path in paths]
