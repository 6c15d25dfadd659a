"""The figure of a projection: every image a point, coloured by class, mistakes marked, what is selected in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_core.figures.style import QUIET, short_name
from mnist_core.lazy import LazyModule

if TYPE_CHECKING:
    import plotly.graph_objects as go
else:
    go = LazyModule("plotly.graph_objects")

# twelve hues told apart on white and on black; each further dozen of classes has another symbol
COLOURS = (
    *("#4c8bf5", "#e8710a", "#12a150", "#d93a54", "#9a63d8", "#a0704a"),
    *("#e35fb5", "#8a94a6", "#b3a300", "#0fa8b5", "#7a9a2e", "#c28be0"),
)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon")
MISTAKE = "x"
POINT, LARGE, STAR = 5, 8, 17  # px: a point, a mistake, a drawing
FEW = 2000  # points up to which they are drawn larger
MANY = 20  # classes, above which their names are smaller
FADED = 0.08
MARGIN = {"l": 8, "r": 8, "t": 8, "b": 8}


def class_colour(index: int) -> str:
    """The colour of a class on the map."""
    return COLOURS[index % len(COLOURS)]


def projection_figure(
    points: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    classes: Sequence[str],
    *,
    by_prediction: bool = False,
    rows: np.ndarray | None = None,
    selected: np.ndarray | None = None,
    outline: np.ndarray | None = None,
    drawing: np.ndarray | None = None,
    extent: np.ndarray | None = None,
) -> go.Figure:
    """(N, 2) float32 points with (N,) labels, predictions and confidences in [0, 1] → a map.

    Coloured by label, or `by_prediction`; a mistake is a cross. `rows` (N,) are the images' own numbers, those of
    `points` if not given; `customdata` of a point is [row, confidence], and `name` of its trace the class that colours
    it. The name of each class stands at the median of its points. `selected` (N,) bool fades the other points, and
    `outline` (K, 2) is the polygon that selected them. `drawing` (2,) is a star. `extent` (2, 2), the least and the
    greatest x and y, keeps the axes where they are from one figure to the next.

    Traces are of the type `scattergl`, which the lab's pages draw themselves (ui/live/points.js).
    """
    rows = np.arange(len(points)) if rows is None else rows
    colours, right = predicted if by_prediction else labels, labels == predicted
    groups = np.unique(colours).tolist()
    figure = go.Figure()
    for hit, group in ((hit, group) for hit in (True, False) for group in groups):  # mistakes lie in front
        members = np.flatnonzero((colours == group) & (right == hit))
        if len(members):
            figure.add_scattergl(
                x=points[members, 0].astype(np.float32),
                y=points[members, 1].astype(np.float32),
                mode="markers",
                name=_plain(short_name(classes[group])),
                showlegend=hit or not (right & (colours == group)).any(),
                marker=_marker(group, hit, len(points)),
                customdata=np.stack([rows[members], confidence[members]], axis=1).astype(np.float32),
                **_said(classes, labels[members], predicted[members]),
                **({} if selected is None else _selection(selected[members], len(points))),
            )
    if (~right).any():  # what a cross is
        cross = {"symbol": MISTAKE, "size": LARGE, "color": QUIET}
        figure.add_scattergl(x=[None], y=[None], mode="markers", name="mistake", marker=cross)
    if drawing is not None:
        figure.add_scattergl(
            x=[float(drawing[0])],
            y=[float(drawing[1])],
            mode="markers",
            name="Your drawing",
            marker={"symbol": "star", "size": STAR, "color": "#ffd400", "line": {"width": 1.5, "color": "#000000"}},
            hovertemplate="Your drawing<extra></extra>",
        )
    for group in np.unique(labels).tolist():
        place = np.median(points[labels == group], axis=0)
        figure.add_annotation(**_name(classes[group], place, class_colour(group), len(classes) > MANY))
    if outline is not None:
        path = "L".join(f"{x:.5g},{y:.5g}" for x, y in outline.tolist())
        figure.add_shape(type="path", path=f"M{path}Z", line={"color": QUIET, "width": 1.5, "dash": "dot"})
    figure.update_layout(**_layout(points, drawing, extent))
    return figure


def _marker(group: int, hit: bool, count: int) -> dict[str, Any]:
    """Of the points of one class, of `count` points in all."""
    if not hit:
        return {"color": class_colour(group), "symbol": MISTAKE, "size": LARGE}
    symbol = SYMBOLS[group // len(COLOURS) % len(SYMBOLS)]
    size = POINT if count > FEW else LARGE - 1
    return {"color": class_colour(group), "symbol": symbol, "size": size, "opacity": 0.75}


def _said(classes: Sequence[str], labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    """What the points of a trace say: one template where all say the same."""
    sure = ", %{customdata[1]:.1%} sure<extra></extra>"
    if len(pairs := np.unique(np.stack([labels, predicted]), axis=1).T) == 1:
        true, said = (classes[index] for index in pairs[0])
        return {"hovertemplate": f"%{{customdata[0]}}: {_plain(true)}, read as {_plain(said)}{sure}"}
    names = [f"{_plain(classes[t])}, read as {_plain(classes[p])}" for t, p in zip(labels, predicted, strict=True)]
    return {"text": names, "hovertemplate": f"%{{customdata[0]}}: %{{text}}{sure}"}


def _plain(name: str) -> str:
    """The name of a class without what Plotly would take for markup or for a variable."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def _selection(selected: np.ndarray, count: int) -> dict[str, Any]:
    """Of the points of a trace, of `count` points in all; many that lie over each other fade together."""
    faded = FADED if count > FEW else 3 * FADED
    return {"selectedpoints": np.flatnonzero(selected), "unselected": {"marker": {"opacity": faded}}}


def _name(name: str, place: np.ndarray, colour: str, crowded: bool) -> dict[str, Any]:
    """The name of a class at the median of its points."""
    return {
        "x": float(place[0]),
        "y": float(place[1]),
        "text": f"<b>{_plain(short_name(name))}</b>",
        "showarrow": False,
        "font": {"size": 11 if crowded else 13, "color": colour},
        "bordercolor": colour,
        "borderpad": 1,
        "opacity": 0.85,
    }


def _layout(points: np.ndarray, drawing: np.ndarray | None, extent: np.ndarray | None) -> dict[str, Any]:
    if extent is None:
        shown = points if drawing is None else np.concatenate([points, drawing[None]])
        extent = np.stack([shown.min(axis=0), shown.max(axis=0)])
    low, high = np.asarray(extent, float)
    room = np.maximum((high - low) * 0.04, 1e-6)
    axis = {"visible": False, "zeroline": False, "showgrid": False, "fixedrange": True, "autorange": False}
    return {
        "margin": MARGIN,
        "xaxis": {**axis, "range": [float(low[0] - room[0]), float(high[0] + room[0])]},
        "yaxis": {**axis, "range": [float(low[1] - room[1]), float(high[1] + room[1])]},
        "legend": {"itemsizing": "constant", "itemclick": False, "itemdoubleclick": False},
    }
