"""Several trainings of the same settings as one line, their mean, with a band of one standard deviation around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_core.figures.smoothing import Numbers, averaged
from mnist_core.figures.style import look


@dataclass(frozen=True)
class Band:
    """Trainings that differ by their seed: `curves` is (trainings, N) over `x` (N,), with NaN where one did not come.

    `place` and `kind` are as in `curves.Curve`.
    """

    name: str
    place: int
    x: Numbers
    curves: np.ndarray
    kind: str = "train"

    @property
    def mean(self) -> np.ndarray:
        """(N,): over the trainings that came so far, at least one everywhere."""
        sums = np.nansum(self.curves, axis=0)
        return np.asarray(sums / self.count)

    @property
    def std(self) -> np.ndarray:
        """(N,): the sample standard deviation over the same; 0 where there is one training only."""
        squares = np.nansum((self.curves - self.mean) ** 2, axis=0)
        return np.asarray(np.sqrt(squares / np.maximum(self.count - 1, 1)))

    @property
    def count(self) -> np.ndarray:
        """(N,) int: how many trainings came so far."""
        return np.asarray((~np.isnan(self.curves)).sum(axis=0))


def seed_band(
    name: str, place: int, curves: Sequence[tuple[Numbers, Numbers]], kind: str = "train", window: int = 25
) -> Band:
    """The band of trainings (x, y). Training lines are means of the last `window` values, as in `curves.Curve`."""
    x, rows = averaged(curves, window if kind == "train" else 1)
    return Band(name, place, x, rows, kind)


def area_trace(band: Band, colour: str, log: bool = False) -> dict[str, Any]:
    """The band itself, ± one standard deviation; it goes with its line when the legend hides that.

    On a log axis, which has no 0, it ends far below its line.
    """
    x, mean, spread = np.asarray(band.x, dtype=float), band.mean, band.std
    low = np.maximum(mean - spread, mean / 100) if log else mean - spread
    return {
        "type": "scatter",
        "name": f"{band.name} band",
        "legendgroup": band.name,
        "showlegend": False,
        "x": np.round(np.concatenate([x, x[::-1]]), 4),
        "y": np.round(np.concatenate([mean + spread, low[::-1]]), 6),
        "fill": "toself",
        "mode": "none",
        "fillcolor": f"rgba({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))}, 0.18)",
        "hoverinfo": "skip",
    }


def line_trace(band: Band, percent: bool = False) -> dict[str, Any]:
    """The mean, which tells under the pointer how many trainings it is of."""
    colour, symbol, dash = look(band.place)
    validation, form = band.kind == "validation", ".2%" if percent else ".4f"
    return {
        "type": "scatter",
        "name": band.name,
        "legendgroup": band.name,
        "x": np.round(np.asarray(band.x, dtype=float), 4),
        "y": np.round(band.mean, 6),
        "customdata": np.column_stack([band.std, band.count]),
        "mode": "lines+markers" if validation else "lines",
        "line": {"color": colour, "width": 2.5, "dash": "dot" if validation else dash},
        "marker": {"symbol": symbol, "size": 7, "color": colour},
        "hovertemplate": f"{band.kind} %{{y:{form}}} ± %{{customdata[0]:{form}}} over %{{customdata[1]}} seeds "
        "at %{x:,.4~g}",
    }
