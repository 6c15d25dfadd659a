"""Long curves for a chart: the mean of neighbours, the mean over the last values, and the mean over trainings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Numbers = Sequence[float] | np.ndarray  # (N,)
MOST_POINTS = 400  # of a curve in a chart
PART = 65_536  # values of a long curve that are smoothed at a time


def downsample(x: Numbers, y: Numbers, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """(N,) and (N,) → at most about `most` points, each the mean of neighbours; the first and last x are kept."""
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(xs) <= most:
        return xs, ys
    edges = _edges(len(xs), most)
    means = np.add.reduceat(ys, edges[:-1]) / np.diff(edges)
    return _places(xs, edges), means


def smooth(y: Numbers, window: int = 25) -> np.ndarray:
    """(N,) → (N,) float64: the mean of the last `window` values, of fewer at the start."""
    ys = np.asarray(y, dtype=float)
    total = np.concatenate([[0.0], np.cumsum(ys)])
    ends = np.arange(1, len(ys) + 1)
    starts = np.maximum(ends - window, 0)
    means: np.ndarray = (total[ends] - total[starts]) / np.maximum(ends - starts, 1)
    return means


def smoothed(x: Numbers, y: Numbers, window: int, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """`downsample(x, smooth(y, window), most)`, which never holds much more than PART values of a long run."""
    xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(xs) <= most:
        return xs, smooth(ys, window)
    edges = _edges(len(xs), most)
    groups = max(1, PART * most // len(xs))  # whose values are in memory at a time
    means = []
    for start in range(0, most, groups):
        part = edges[start : start + groups + 1]
        values = smooth(ys[max(part[0] - window + 1, 0) : part[-1]], window)[part[0] - part[-1] :]
        means.append(np.add.reduceat(values, part[:-1] - part[0]) / np.diff(part))
    return _places(xs, edges), np.concatenate(means)


def _edges(count: int, groups: int) -> np.ndarray:
    """(groups + 1,) int: where groups of neighbours begin and end."""
    return np.linspace(0, count, groups + 1).astype(int)


def _places(xs: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The right end of each group, so that the curve reaches the last x; of the first group the left one."""
    places: np.ndarray = xs[edges[1:] - 1]
    places[0] = xs[0]
    return places


def averaged(
    curves: Sequence[tuple[Numbers, Numbers]], window: int = 1, most: int = MOST_POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """n curves (x, y) of trainings → (N,) x and (n, N) y, smoothed, with NaN where a training did not come so far.

    x is that of the curve that goes farthest, at most `most` of its places; the others are interpolated between their
    own, which gives their own values where trainings share their steps.
    """
    known = [(np.asarray(x, dtype=float), np.asarray(y, dtype=float)) for x, y in curves]
    longest = max((x for x, _ in known), key=lambda x: x[-1] if len(x) else -np.inf, default=np.empty(0))
    if not len(longest):
        return np.empty(0), np.empty((len(known), 0))
    places = np.unique(np.linspace(0, len(longest) - 1, most).astype(int)) if len(longest) > most else slice(None)
    xs = longest[places]
    wide = max(window, len(longest) // most) if window > 1 else window  # what is between two places counts too
    rows = np.full((len(known), len(xs)), np.nan)
    for row, (x, y) in zip(rows, known, strict=True):
        if len(x):
            row[:] = np.interp(xs, x, smooth(y, wide), left=np.nan, right=np.nan)
    return xs, rows
