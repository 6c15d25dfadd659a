"""Arrays in, Plotly figures out. One description of each picture, for a still chart and for a live one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

# Okabe and Ito's colours, told apart with any colour vision; readable on white and on black
TRAIN, VALIDATION, HIGHLIGHT, QUIET = "#0072B2", "#D55E00", "#009E73", "#8A94A6"
MOST_BARS = 20  # classes that bars have room for
MOST_NUMBERS = 20  # classes up to which the cells of a confusion matrix have room for their numbers
MARGIN = {"l": 56, "r": 12, "t": 36, "b": 44}
# above the picture; "paper" must be said, or on a phone the live chart's template puts it out of sight
LEGEND = {"orientation": "h", "yref": "paper", "y": 1.0, "yanchor": "bottom", "x": 1, "xanchor": "right"}


def probability_bars(probabilities: Sequence[float], classes: Sequence[str], chosen: int | None) -> dict[str, Any]:
    """(K,) probabilities → a bar per class, the chosen one in colour, each with its percentage; as Plotly's
    `{"data": …, "layout": …}`: to check it takes `go.Figure` a third of the time of an answer to a stroke.

    Of more than 20 classes the 20 most probable are shown, the most probable first.
    """
    values = np.asarray(probabilities, dtype=float)
    shown = np.arange(len(values)) if len(values) <= MOST_BARS else np.argsort(-values, kind="stable")[:MOST_BARS]
    values, labels = values[shown], [classes[index] for index in shown]
    bars = {
        "type": "bar",
        "x": labels,
        "y": np.round(values, 4),
        "marker": {"color": [HIGHLIGHT if index == chosen else QUIET for index in shown]},
        "text": [f"{value:.0%}" if value >= 0.005 else "" for value in values],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{x}: %{y:.2%}<extra></extra>",
    }
    ticks = {"tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    layout = {
        "margin": {"l": 44, "r": 8, "t": 24, "b": 40},
        "xaxis": {"type": "category", "title": {"text": "class"}, "fixedrange": True, **_ticks(labels, MOST_BARS)},
        "yaxis": {"range": [0, 1.08], "fixedrange": True, **ticks},
        "showlegend": False,
    }
    return {"data": [bars], "layout": layout}


def _ticks(labels: Sequence[str], most: int) -> dict[str, object]:
    """An axis's marks for class names: long ones cut in the middle, and no more than about `most` of them."""
    shown = labels[:: -(-len(labels) // most)]
    short = [name if len(name) <= 12 else f"{name[:6]}…{name[-5:]}" for name in shown]  # both ends tell
    return {"tickvals": shown, "ticktext": short, "automargin": True}


def confusion_figure(
    confusion: np.ndarray, classes: Sequence[str], normalized: bool = False, ink: str = "#1f2937"
) -> go.Figure:
    """(K, K) counts, a row per true class → a matrix whose cells can be selected. `ink` is the colour of its numbers.

    Colour shows mistakes only: on one scale with the diagonal they would all be white. A heatmap gives no selection
    events, so transparent markers lie over it; a selected point's `customdata` is [true, predicted]. Of more
    than 20 classes the cells are too small for numbers, which are then shown where the pointer is.
    """
    counts = np.asarray(confusion)
    rows = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(rows, 1)
    wrong = (shares if normalized else counts).astype(float)
    diagonal = np.eye(len(counts), dtype=bool)
    colour = np.where(diagonal, np.nan, wrong)
    labels = list(classes)

    def shown(row: int, column: int) -> str:
        if not counts[row, column]:
            return ""
        return f"{shares[row, column]:.1%}" if normalized else f"{counts[row, column]:,}"

    cells = [(row, column) for row in range(len(labels)) for column in range(len(labels))]
    numbers = len(labels) <= MOST_NUMBERS
    figure = go.Figure()
    figure.add_heatmap(
        z=colour,
        x=labels,
        y=labels,
        colorscale=[[0, "rgba(213,94,0,0.0)"], [0.001, "rgba(213,94,0,0.18)"], [1, "rgba(213,94,0,1)"]],
        zmin=0,
        zmax=max(float(np.nanmax(colour)) if len(labels) > 1 else 0.0, 1e-9),
        showscale=False,
        hoverinfo="skip",
        xgap=int(numbers),
        ygap=int(numbers),
    )
    figure.add_scatter(
        x=[labels[column] for _, column in cells],
        y=[labels[row] for row, _ in cells],
        mode="markers+text" if numbers else "markers",
        text=[f"<b>{shown(r, c)}</b>" if r == c else shown(r, c) for r, c in cells] if numbers else None,
        textfont={"size": 12, "color": ink},
        marker={
            "symbol": "square",
            "size": 34 if numbers else max(3, 400 // len(labels)),
            "color": "rgba(0,0,0,0)",
            "line": {"width": 0},
        },
        selected={"marker": {"color": "rgba(0,114,178,0.45)"}},
        # the numbers must not fade when one cell is selected
        unselected={"marker": {"opacity": 1}, "textfont": {"color": ink}},
        customdata=[[row, column] for row, column in cells],
        hovertext=[
            f"true {labels[r]}, predicted {labels[c]}: {counts[r, c]:,} of {int(rows[r, 0]):,} ({shares[r, c]:.2%})"
            for r, c in cells
        ],
        hoverinfo="text",
        showlegend=False,
    )
    axis = {"type": "category", **_ticks(labels, 25), "fixedrange": True, "showgrid": False, "zeroline": False}
    figure.update_layout(
        margin={"l": 48, "r": 8, "t": 8, "b": 48},
        xaxis={**axis, "title": "predicted", "range": [-0.5, len(labels) - 0.5]},
        yaxis={**axis, "title": "true", "range": [len(labels) - 0.5, -0.5]},
        clickmode="event+select",
        dragmode=False,
    )
    return figure


def count_figure(counts: np.ndarray, parts: Sequence[str], classes: Sequence[str]) -> go.Figure:
    """(P, K) counts of images → a group of P bars for each of the K classes."""
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
    """(K, M) of 1 (validation), 0 (training) and nan (no image) → a row of squares per class."""
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
    """(C, 256) value of each level and how many pixels have it → steps on a logarithmic scale, `axis` beneath.

    One channel is grey; three are red, green and blue.
    """
    grey = len(histogram) == 1
    names = ("grey",) if grey else ("red", "green", "blue")
    figure = go.Figure()
    for place, counts, name, colour in zip(values, histogram, names, (VALIDATION, HIGHLIGHT, TRAIN), strict=False):
        figure.add_scatter(
            x=np.round(place, 5),
            # a logarithm has no place for 0: half a pixel lies below the picture's lower edge
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


def enlarge(image: np.ndarray, factor: int = 7) -> np.ndarray:
    """(H, W) or (H, W, C) uint8 → each pixel as a `factor`-sided square, so that one sees the pixels."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def as_picture(image: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8 → (H, W) or (H, W, 3), as picture elements want it."""
    return image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
