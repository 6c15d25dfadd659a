"""Several runs or settings in one picture: arrays in, Plotly figures out, one colour and one marker for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mnist_core.curves import downsample, mark_layout, smooth

# Okabe and Ito (2008): told apart with any colour vision, which tests/test_overlays.py measures
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
# Plotly's names → the same as text, for a legend outside the picture
SYMBOLS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "x": "✖", "star": "★"}
DASHES = {"solid": "━", "dash": "╍", "dot": "┉"}


@dataclass(frozen=True)
class Line:
    """One measurement of one run. `place` chooses colour and marker; `window` smooths over so many values, 1 not."""

    name: str
    place: int
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "train"
    window: int = 1


@dataclass(frozen=True)
class Mark:
    """Something that happened to the run at `place` (as in Line), at `x`."""

    place: int
    x: float
    label: str


def overlay_figure(
    lines: Sequence[Line],
    title: str,
    x_title: str,
    percent: bool = False,
    log: bool = False,
    marks: Sequence[Mark] = (),
) -> go.Figure:
    """Training lines solid, with what they were before smoothing faint behind; validation dotted, with markers.

    The legend is left to the page (see `key`): several pictures share one, and it finds room on a phone. On a log axis
    values of 0 or less have no place and are left out.
    """
    faint, strong = [], []
    for line in sorted(lines, key=lambda line: line.kind):
        y = line.y
        if line.kind == "train" and line.window > 1:
            raw = _trace(line, *downsample(line.x, y), percent)
            quiet = {"opacity": 0.35, "hoverinfo": "skip", "hovertemplate": None}
            faint.append({**raw, **quiet, "line": {**raw["line"], "width": 1}})
            y = smooth(y, line.window)
        strong.append(_trace(line, *downsample(line.x, y), percent))
    right = max((max(line.x, default=0.0) for line in lines), default=0.0)
    marked = mark_layout([(mark.x, mark.label, _look(mark.place)[0]) for mark in marks], right, top=not percent)
    return go.Figure(faint + strong, {**_layout(title, x_title, percent, log), **marked})


@dataclass(frozen=True)
class Band:
    """Several trainings of one setting: `curves` is (trainings, N) over the N places `x`; `place` as in Line."""

    name: str
    place: int
    x: Sequence[float]
    curves: np.ndarray


def band_figure(bands: Sequence[Band], title: str, x_title: str, log: bool = False) -> go.Figure:
    """Means over trainings as lines, each over a pale band of one sample standard deviation to both sides.

    The seventh to twelfth lines are dashed, those after dotted.
    """
    areas, lines = [], []
    for band in bands:
        colour, symbol, dash = _look(band.place)
        x, mean = np.asarray(band.x, dtype=float), np.mean(band.curves, axis=0)
        spread = np.std(band.curves, axis=0, ddof=1) if len(band.curves) > 1 else np.zeros_like(mean)
        # a log axis has no place for 0 or less: there the band ends far below its line
        low = np.maximum(mean - spread, mean / 100) if log else mean - spread
        areas.append(
            {
                "type": "scatter",
                "name": f"{band.name} band",
                "x": np.concatenate([x, x[::-1]]),
                "y": np.round(np.concatenate([mean + spread, low[::-1]]), 6),
                "fill": "toself",
                "mode": "none",
                "fillcolor": f"rgba({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))}, 0.18)",
                "hoverinfo": "skip",
            }
        )
        lines.append(
            {
                "type": "scatter",
                "name": band.name,
                "x": x,
                "y": np.round(mean, 6),
                "mode": "lines+markers",
                "line": {"color": colour, "width": 2.5, "dash": dash},
                "marker": {"symbol": symbol, "size": 7, "color": colour},
                "hovertemplate": "%{y:.4f} at %{x:,.4~g}",
            }
        )
    return go.Figure(areas + lines, _layout(title, x_title, percent=False, log=log))


def key(place: int) -> tuple[str, str]:
    """(colour, line and marker as text) of what is drawn at `place`, for a legend."""
    colour, symbol, dash = _look(place)
    return colour, f"{DASHES[dash]}{SYMBOLS[symbol]}{DASHES[dash]}"


def _look(place: int) -> tuple[str, str, str]:
    """Colour, marker and dash."""
    row, column = divmod(place, len(COLOURS))
    return COLOURS[column], list(SYMBOLS)[column], list(DASHES)[row % len(DASHES)]


def _trace(line: Line, x: np.ndarray, y: np.ndarray, percent: bool) -> dict[str, Any]:
    colour, symbol, _ = _look(line.place)
    validation = line.kind == "validation"
    return {
        "type": "scatter",
        "name": line.name,
        "x": np.round(x, 4),
        "y": np.round(y, 6),
        "mode": "lines+markers" if validation else "lines",
        "line": {"color": colour, "width": 2.5, "dash": "dot" if validation else "solid"},
        "marker": {"symbol": symbol, "size": 8, "color": colour},
        "hovertemplate": f"{line.kind} %{{y:{'.2%' if percent else '.4f'}}} at %{{x:,.4~g}}",
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
        "uirevision": f"{title} {x_title} {log}",  # a zoom into steps says nothing about seconds
    }
