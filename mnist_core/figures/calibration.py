"""The reliability diagram: accuracy against confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnist_core.figures.style import QUIET, TRAIN
from mnist_core.inference.calibration import Reliability
from mnist_core.inference.interval import accuracy_interval, interval_text
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import plotly.graph_objects as go
else:
    go = LazyModule("plotly.graph_objects")

LARGEST, SMALLEST = 26, 5  # px: the marker of the bin with the most answers, and of one with a single answer


def reliability_figure(after: Reliability, before: Reliability | None = None) -> go.Figure:
    """A point per non-empty bin: mean confidence on x, accuracy on y; the diagonal is perfect calibration.

    The size of a point grows with the logarithm of its number of predictions; its line is the accuracy's 95 % interval
    (Wilson). `before` is the model without its
    temperature.
    """
    figure = go.Figure()
    ends = {"x": [0, 1], "y": [0, 1], "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(**ends, mode="lines", line={"color": QUIET, "width": 1, "dash": "dash"})
    for found, name, colour, symbol in (
        (before, "before calibration", QUIET, "circle-open"),
        (after, "as the lab says it", TRAIN, "circle"),
    ):
        if found is None:
            continue
        filled = found.count > 0
        count, right = found.count[filled], found.accuracy[filled]
        bounds = np.array([accuracy_interval(*bin_) for bin_ in zip(right.tolist(), count.tolist(), strict=True)])
        scale = np.log1p(count) / max(np.log1p(count).max(), 1e-9)
        figure.add_scatter(
            x=np.round(found.confidence[filled], 5),
            y=np.round(right, 5),
            customdata=[
                [images, interval_text((low, high))] for images, (low, high) in zip(count, bounds, strict=True)
            ],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": np.round(np.maximum(bounds[:, 1] - right, 0), 5),
                "arrayminus": np.round(np.maximum(right - bounds[:, 0], 0), 5),
                "color": colour,
                "thickness": 1,
                "width": 0,
            },
            name=name,
            mode="markers",
            cliponaxis=False,
            marker={
                "size": SMALLEST + (LARGEST - SMALLEST) * scale,
                "sizemode": "diameter",
                "color": colour,
                "symbol": symbol,
                "opacity": 0.85,
            },
            hovertemplate="says %{x:.1%}, is right %{y:.1%} (95 %: %{customdata[1]}): %{customdata[0]:,} answers",
        )
    axis = {"range": [-0.03, 1.04], "tickformat": ".0%", "fixedrange": True, "zeroline": False}
    figure.update_layout(
        margin={"l": 56, "r": 12, "t": 36, "b": 44},
        xaxis={**axis, "title": "how sure the model is"},
        yaxis={**axis, "title": "how often it is right"},
        legend={"orientation": "h", "yref": "paper", "y": 1.0, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        dragmode=False,
    )
    return figure
