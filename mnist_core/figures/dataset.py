"""Figures of a dataset: images per class, the split, pixel levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mnist_core.figures.style import HIGHLIGHT, LEGEND, MARGIN, TRAIN, VALIDATION
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import plotly.graph_objects as go
else:
    go = LazyModule("plotly.graph_objects")


def count_figure(counts: np.ndarray, parts: Sequence[str], classes: Sequence[str]) -> go.Figure:
    """(P, K) counts of images in `parts` (P) and `classes` (K) → a group of P bars per class."""
    colours = (TRAIN, VALIDATION, HIGHLIGHT)
    bars = [
        go.Bar(x=list(classes), y=row, name=part, marker_color=colour, hovertemplate="%{x}: %{y:,}")
        for row, part, colour in zip(counts, parts, colours, strict=True)
    ]
    figure = go.Figure(bars)
    figure.update_layout(
        margin=MARGIN,
        barmode="group",
        legend=LEGEND,
        xaxis={"type": "category", "title": "class", "fixedrange": True},
        yaxis={"title": "images", "tickformat": ",d", "fixedrange": True},
    )
    return figure


def held_out_figure(table: np.ndarray, classes: Sequence[str]) -> go.Figure:
    """(K, M) values 1 (validation), 0 (training) and nan (no image) → a row of squares per class."""
    names = np.where(np.isnan(table), "no image", np.where(table == 1, "validation", "training"))
    figure = go.Figure(
        go.Heatmap(
            z=table,
            x=np.arange(1, table.shape[1] + 1),
            y=list(classes),
            customdata=names,
            colorscale=[[0, TRAIN], [1, VALIDATION]],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="class %{y}, image %{x}: %{customdata}<extra></extra>",
        )
    )
    figure.update_layout(
        margin={"l": 48, "r": 8, "t": 8, "b": 44},
        xaxis={"title": "the class's first training images", "fixedrange": True, "showgrid": False, "zeroline": False},
        yaxis={"type": "category", "title": "class", "autorange": "reversed", "fixedrange": True, "showgrid": False},
    )
    return figure


def level_figure(values: np.ndarray, histogram: np.ndarray, axis: str) -> go.Figure:
    """(C, 256) values of levels and (C, 256) counts of pixels → steps on a log scale; `axis` is the title of x.

    One channel is grey; three are red, green and blue.
    """
    grey = len(histogram) == 1
    names = ("grey",) if grey else ("red", "green", "blue")
    figure = go.Figure()
    for place, counts, name, colour in zip(values, histogram, names, (VALIDATION, HIGHLIGHT, TRAIN), strict=False):
        figure.add_scatter(
            x=np.round(place, 5),
            # a log axis has no 0: half a pixel lies below its lower end
            y=np.maximum(counts, 0.5),
            customdata=counts,
            name=name,
            line={"shape": "hvh", "width": 1.5, "color": TRAIN if grey else colour},
            fill="tozeroy",
            hovertemplate="%{x:.4~f}: %{customdata:,} pixels",
        )
    edge = 0.01 * (values.max() - values.min())
    lowest = np.floor(np.log10(histogram[histogram > 0].min()))
    figure.update_layout(
        margin={**MARGIN, "t": 8 if grey else 28},
        showlegend=not grey,
        legend=LEGEND,
        xaxis={"title": axis, "range": [values.min() - edge, values.max() + edge], "zeroline": False},
        yaxis={
            "type": "log",
            "title": "pixels",
            "range": [lowest, np.log10(histogram.max()) + 0.1],
            "dtick": 1,
            "tickformat": "~s",
        },
    )
    return figure
