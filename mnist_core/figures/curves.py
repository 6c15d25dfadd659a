"""Figures of training curves, of one run or several, with marks for events during the training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_core.figures.bands import Band, area_trace, line_trace
from mnist_core.figures.smoothing import Numbers, downsample, smoothed
from mnist_core.figures.style import LEGEND, MARGIN, QUIET, TRAIN, VALIDATION, look
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import plotly.graph_objects as go
else:
    go = LazyModule("plotly.graph_objects")

EMPTY_LOSS = [0, 2.5]  # of a chart without a point: ten classes at random have a loss of 2.3
EARLIER = ("#8A94A6", "#CC79A7", "#B8860B")
MAX_MARK_ROWS = 6  # of text, over which the labels of neighbouring marks are spread


@dataclass(frozen=True)
class Curve:
    """One line of a chart: one metric of one run. `kind` is "train" or "validation".

    `place` distinguishes runs: by colour and marker in a comparison; in the chart of one run, that run is 0, and
    earlier runs count up. A training line shows the mean of the last `window` values.
    """

    name: str
    place: int
    x: Numbers
    y: Numbers
    kind: str = "train"
    window: int = 25


def curve_figure(
    curves: Sequence[Curve | Band],
    title: str,
    epochs: float,
    percent: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> go.Figure:
    """Training curves over epochs; see `curve_spec`."""
    return go.Figure(curve_spec(curves, title, epochs, percent, marks))


def curve_spec(
    curves: Sequence[Curve | Band],
    title: str,
    epochs: float,
    percent: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> dict[str, Any]:
    """Training curves over epochs as `{"data": …, "layout": …}`, without the milliseconds of `go.Figure`'s validation.

    The x-axis spans the whole training, and the y-axis grows in steps, so that the layout of a live chart rarely
    changes. A band is of the trainings that are shown, never of earlier ones. `percent` shows shares in [0, 1] as
    percentages. `marks` are (epoch, label) of events; see `mark_layout`.
    """
    traces: list[dict[str, Any]] = []
    lowest, highest = 0.9, 0.0
    for curve in sorted(curves, key=lambda curve: -curve.place):
        validation = curve.kind == "validation"
        if isinstance(curve, Band):
            drawn, (low, high) = _band(curve, percent)
            traces += drawn
            lowest, highest = min(lowest, low), max(highest, high)
            continue
        x, y = downsample(curve.x, curve.y) if validation else smoothed(curve.x, curve.y, curve.window)
        colour = VALIDATION if validation else TRAIN
        if curve.place:
            colour = EARLIER[(curve.place - 1) % len(EARLIER)]
        if len(y):
            lowest = min(lowest, float(np.quantile(y, 0.1)))
            highest = max(highest, float(np.nanmax(y, initial=0.0)))
        traces.append(
            {
                "type": "scatter",
                "x": np.round(x, 4),
                "y": np.round(y, 5),
                "name": curve.name,
                "mode": "lines+markers" if validation else "lines",
                "line": {
                    "color": colour,
                    "width": 1.5 if curve.place else 2.5,
                    "dash": "dot" if validation else "solid",
                },
                "marker": {"size": 5 if curve.place else 8, "symbol": "circle"},
                "opacity": 0.75 if curve.place else 1.0,
                "hovertemplate": "%{y:.2%}" if percent else "%{y:.4f}",
            }
        )
    # the last percents of an accuracy matter: the first tenth of the rise may lie below the axis
    percents = {"tickformat": ".0%", "range": [max(0.0, math.floor(lowest * 10) / 10 - 0.02), 1.005]}
    losses = {"range": [0, math.ceil(highest * 2.1) / 2] if highest else EMPTY_LOSS}
    layout = {
        "title": {"text": title, "x": 0, "font": {"size": 15}},
        "margin": MARGIN,
        "hovermode": "x unified",
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {"title": {"text": "epoch"}, "range": [0, epochs], "rangemode": "tozero"},
        "yaxis": percents if percent else losses,
        **mark_layout([(x, label, QUIET) for x, label in marks], epochs, top=not percent),
    }
    return {"data": traces, "layout": layout}


def _band(band: Band, percent: bool) -> tuple[list[dict[str, Any]], tuple[float, float]]:
    """The traces of a band in the chart of a training, and between which values it lies: the lowest tenth apart.

    What is under the pointer is no more than the mean: other data of a trace would have it drawn anew each time.
    """
    colour = VALIDATION if band.kind == "validation" else TRAIN
    line = line_trace(band, percent)
    del line["customdata"]
    line["line"] = {**line["line"], "color": colour}
    line["marker"] = {"size": 8, "symbol": "circle", "color": colour}
    line["hovertemplate"] = "%{y:.2%}" if percent else "%{y:.4f}"
    low = np.quantile(band.mean, 0.1) if len(band.mean) else 1.0
    return [area_trace(band, colour), line], (float(low), float(np.max(band.mean + band.std, initial=0.0)))


def mark_layout(marks: Sequence[tuple[float, str, str]], right: float, top: bool = True) -> dict[str, Any]:
    """(x, label, colour) of events on an x-axis that ends at `right` → dotted lines with labels.

    Labels stand at the `top` or at the bottom, neighbours on different levels, each on the wider side of its line.
    """
    lines, labels, rows = [], [], 0
    for x, label, colour in marks:
        lines.append(
            {
                "type": "line",
                "x0": x,
                "x1": x,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": colour, "dash": "dot", "width": 1.5},
            }
        )
        own = label.count("<br>") + 1
        rows = 0 if rows + own > MAX_MARK_ROWS else rows
        level = rows / 13  # of the height: a row of small text in a small figure
        rows += own
        labels.append(
            {
                "x": x,
                "yref": "paper",
                "y": 1 - level if top else level,
                "yanchor": "top" if top else "bottom",
                "xanchor": "left" if x < 0.6 * right else "right",
                "align": "left",
                "text": label,
                "showarrow": False,
                "font": {"size": 11},
            }
        )
    return {"shapes": lines, "annotations": labels} if marks else {}


@dataclass(frozen=True)
class Mark:
    """An event of the run at `place` (as in Curve), at `x`."""

    place: int
    x: float
    label: str


def overlay_figure(
    curves: Sequence[Curve | Band],
    title: str,
    x_title: str,
    percent: bool = False,
    log: bool = False,
    marks: Sequence[Mark] = (),
) -> go.Figure:
    """Training lines solid, before smoothing faint behind; validation lines dotted, with markers; bands behind means.

    The legend is left to the page (see `key`), as several figures share one. On a log axis, which has no 0, values of
    0 are markers at its bottom, which say so.
    """
    faint, strong, zeros = [], [], []
    for curve in sorted(curves, key=lambda curve: curve.kind):
        if isinstance(curve, Band):
            faint.append(area_trace(curve, look(curve.place)[0], log))
            strong.append(line_trace(curve, percent))
            continue
        points = downsample(curve.x, curve.y)
        if curve.kind == "train" and curve.window > 1:
            raw = _trace(curve, *points, percent)
            quiet = {"opacity": 0.35, "hoverinfo": "skip", "hovertemplate": None}
            faint.append({**raw, **quiet, "line": {**raw["line"], "width": 1}})
            points = smoothed(curve.x, curve.y, curve.window)
        strong.append(_trace(curve, *points, percent))
        if log:
            zeros.append((curve, zero_places(curve.x, curve.y)))
    below = _zero_traces(zeros, [trace["y"] for trace in faint + strong if trace.get("fill") is None])
    right = max((float(np.max(curve.x, initial=0.0)) for curve in curves), default=0.0)
    marked = mark_layout([(mark.x, mark.label, look(mark.place)[0]) for mark in marks], right, top=not percent)
    return go.Figure(faint + strong + below, {**_layout(title, x_title, percent, log), **marked})


def zero_places(x: Numbers, y: Numbers, most: int = 100) -> np.ndarray:
    """(N,) and (N,) → at most `most` values of x at which y is not above 0: what a log axis cannot show."""
    places = np.asarray(x, dtype=float)[np.asarray(y) <= 0]
    return places if len(places) <= most else places[np.linspace(0, len(places) - 1, most).astype(int)]


def _zero_traces(zeros: Sequence[tuple[Curve, np.ndarray]], shown: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Markers for the zeros of each curve, below the smallest value that is `shown`, at half of it."""
    smallest = min((float(y[y > 0].min()) for y in shown if (y > 0).any()), default=1.0)
    return [
        {
            "type": "scatter",
            "name": f"{curve.name}: 0 (below the scale)",
            "x": np.round(x, 4),
            "y": np.full(len(x), smallest / 2),
            "mode": "markers",
            "marker": {"symbol": "triangle-down-open", "size": 9, "color": look(curve.place)[0]},
            "hovertemplate": f"{curve.kind} 0 (below the scale) at %{{x:,.4~g}}<extra></extra>",
        }
        for curve, x in zeros
        if len(x)
    ]


def band_figure(bands: Sequence[Band], title: str, x_title: str, log: bool = False) -> go.Figure:
    """Means over trainings as lines with markers, each with a band of ± one sample standard deviation.

    The seventh to twelfth lines are dashed, later ones dotted.
    """
    areas = [area_trace(band, look(band.place)[0], log) for band in bands]
    lines = [{**line_trace(band), "mode": "lines+markers"} for band in bands]
    return go.Figure(areas + lines, _layout(title, x_title, percent=False, log=log))


def _trace(curve: Curve, x: np.ndarray, y: np.ndarray, percent: bool) -> dict[str, Any]:
    colour, symbol, _ = look(curve.place)
    validation = curve.kind == "validation"
    return {
        "type": "scatter",
        "name": curve.name,
        "x": np.round(x, 4),
        "y": np.round(y, 6),
        "mode": "lines+markers" if validation else "lines",
        "line": {"color": colour, "width": 2.5, "dash": "dot" if validation else "solid"},
        "marker": {"symbol": symbol, "size": 8, "color": colour},
        "hovertemplate": f"{curve.kind} %{{y:{'.2%' if percent else '.4f'}}} at %{{x:,.4~g}}",
    }


def _layout(title: str, x_title: str, percent: bool, log: bool) -> dict[str, Any]:
    y: dict[str, Any] = {"type": "log", "dtick": "D1", "exponentformat": "none"} if log else {}
    if percent:
        y["tickformat"] = ".0%"
    return {
        "title": {"text": title, "x": 0, "font": {"size": 15}},
        "margin": {"l": 56, "r": 12, "t": 36, "b": 44},
        "hovermode": "closest",
        "showlegend": False,
        "xaxis": {"title": {"text": x_title}, "rangemode": "tozero"},
        "yaxis": y,
        "uirevision": f"{title} {x_title} {log}",  # a zoom is kept for the same axes only
    }
