"""Figures over an image: a saliency map, and an edit."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mnist_core.figures.style import HIGHLIGHT

# orange speaks against, blue for the class; Okabe and Ito's, clear at 0
OVER = [
    [0, "rgba(230,120,0,1)"],
    [0.25, "rgba(230,120,0,0.6)"],
    [0.5, "rgba(0,0,0,0)"],
    [0.75, "rgba(0,140,230,0.6)"],
    [1, "rgba(0,140,230,1)"],
]


def _image_figure(image: np.ndarray) -> go.Figure:
    """(H, W) or (H, W, 3) uint8 → its pixels as squares."""
    figure = go.Figure()
    height, width = image.shape[:2]
    if image.ndim == 2:
        grey = [[0, "#000000"], [1, "#ffffff"]]
        figure.add_heatmap(z=image, colorscale=grey, zmin=0, zmax=255, showscale=False, hoverinfo="skip")
    else:
        figure.add_image(z=image, hoverinfo="skip")
    axis = {"visible": False, "fixedrange": True, "constrain": "domain"}
    figure.update_layout(
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        xaxis={**axis, "range": [-0.5, width - 0.5]},
        yaxis={**axis, "range": [height - 0.5, -0.5], "scaleanchor": "x"},
        dragmode=False,
    )
    return figure


def overlay_figure(image: np.ndarray, saliency: np.ndarray, opacity: float, limit: float | None = None) -> go.Figure:
    """(H, W) or (H, W, 3) uint8 under (H, W) saliency: blue speaks for the class, orange against it.

    `limit` is the value of the full colours, which maps to be compared share; by default the map's own largest.
    """
    largest = limit or max(float(np.abs(saliency).max()), 1e-12)
    figure = _image_figure(image)
    figure.add_heatmap(
        z=np.round(saliency / largest, 3),
        customdata=saliency,
        colorscale=OVER,
        zmin=-1,
        zmax=1,
        opacity=opacity,
        colorbar={"tickvals": [-1, 0, 1], "ticktext": ["against", "0", "for"], "thickness": 10, "outlinewidth": 0},
        hovertemplate="row %{y}, column %{x}: %{customdata:.4f}<extra></extra>",
    )
    return figure


def edit_figure(image: np.ndarray, changed: np.ndarray) -> go.Figure:
    """(H, W) or (H, W, 3) uint8, the edited image; the (H, W) bool `changed` pixels are framed."""
    figure = _image_figure(image)
    for row, column in np.argwhere(changed).tolist():
        figure.add_shape(
            type="rect",
            x0=column - 0.5,
            x1=column + 0.5,
            y0=row - 0.5,
            y1=row + 0.5,
            line={"color": HIGHLIGHT, "width": 2.5},
        )
    return figure
