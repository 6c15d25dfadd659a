"""Figures of classification: the probabilities of one image, the confusion matrix of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_core.figures.style import HIGHLIGHT, QUIET, TRAIN, short_name
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import plotly.graph_objects as go
else:
    go = LazyModule("plotly.graph_objects")

MAX_BARS = 20  # classes shown as bars
MAX_NUMBERS = 20  # classes up to which the cells of a confusion matrix show their numbers


def probability_bars(probabilities: np.ndarray, classes: Sequence[str], chosen: int | None) -> dict[str, Any]:
    """(K,) probabilities → a bar per class, the `chosen` index in colour, as Plotly's `{"data": …, "layout": …}`.

    Of more than 20 classes the 20 most probable are shown, in descending order. A plain dict, as validation in
    `go.Figure` takes a third of the time from a stroke to its answer.
    """
    values = np.asarray(probabilities, dtype=float)
    shown = np.arange(len(values)) if len(values) <= MAX_BARS else np.argsort(-values, kind="stable")[:MAX_BARS]
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
        "xaxis": {"type": "category", "title": {"text": "class"}, "fixedrange": True, **_ticks(labels, MAX_BARS)},
        "yaxis": {"range": [0, 1.08], "fixedrange": True, **ticks},
        "showlegend": False,
    }
    return {"data": [bars], "layout": layout}


def _ticks(labels: Sequence[str], most: int) -> dict[str, object]:
    """Axis ticks for class names: long names are cut in the middle, and about `most` names are shown."""
    shown = labels[:: -(-len(labels) // most)]
    return {"tickvals": shown, "ticktext": [short_name(name) for name in shown], "automargin": True}


def confusion_figure(
    confusion: np.ndarray,
    classes: Sequence[str],
    normalized: bool = False,
    ink: str = "#1f2937",
    selected: Sequence[tuple[int, int]] = (),
) -> go.Figure:
    """(K, K) counts, a row per true class → a matrix of selectable cells. `ink` is the colour of its numbers.

    `normalized` shows shares of each row. Only mistakes are coloured: on one scale with the diagonal they would all be
    white. A heatmap has no selection events, so transparent markers lie over it; `customdata` of a selected point is
    [true, predicted], and the cells `selected` by these are framed. For more than 20 classes the numbers appear
    on hover only.
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
    numbers = len(labels) <= MAX_NUMBERS
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
        shapes=[_frame(*cell) for cell in selected],
    )
    return figure


def _frame(true: int, predicted: int) -> dict[str, Any]:
    """A frame around a cell; the centres of cells are whole numbers."""
    ends = {"x0": predicted - 0.5, "x1": predicted + 0.5, "y0": true - 0.5, "y1": true + 0.5}
    return {"type": "rect", **ends, "line": {"color": TRAIN, "width": 2}}
