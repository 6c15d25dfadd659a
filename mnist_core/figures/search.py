"""Figures of a search: the best so far, all settings side by side, their importance, slices and a contour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_core.figures.style import HIGHLIGHT, LEGEND, MARGIN, QUIET, TRAIN, VALIDATION

SCALE = "Cividis"  # readable with any colour vision
SHADES = ("#9aa5b8", "#56B4E9", "#0072B2", "#009E73", "#D55E00")  # from the worst fifth of the values to the best
CELLS = 40  # a side, of the contour


@dataclass(frozen=True)
class Point:
    """A trial: its number, its validation accuracy in [0, 1], whether it was pruned, and its settings.

    A pruned one stands at the last validation that it had.
    """

    number: int
    value: float
    pruned: bool
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A setting as an axis: numbers, by their logarithm or not, or `choices` in order."""

    field: str
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def title(self) -> str:
        return self.field.replace("_", " ")

    def place(self, value: Any) -> float:
        """Where a value stands on a linear axis."""
        if self.choices:
            return float(self.choices.index(value))
        return math.log10(value) if self.log else float(value)

    def ticks(self, points: Sequence[Point]) -> tuple[list[float], list[str]]:
        """Places and texts of ticks on a linear axis."""
        if self.choices:
            return [float(place) for place in range(len(self.choices))], [_text(value) for value in self.choices]
        places = [self.place(point.settings[self.field]) for point in points]
        marks = np.linspace(min(places), max(places), 5) if places else np.array([])
        return [float(mark) for mark in marks], [f"{10**mark if self.log else mark:.3g}" for mark in marks]

    def layout(self, points: Sequence[Point]) -> dict[str, Any]:
        """The axis of a chart whose coordinates are places."""
        places, texts = self.ticks(points)
        return {"title": {"text": self.title}, "tickvals": places, "ticktext": texts, "zeroline": False}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _words(point: Point) -> str:
    told = "<br>".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in point.settings.items())
    return f"trial {point.number}{', pruned' if point.pruned else ''}<br>{told}"


def _markers(points: Sequence[Point], x: Sequence[float]) -> list[dict[str, Any]]:
    traces = []
    for pruned, name, colour, symbol in (
        (False, "finished", TRAIN, "circle"),
        (True, "pruned", QUIET, "x-thin-open"),
    ):
        chosen = [(place, point) for place, point in zip(x, points, strict=True) if point.pruned == pruned]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [place for place, _ in chosen],
                "y": [point.value for _, point in chosen],
                "marker": {"color": colour, "symbol": symbol, "size": 9, "line": {"width": 2, "color": colour}},
                "customdata": [_words(point) for _, point in chosen],
                "hovertemplate": "%{y:.2%}<br>%{customdata}<extra></extra>",
            }
        )
    return traces


def _layout(**further: Any) -> dict[str, Any]:
    return {
        "margin": MARGIN,
        "showlegend": True,
        "legend": LEGEND,
        "hovermode": "closest",
        "yaxis": {"title": {"text": "validation accuracy"}, "tickformat": ".1%"},
        **further,
    }


def best_so_far_figure(points: Sequence[Point]) -> dict[str, Any]:
    """Trials in the order in which they were begun, and the best finished one up to each."""
    best, steps = -math.inf, []
    for point in points:
        best = best if point.pruned else max(best, point.value)
        steps.append(None if best == -math.inf else best)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [point.number for point in points],
        "y": steps,
        "line": {"color": HIGHLIGHT, "width": 2.5, "shape": "hv"},
        "hovertemplate": "best so far %{y:.2%}<extra></extra>",
    }
    layout = _layout(xaxis={"title": {"text": "trial"}, "range": [-0.5, points[-1].number + 0.5]})
    return {"data": [line, *_markers(points, [point.number for point in points])], "layout": layout}


def parallel_figure(points: Sequence[Point], axes: Sequence[Axis]) -> dict[str, Any]:
    """A line for each trial through all of its settings to its validation accuracy, which colours it.

    Lines of one colour are one trace. Plotly's own parallel coordinates need WebGL, which not every browser has.
    """
    values = [point.value for point in points]
    columns = [[axis.place(point.settings[axis.field]) for point in points] for axis in axes]
    ticks = [axis.ticks(points) for axis in axes]
    lowest, highest = min(values), max(values)
    ticks.append((list(np.linspace(lowest, highest, 3)), [f"{mark:.1%}" for mark in np.linspace(lowest, highest, 3)]))
    ends = [
        (min(*places, *found), max(*places, *found))
        for places, (found, _) in zip([*columns, values], ticks, strict=True)
    ]
    lines = [
        [_share(place, *end) for place, end in zip(row, ends, strict=True)]
        for row in zip(*columns, values, strict=True)
    ]
    across = list(range(len(ends)))
    traces = []
    for number, colour in enumerate(SHADES):  # the best last, on top
        chosen = [
            (line, point)
            for line, point in zip(lines, points, strict=True)
            if min(int(line[-1] * len(SHADES)), len(SHADES) - 1) == number
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"shade {number}",
                "x": [x for _ in chosen for x in (*across, None)],
                "y": [y for line, _ in chosen for y in (*line, None)],
                "line": {"color": colour, "width": 2},
                "marker": {"size": 5, "color": colour},
                "customdata": [f"{point.value:.2%}<br>{_words(point)}" for _, point in chosen for _ in (*across, None)],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    titles = [*(axis.title for axis in axes), "validation"]
    layout = {
        "margin": {"l": 24, "r": 56, "t": 40, "b": 16},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {
            "tickvals": across,
            "ticktext": titles,
            "side": "top",
            "range": [-0.1, len(across) - 0.8],
            "fixedrange": True,
        },
        "yaxis": {"visible": False, "range": [-0.05, 1.05], "fixedrange": True},
        "annotations": [
            {"x": x, "y": _share(place, *end), "text": text, "showarrow": False, "xanchor": "left", "xshift": 6}
            for x, ((places, texts), end) in enumerate(zip(ticks, ends, strict=True))
            for place, text in zip(places, texts, strict=True)
        ],
        "dragmode": False,
    }
    return {"data": traces, "layout": layout}


def _share(place: float, low: float, high: float) -> float:
    return (place - low) / (high - low) if high > low else 0.5


def importance_figure(shares: Mapping[str, float]) -> dict[str, Any]:
    """How much of the variance each setting explains, in [0, 1], as bars."""
    names = list(shares)[::-1]
    bar = {
        "type": "bar",
        "orientation": "h",
        "x": [shares[name] for name in names],
        "y": [name.replace("_", " ") for name in names],
        "marker": {"color": TRAIN},
        "hovertemplate": "%{x:.0%}<extra></extra>",
    }
    layout = {
        "margin": {**MARGIN, "l": 120},
        "showlegend": False,
        "xaxis": {"title": {"text": "share of the variance"}, "tickformat": ".0%", "range": [0, 1]},
        "yaxis": {"fixedrange": True},
    }
    return {"data": [bar], "layout": layout}


def slice_figure(points: Sequence[Point], axis: Axis) -> dict[str, Any]:
    """The validation accuracy of all trials against one setting."""
    places = [axis.place(point.settings[axis.field]) for point in points]
    return {"data": _markers(points, places), "layout": _layout(xaxis=axis.layout(points))}


def contour_figure(points: Sequence[Point], across: Axis, up: Axis) -> dict[str, Any]:
    """The validation accuracy over two settings: each cell is the mean of all trials, the near ones counting most
    (inverse distance weighting, D. Shepard, 1968)."""
    x, y = (np.array([axis.place(point.settings[axis.field]) for point in points]) for axis in (across, up))
    values = np.array([point.value for point in points])
    columns, rows = (_grid(places, axis) for places, axis in ((x, across), (y, up)))
    width, height = (max(float(np.ptp(grid)), 1e-12) for grid in (columns, rows))
    distance = ((columns[None, :, None] - x) / width) ** 2 + ((rows[:, None, None] - y) / height) ** 2
    weights = 1 / (distance + 1e-3) ** 1.5
    surface = {
        "type": "contour",
        "x": columns,
        "y": rows,
        "z": np.round((weights * values).sum(-1) / weights.sum(-1), 5),
        "colorscale": SCALE,
        "contours": {"coloring": "heatmap", "showlines": False},
        "colorbar": {"tickformat": ".0%", "thickness": 12, "title": {"text": ""}},
        "hoverinfo": "skip",
    }
    marks = {
        "type": "scatter",
        "mode": "markers",
        "name": "trials",
        "x": x,
        "y": y,
        "marker": {"color": VALIDATION, "size": 8, "line": {"color": "#ffffff", "width": 1}},
        "customdata": [f"{point.value:.2%}<br>{_words(point)}" for point in points],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    layout = {
        "margin": MARGIN,
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": across.layout(points),
        "yaxis": up.layout(points),
    }
    return {"data": [surface, marks], "layout": layout}


def _grid(places: np.ndarray, axis: Axis) -> np.ndarray:
    if axis.choices:
        return np.linspace(-0.5, len(axis.choices) - 0.5, CELLS)
    return np.linspace(places.min(), places.max(), CELLS)
