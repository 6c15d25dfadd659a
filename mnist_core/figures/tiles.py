"""Figures of many small maps side by side: feature maps, kernels, the arithmetic of one value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mnist_core.figures.style import HIGHLIGHT, QUIET

GAP = 1  # cells between two tiles
MOST_BARS = 40
# orange below 0, blue above, black at 0: it reads the same on light and on dark pages
SIGNED = [[0, "#ff9e3d"], [0.25, "#a8560c"], [0.5, "#000000"], [0.75, "#2a7fb8"], [1, "#d6f0ff"]]
_BELOW, _ABOVE, _MARK = np.array([255, 158, 61]), np.array([214, 240, 255]), np.array([0, 200, 140])


def columns_for(count: int, height: int, width: int, shape: float = 1.8) -> int:
    """How many columns `count` tiles take so that the whole is about `shape` times as wide as high."""
    return max(1, min(count, math.ceil(math.sqrt(shape * count * height / width))))


def mosaic(tiles: np.ndarray, columns: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(C, H, W) → one (rows, columns) array of all tiles with NaN between them, and (C, 2) the corner of each."""
    count, height, width = tiles.shape
    columns = columns or columns_for(count, height, width)
    rows = -(-count // columns)
    whole = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), np.nan, np.float32)
    corners = np.array([[n // columns * (height + GAP), n % columns * (width + GAP)] for n in range(count)])
    for tile, (top, left) in zip(tiles, corners, strict=True):
        whole[top : top + height, left : left + width] = tile
    return whole, corners


def map_picture(
    maps: np.ndarray, marked: int | None = None, least: int = 400, limit: float | None = None
) -> np.ndarray:
    """(C, H, W) float32 → (h, w, 4) uint8: all maps on one scale, the `marked` one framed; at least `least` px wide.

    Values above 0 are blue to white, below 0 orange, 0 is black; between the maps it is transparent. `limit` is the
    value of the full colours, which pictures to be compared share; by default the largest of these maps.
    """
    framed = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    whole, corners = mosaic(framed)
    scale = max(float(np.abs(maps).max()) if limit is None else limit, 1e-12)
    share = np.nan_to_num(whole / scale).clip(-1, 1)[..., None]
    colour = np.where(share > 0, share * _ABOVE, -share * _BELOW)
    opaque = ~np.isnan(whole)[..., None]
    if marked is not None:
        top, left = corners[marked]
        frame = np.ones((framed.shape[1], framed.shape[2], 1), bool)
        frame[1:-1, 1:-1] = False
        place = np.s_[top : top + framed.shape[1], left : left + framed.shape[2]]
        colour[place] = np.where(frame, _MARK, colour[place])
        opaque[place] |= frame
    picture = np.concatenate([colour, 255 * opaque], axis=2).round().astype(np.uint8)
    factor = max(1, -(-least // picture.shape[1]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def tile_figure(tiles: np.ndarray, chosen: int | None = None, what: str = "map") -> go.Figure:
    """(C, H, W) → all tiles on one scale, each selectable; a point's `customdata` is the number of its tile.

    The `chosen` one is framed. A heatmap has no selection events, so transparent squares lie over it.
    """
    _, height, width = tiles.shape
    whole, corners = mosaic(tiles)
    limit = max(float(np.abs(tiles).max()), 1e-12)
    figure = go.Figure(
        go.Heatmap(
            z=np.round(whole / limit, 3),
            colorscale=SIGNED,
            zmin=-1,
            zmax=1,
            showscale=False,
            hoverinfo="skip",
        )
    )
    figure.add_scatter(
        x=corners[:, 1] + (width - 1) / 2,
        y=corners[:, 0] + (height - 1) / 2,
        mode="markers",
        marker={"symbol": "square", "size": 26, "color": "rgba(0,0,0,0)"},
        unselected={"marker": {"opacity": 1}},
        customdata=np.arange(len(tiles)),
        text=[f"{what} {n}: mean {tile.mean():.3f}, largest {tile.max():.3f}" for n, tile in enumerate(tiles)],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    if chosen is not None:
        figure.add_shape(**_frame(corners[chosen], height, width))
    figure.update_layout(**_square(whole.shape), clickmode="event+select")
    return figure


def _frame(corner: np.ndarray, height: int, width: int) -> dict[str, Any]:
    """A frame around the cells of a heatmap, whose centres are whole numbers."""
    top, left = (int(place) for place in corner)
    ends = {"x0": left - 0.5, "x1": left + width - 0.5, "y0": top - 0.5, "y1": top + height - 0.5}
    return {"type": "rect", **ends, "line": {"color": HIGHLIGHT, "width": 3}}


def _square(shape: tuple[int, ...]) -> dict[str, Any]:
    """A layout of square cells without axes, the first row on top."""
    axis = {"visible": False, "fixedrange": True, "constrain": "domain"}
    return {
        "margin": {"l": 4, "r": 4, "t": 4, "b": 4},
        "xaxis": {**axis, "range": [-0.7, shape[1] - 0.3]},
        "yaxis": {**axis, "range": [shape[0] - 0.3, -0.7], "scaleanchor": "x"},
        "dragmode": False,
    }


def picture_figure(values: np.ndarray, marked: tuple[int, int, int, int] | None = None) -> go.Figure:
    """(H, W) → one map; `marked` frames the part of (top, left, height, width), which may reach over the edge."""
    limit = max(float(np.abs(values).max()), 1e-12)
    heat = go.Heatmap(
        z=np.round(values, 4),
        colorscale=SIGNED,
        zmin=-limit,
        zmax=limit,
        showscale=False,
        hovertemplate="row %{y}, column %{x}: %{z}<extra></extra>",
    )
    figure = go.Figure(heat)
    if marked:
        top, left, height, width = marked
        figure.add_shape(**_frame(np.array([top, left]), height, width))
    figure.update_layout(**_square(values.shape))
    return figure


def arithmetic_figure(patch: np.ndarray, kernel: np.ndarray, products: np.ndarray) -> go.Figure:
    """Three (h, w) arrays → "input × kernel = products" with their numbers; each is coloured on its own scale."""
    blocks, height, width = (patch, kernel, products), *patch.shape
    shown = np.stack([block / max(float(np.abs(block).max()), 1e-12) for block in blocks])
    whole, corners = mosaic(np.pad(shown, ((0, 0), (0, 0), (0, 1)), constant_values=np.nan), columns=3)
    numbers, _ = mosaic(np.pad(np.stack(blocks), ((0, 0), (0, 0), (0, 1)), constant_values=np.nan), columns=3)
    figure = go.Figure(
        go.Heatmap(
            z=np.round(whole, 3),
            text=np.where(np.isnan(numbers), "", np.char.mod("%.2f", np.nan_to_num(numbers))),
            texttemplate="%{text}" if width <= 5 else None,
            textfont={"size": 11},
            colorscale=SIGNED,
            zmin=-1,
            zmax=1,
            showscale=False,
            hovertemplate="%{text}<extra></extra>",
            xgap=1,
            ygap=1,
        )
    )
    for (_, left), title in zip(corners, ("input", "kernel", "products"), strict=True):
        figure.add_annotation(x=left + (width - 1) / 2, y=-0.6, text=title, showarrow=False, yanchor="bottom")
    for sign, block in (("×", 1), ("=", 2)):
        figure.add_annotation(
            x=corners[block][1] - 1.5, y=(height - 1) / 2, text=f"<b>{sign}</b>", showarrow=False, font={"size": 20}
        )
    layout = _square(whole.shape)
    layout["xaxis"]["range"] = [-0.7, whole.shape[1] - 1.3]
    layout["yaxis"]["range"] = [height - 0.3, -1.4]
    figure.update_layout(**layout)
    return figure


def unit_bars(values: np.ndarray, chosen: int | None = None, names: Sequence[str] | None = None) -> go.Figure:
    """(U,) → a bar per unit, the `chosen` one in colour; `customdata` of a selected bar is its unit.

    Of more than MOST_BARS the strongest are shown, strongest first, and the chosen one.
    """
    shown = np.arange(len(values))
    if len(values) > MOST_BARS:
        shown = np.argsort(-np.abs(values), kind="stable")[:MOST_BARS]
        if chosen is not None and chosen not in shown:
            shown[-1] = chosen
    labels = [names[unit] if names else str(unit) for unit in shown.tolist()]
    figure = go.Figure(
        go.Bar(
            x=labels,
            y=np.round(values[shown], 4),
            customdata=shown,
            marker={"color": [HIGHLIGHT if unit == chosen else QUIET for unit in shown]},
            hovertemplate="%{x}: %{y}<extra></extra>",
            unselected={"marker": {"opacity": 1}},
        )
    )
    figure.update_layout(
        margin={"l": 44, "r": 8, "t": 8, "b": 40},
        xaxis={"type": "category", "fixedrange": True},
        yaxis={"fixedrange": True},
        clickmode="event+select",
        dragmode=False,
        showlegend=False,
    )
    return figure
